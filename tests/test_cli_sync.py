"""The command line as a person meets it: output, files, exit codes, and words for mistakes."""

import json
import re
import signal
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from commands import invoke, mlmsg, on_terminal, started, without_escapes
from mirrors import expected, on_disk, without_manifests

from mlmsg import NotFound
from mlmsg.cli._progress import summary, watch
from mlmsg.cli._settings import Settings
from mlmsg.sandbox import example_market
from mlmsg.sync import SyncEvent, SyncReport, ThreadId

MARKET = example_market()
FILES = expected(MARKET)
PACK = "2000007001000011"
CLAIM = "5204000022"


@pytest.mark.slow
def test_sync_mirrors_every_attachment_of_the_sandbox(tmp_path: Path) -> None:
    done = mlmsg("sync", "--sandbox", "--to", str(tmp_path / "mirror"))
    assert (done.returncode, done.stderr) == (0, "")
    assert without_manifests(on_disk(tmp_path / "mirror")) == FILES
    size = sum(map(len, FILES.values()))
    *lines, summary = done.stdout.splitlines()
    assert summary.startswith(
        f"mirrored into {tmp_path / 'mirror'}: threads 7, files downloaded "
        f"{len(FILES)} ({size / 1000:.1f} kB), already there 0, failed 0, "
        "API requests 25 (0 waited for the rate limit)"
    )
    assert {line.split()[1] for line in lines} == set(FILES)


def test_a_second_run_fetches_only_what_is_missing_or_cut(tmp_path: Path) -> None:
    invoke("sync", "--sandbox", "--to", str(tmp_path))
    lost, cut, *_ = FILES
    (tmp_path / lost).unlink()
    (tmp_path / cut).write_bytes(b"half")
    done = invoke("sync", "--sandbox", "--to", str(tmp_path))
    assert "files downloaded 2 (" in done.stdout
    assert f"already there {len(FILES) - 2}," in done.stdout
    assert without_manifests(on_disk(tmp_path)) == FILES


def test_verify_reads_what_is_there(tmp_path: Path) -> None:
    invoke("sync", "--sandbox", "--to", str(tmp_path))
    changed = tmp_path / next(iter(FILES))
    changed.write_bytes(bytes(changed.stat().st_size))
    assert "files downloaded 0 (" in invoke("sync", "--sandbox", "--to", str(tmp_path)).stdout
    done = invoke("sync", "--sandbox", "--verify", "--to", str(tmp_path))
    assert "files downloaded 1 (" in done.stdout


NAMED = [
    pytest.param((PACK,), None, [f"packs/{PACK}"], id="a pack"),
    pytest.param(("--claim", CLAIM), None, [f"claims/{CLAIM}"], id="a claim"),
    pytest.param((PACK, "--claim", CLAIM), None, [f"claims/{CLAIM}", f"packs/{PACK}"], id="both"),
    pytest.param(("--packs-from", "-"), f"{PACK}\n\n", [f"packs/{PACK}"], id="standard input"),
    pytest.param(("--claims-from", "-"), CLAIM, [f"claims/{CLAIM}"], id="without a line's end"),
    pytest.param(("--claims-from", "ids"), None, [f"claims/{CLAIM}"], id="a file"),
]


@pytest.mark.parametrize(("arguments", "given", "threads"), NAMED)
def test_what_is_named_is_mirrored_and_nothing_else(
    arguments: tuple[str, ...], given: str | None, threads: list[str], tmp_path: Path
) -> None:
    ids = tmp_path / "ids"
    ids.write_text(f"  {CLAIM}\n\n")
    arguments = tuple(str(ids) if argument == "ids" else argument for argument in arguments)
    to = tmp_path / "mirror"
    done = invoke("sync", "--sandbox", "--to", str(to), *arguments, given=given)
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted({path.rpartition("/")[0] for path in on_disk(to)}) == threads


def test_a_claim_that_is_not_there_costs_only_itself(tmp_path: Path) -> None:
    done = invoke("sync", "--sandbox", "--to", str(tmp_path), "--claim", "404404", PACK)
    assert done.exit_code == 1
    assert "failed: claims/404404: 404 " in done.stderr
    assert "threads 1, " in done.stdout
    assert "failed 1" in done.stdout


def test_json_is_a_line_for_each_step(tmp_path: Path) -> None:
    done = invoke("sync", "--sandbox", "--json", "--to", str(tmp_path), PACK, "--claim", "404")
    assert (done.exit_code, done.stderr) == (1, "")
    *steps, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["event"] for step in steps].count("downloaded") == 4
    assert {step["path"] for step in steps if step["path"]} == {
        path for path in FILES if f"/{PACK}/" in path
    }
    (failed,) = [step for step in steps if step["event"] == "failed"]
    assert (failed["kind"], failed["id"], failed["filename"]) == ("claim", "404", None)
    assert "404" in failed["error"]
    assert (last["event"], last["threads"], last["downloaded"], last["failed"]) == (
        ("report", 1, 4, 1)
    )


def test_each_line_of_json_has_a_time_and_a_level_and_errors_their_kind(tmp_path: Path) -> None:
    done = invoke("sync", "--sandbox", "--json", "--to", str(tmp_path), PACK, "--claim", "404")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(datetime.fromisoformat(line["time"]).tzinfo is UTC for line in lines)
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert (failed["level"], failed["error_kind"], failed["status"]) == ("error", "NotFound", 404)
    assert {line["level"] for line in lines if line["event"] == "downloaded"} == {"info"}
    assert (lines[-1]["level"], lines[-1]["error"]) == ("error", None)


def test_a_stopped_job_ends_with_a_report_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "packs").write_text("in the way")
    done = invoke("sync", "--sandbox", "--json", "--to", str(tmp_path))
    assert done.exit_code == 3
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["level"], last["to"]) == ("report", "error", str(tmp_path))
    assert {"threads", "downloaded", "skipped", "failed", "bytes"} <= set(last)
    assert last["error"].startswith("stopped: packs/")


def test_quiet_prints_problems_only(tmp_path: Path) -> None:
    done = invoke("sync", "--sandbox", "--quiet", "--to", str(tmp_path), PACK, "--claim", "404")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("failed: claims/404: 404")


def test_a_url_is_a_target(tmp_path: Path) -> None:
    assert invoke("sync", "--sandbox", "--to", f"file://{tmp_path}/a%20b").exit_code == 0
    assert without_manifests(on_disk(tmp_path / "a b")) == FILES


def test_a_target_that_fails_ends_it_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "packs").write_text("in the way")
    done = invoke("sync", "--sandbox", "--to", str(tmp_path))
    assert done.exit_code == 3
    assert "Error: stopped: packs/" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_api_says_cannot_speak_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = NotFound(404, None, "no\x1b[2J such\nfile")
    with watch(SyncReport(), None, Settings()) as show:
        show(SyncEvent("failed", ThreadId("pack", "1"), "a\x1b]0;b.jpg", error=error))
        show(SyncEvent("downloaded", ThreadId("pack", "1"), "a\rb.jpg"))
    output = capsys.readouterr()
    assert output.err == "failed: packs/1/a ]0;b.jpg: 404 no [2J such file\n"
    assert output.out == "downloaded packs/1/a b.jpg\n"


def test_an_empty_list_is_nothing_to_do(tmp_path: Path) -> None:
    arguments = ("sync", "--sandbox", "--to", f"{tmp_path}/mirror", "--packs-from", "-")
    done = invoke(*arguments, given="# nothing\n")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "the list is empty: nothing to do\n"
    done = invoke(*arguments, "--json", given="")
    assert json.loads(done.stdout)["threads"] == 0


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(tmp_path: Path) -> None:
    """The job waits for more packs, which never come."""
    arguments = ("sync", "--sandbox", "--to", str(tmp_path), "--packs-from", "-")
    with started(*arguments) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{PACK}\n")
        process.stdin.flush()
        for _ in range(4):
            assert process.stdout.readline().startswith("downloaded ")
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
        assert process.wait(timeout=20) == 130
    assert output == "Error: interrupted; run the same command again to continue\n"


@pytest.mark.slow
def test_terminated_it_ends_in_order(tmp_path: Path) -> None:
    arguments = ("sync", "--sandbox", "--json", "--to", str(tmp_path), "--packs-from", "-")
    with started(*arguments) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{PACK}\n")
        process.stdin.flush()
        for _ in range(4):
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.stderr.read() == "Error: stopped: terminated\n"
        assert process.wait(timeout=20) == 3
    assert (last["event"], last["downloaded"], last["error"]) == (
        ("report", 4, "stopped: terminated")
    )
    assert not [path for path in on_disk(tmp_path) if "#" in path or ".part" in path]


MISTAKES = [
    pytest.param(("sync",), "Missing option '--to'", id="no folder"),
    pytest.param(("sync", "--to", "x"), "no PACK or claim is given; add", id="no pack"),
    pytest.param(("sync", "--to", "x", "1"), "MLMSG_ACCESS_TOKEN is not set", id="no token"),
    pytest.param(("sink",), "No such command 'sink'", id="typo"),
    pytest.param(
        ("sync", "--sandbox", "--to", __file__), "which is a file, allowed: a folder", id="a file"
    ),
    pytest.param(("sync", "--sandbox", "--to", "x", "--site-id", "CBT"), "found 'CBT'", id="CBT"),
    pytest.param(("sync", "--sandbox", "--to", "ftp://x/y"), "--to: found 'ftp://x/y'", id="URL"),
    pytest.param(
        ("sync", "--sandbox", "--to", "x", "--concurrency", "0"), "(1 or more)", id="none"
    ),
    pytest.param(
        ("sync", "--to", "x", "--packs-from", "-", "--claims-from", "-"),
        "standard input holds either",
        id="both",
    ),
    pytest.param(("sync", "--to", "x", "--packs-from", "none"), "does not exist", id="no file"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_wrong_use_is_explained_and_exits_with_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    token = "a-token" if "-" in arguments else ""
    done = invoke(*arguments, MLMSG_ACCESS_TOKEN=token)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_terminal_sees_a_progress_bar(tmp_path: Path) -> None:
    claims = [word for claim in MARKET.claims for word in ("--claim", claim)]
    arguments = ("sync", "--sandbox", "--to", str(tmp_path), "--claim", "404", *MARKET.packs)
    code, seen = on_terminal(*arguments, *claims, COLUMNS="120")
    assert code == 1
    assert re.search(r"8/8 threads, 16 files, 2\d\d\.\d kB, .*/s, 1 failed", seen)
    assert "failed: claims/404: 404 " in seen
    assert "threads 7, files downloaded" in seen


@pytest.mark.slow
def test_a_job_that_finds_its_work_knows_how_much_there_is(tmp_path: Path) -> None:
    arguments = ("sync", "--sandbox", "--all", "--since", "2020-01-01", "--to", str(tmp_path))
    code, seen = on_terminal(*arguments, COLUMNS="160")
    assert code == 0
    counts = re.findall(r"(\d+)/(\d+) threads, \d+ files, .*?, 0 failed +\S+ threads/s", seen)
    assert counts[-1] == ("7", "7")
    assert {total for _, total in counts} == {"7"}
    assert re.search(
        r"API requests \d+ \(0 waited for the rate limit\): .*orders\.search \d+", seen
    )


def screen_of(columns: int, monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Replace standard output by a terminal of this width."""
    screen = StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    return screen


def test_the_bar_says_that_the_rate_limit_is_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = screen_of(200, monkeypatch)
    report, waiting = SyncReport(expected=4), iter([7, 0])
    with watch(report, None, Settings(), lambda: next(waiting, 0)) as show:
        show(SyncEvent("thread", ThreadId("pack", "1")))
    assert "7 calls wait for the rate limit" in screen.getvalue()
    assert "1/4 threads" in screen.getvalue()


def test_the_bar_shows_whole_times_on_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = screen_of(80, monkeypatch)
    with watch(SyncReport(), 12_345, Settings(), lambda: 0) as show:
        show(SyncEvent("thread", ThreadId("pack", "1")))
    bar, counts = without_escapes(screen.getvalue()).splitlines()[-2:]
    assert re.search(r" 0:00:00 left -:--:--|0:00:00 left \d+:\d\d:\d\d", bar)
    assert counts.startswith("  1/12345 threads, 0 files, 0 bytes, 0 bytes/s, 0 failed  ")
    assert max(len(bar), len(counts)) <= 80


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_the_command_says_what_to_install(missing: str, tmp_path: Path) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    done = mlmsg("sync", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'mlmsg[cli]'" in done.stderr


@pytest.mark.slow
def test_interrupted_while_it_imports_its_libraries_it_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    done = mlmsg("sync", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (130, "Error: interrupted\n")


@pytest.mark.slow
def test_without_obstore_a_folder_is_filled_and_a_bucket_says_what_to_install(
    tmp_path: Path,
) -> None:
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError(name='obstore')")
    folder = tmp_path / "archive"
    done = mlmsg("sync", "--sandbox", "--to", str(folder), PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert list(folder.rglob("manifest.json"))
    done = mlmsg("sync", "--sandbox", "--to", "s3://bucket/x", PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "pip install 'mlmsg[sync]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("count", [0, 2])
def test_the_report_names_packs_that_were_not_found(
    as_json: bool, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(SyncReport(threads=7, not_found=count), "mirror", None, Settings(json=as_json))
    line = capsys.readouterr().out
    words = '"not_found":2' if as_json else "threads 7 (not found 2), "
    assert (words in line.replace(": 2", ":2")) == (count == 2)
    assert ("not" in line) == (count == 2)
