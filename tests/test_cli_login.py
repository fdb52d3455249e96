"""`mlmsg login`: questions, the pasted address, the grant file, and the commands after it."""

import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import msgspec
import pytest
from click.testing import CliRunner, Result
from commands import NO_ACCOUNT, PROGRAM, environment, invoke, running_sandbox

from mlmsg.cli import cli
from mlmsg.cli._grant_file import Grant
from mlmsg.sandbox import Fault, Sandbox, example_market

BACK = "https://shop.example/after-login"
APPLICATION = {
    "MLMSG_CLIENT_ID": "1000000000000001",
    "MLMSG_CLIENT_SECRET": "sandbox-secret",
    "MLMSG_REDIRECT_URI": BACK,
}
PACK = "2000007001000011"
TOKEN_PATH = "/oauth/token"
ADDRESS = re.compile(rb"http://127\S+/authorization\?\S+")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def open_page(url: str) -> str:
    """Open the login page as a browser does, and return the address at which it ends."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    final = connection.getresponse().headers["Location"]
    connection.close()
    return final


class Seller(io.RawIOBase):
    """Standard input: the answers, then the address at which the printed one ends."""

    def __init__(self, *answers: str, paste: Callable[[str], str] = str) -> None:
        self._answers = [*answers, None]
        self._paste = paste

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._answers:
            return 0
        line = self._answers.pop(0)
        if line is None:
            printed = b"".join(_printed_on(stream) for stream in (sys.stdout, sys.stderr))
            found = ADDRESS.search(printed)
            assert found is not None, printed
            line = self._paste(open_page(found[0].decode()))
        data = f"{line}\n".encode()
        buffer[: len(data)] = data
        return len(data)


def _printed_on(stream: TextIO) -> bytes:
    """Return what was printed so far on a stream of click's runner."""
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


def log_in(
    sandbox: Sandbox,
    *arguments: str,
    answers: Iterable[str] = (),
    paste: Callable[[str], str] = str,
    variables: Mapping[str, str] = APPLICATION,
) -> Result:
    seller = io.BufferedReader(Seller(*answers, paste=paste))
    command = ("login", "--base-url", sandbox.url, *arguments)
    return CliRunner().invoke(cli, command, input=seller, env={**NO_ACCOUNT, **variables})


def test_a_login_keeps_a_grant_that_all_commands_use_and_refresh(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "kept" / "grant.json"
    done = log_in(sandbox, "--grant", str(path))
    assert done.exit_code == 0, done.stderr
    address, result = done.stdout.splitlines()
    assert address.startswith(f"{sandbox.url}/authorization?")
    assert result == "logged in as TIENDA_EJEMPLO (700100200), site CBT, Global Selling"
    assert f"the grant is kept in {path}" in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    grant = msgspec.json.decode(path.read_bytes(), type=Grant)
    assert grant.refresh_token == sandbox.grant.refresh_token
    assert grant.user_id == sandbox.market.user_id
    kept = (grant.client_id, grant.client_secret, grant.redirect_uri, grant.base_url, grant.site_id)
    assert kept == ("1000000000000001", "sandbox-secret", BACK, sandbox.url, "CBT")
    for refreshes in (0, 1):
        assert invoke("thread", PACK, "--grant", str(path)).exit_code == 0
        assert sandbox.grant.refreshes == refreshes
        sandbox.expire()


def test_a_rehearsal_leaves_the_grant_of_the_account_alone(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each address has a file of its own, which all commands with that address find."""
    folder = tmp_path / "config" / "mlmsg"
    folder.mkdir(parents=True, mode=0o700)
    real = folder / "grant.json"
    real.write_bytes(msgspec.json.encode(Grant(access_token="a-token", refresh_token="single-use")))
    before = real.read_bytes()
    variables = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = log_in(sandbox, variables={**APPLICATION, **variables})
    assert done.exit_code == 0
    assert f"use it with --base-url {sandbox.url}\n" in done.stderr
    path = folder / f"grant-127.0.0.1-{urlsplit(sandbox.url).port}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {file.name for file in folder.glob("*.json")} == {"grant.json", path.name}
    assert real.read_bytes() == before
    done = invoke("whoami", "--base-url", f"{sandbox.url}/", **variables)
    assert done.exit_code == 0, done.stderr
    done = invoke("whoami", "--base-url", "http://127.0.0.1:9", **variables)
    assert done.exit_code == 2
    assert "run `mlmsg login --base-url http://127.0.0.1:9`" in done.stderr


def test_the_folder_of_the_grants_is_for_its_owner(sandbox: Sandbox, tmp_path: Path) -> None:
    variables = {**APPLICATION, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert log_in(sandbox, variables=variables).exit_code == 0
    assert stat.S_IMODE((tmp_path / "config" / "mlmsg").stat().st_mode) == 0o700


OTHERS = {
    "another account": Grant(access_token="a", refresh_token="b", user_id=5),
    "another API": Grant(access_token="a", refresh_token="b", user_id=700100200),
    "an unknown account": Grant(access_token="a", refresh_token="b"),
}


@pytest.mark.parametrize("case", [*OTHERS, "another file"])
def test_a_file_that_a_login_replaces_is_copied(
    case: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "grant.json"
    data = msgspec.json.encode(OTHERS[case]) if case in OTHERS else b"an important file"
    label = "grant-5" if case == "another account" else "grant-old"
    label = "grant-700100200" if case == "another API" else label
    for number in ("", "-2") if case == "another account" else ("",):
        path.write_bytes(data)
        done = log_in(sandbox, "--grant", str(path), "--quiet")
        assert done.exit_code == 0, done.stderr
        copy = tmp_path / f"{label}{number}.json"
        assert f"is now in {copy}\n" in done.stderr
        assert copy.read_bytes() == data
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert invoke("whoami", "--grant", str(path)).exit_code == 0


def test_the_same_account_replaces_its_own_grant(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "grant.json"
    for _ in range(2):
        assert log_in(sandbox, "--grant", str(path)).exit_code == 0
    assert [file.name for file in tmp_path.glob("*.json")] == [path.name]


def test_the_variable_of_a_grant_is_not_for_another_api(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(msgspec.json.encode(OTHERS["another account"]))
    before = path.read_bytes()
    for command in ("login", "whoami"):
        done = invoke(command, "--base-url", sandbox.url, MLMSG_GRANT=str(path))
        assert done.exit_code == 2
        assert "MLMSG_GRANT names a grant of https://api.mercadolibre.com, not of" in done.stderr
    assert path.read_bytes() == before
    assert sandbox.requests == []


def test_what_is_missing_is_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    done = log_in(
        sandbox, "--grant", f"{tmp_path}/grant.json", answers=APPLICATION.values(), variables={}
    )
    assert done.exit_code == 0, done.stderr
    asked = [line for line in done.stderr.splitlines() if line.endswith(":")]
    assert [line.split()[0] for line in asked] == ["Client", "Client", "Redirect", "Open", "Final"]
    assert "sandbox-secret" not in done.output


@pytest.mark.parametrize(
    ("flags", "site", "host", "default"),
    [
        ((), "MLB", "auth.mercadolivre.com.br", " [CBT]"),
        ((), "", "global-selling.mercadolibre.com", " [CBT]"),
        (("--domestic",), "MLA", "auth.mercadolibre.com.ar", ""),
        (("--site-id", "mlc"), None, "auth.mercadolibre.cl", None),
    ],
)
def test_the_login_page_is_that_of_the_site(
    tmp_path: Path, flags: tuple[str, ...], site: str | None, host: str, default: str | None
) -> None:
    given = "" if site is None else f"{site}\n"
    grant = f"{tmp_path}/grant.json"
    done = invoke("login", *flags, "--grant", grant, given=given, **APPLICATION)
    assert done.stdout.startswith(f"https://{host}/authorization?")
    assert ("Site of the account" in done.stderr) is (site is not None)
    assert default is None or f"(CBT is Global Selling){default}:" in done.stderr
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert done.stderr.endswith("standard input ended before 'Final address' was answered\n")


def test_the_next_login_asks_for_nothing_but_the_address(sandbox: Sandbox, tmp_path: Path) -> None:
    path = f"{tmp_path}/grant.json"
    assert log_in(sandbox, "--grant", path).exit_code == 0
    done = log_in(sandbox, "--grant", path, variables={})
    assert done.exit_code == 0, done.stderr
    assert "application: 1000000000000001, from the last login" in done.stderr
    command = ("login", "--base-url", sandbox.url, "--grant", path)
    done = invoke(*command, given="", MLMSG_CLIENT_ID="7")
    assert done.exit_code == 2
    assert "ended before 'Client secret' was answered" in done.stderr  # not that of another one


def test_json_is_one_document_and_quiet_is_quiet(sandbox: Sandbox, tmp_path: Path) -> None:
    path = f"{tmp_path}/grant.json"
    done = log_in(sandbox, "--grant", path, "--json", "--quiet")
    assert json.loads(done.stdout) == {
        "id": 700100200,
        "nickname": "TIENDA_EJEMPLO",
        "site_id": "CBT",
        "tags": ["normal", "test_user"],
        "global_selling": True,
        "grant": path,
    }
    address, question = done.stderr.splitlines()
    assert address.startswith(sandbox.url)
    assert question == "Final address:"


def test_a_domestic_account_needs_no_flag_afterwards(tmp_path: Path) -> None:
    with running_sandbox(example_market("MLB")) as sandbox:
        path = f"{tmp_path}/grant.json"
        done = log_in(sandbox, "--grant", path)
        assert "site MLB, domestic" in done.stdout
        done = invoke("thread", "2000007002000011", "--grant", path)
        assert done.exit_code == 0, done.stderr
        assert sandbox.requests[-1].path.startswith("/messages/packs/")


def wrong_state(final: str) -> str:
    return final + "x"


def wrong_place(final: str) -> str:
    return final.replace("shop.example", "other.example")


MISTAKES = {
    "another state": (wrong_state, "found another state"),
    "another place": (wrong_place, "found 'https://other.example/after-login'"),
    "an empty line": (lambda _: "", "found an empty line"),
}


@pytest.mark.parametrize(("paste", "text"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_wrong_paste_sends_nothing_and_keeps_the_old_grant(
    sandbox: Sandbox, tmp_path: Path, paste: Callable[[str], str], text: str
) -> None:
    path = tmp_path / "grant.json"
    path.write_text("the old grant")
    done = log_in(sandbox, "--grant", str(path), paste=paste)
    assert done.exit_code == 2
    assert text in done.stderr.splitlines()[-1]
    assert [request.path for request in sandbox.requests] == ["/authorization"]
    assert path.read_text() == "the old grant"


REFUSALS = {
    "a wrong secret": (Fault(action="pass"), "Check the client id and the client secret"),
    "a collaborator": (
        Fault(status=403, body={"error": "invalid_operator_user_id"}),
        "Log in with the main account, not with that of a collaborator",
    ),
    "a 401": (Fault(status=401, body={"error": "invalid_client"}), "the client secret"),
    "no answer": (Fault(action="lose"), "Begin again with a new login. Run `mlmsg login`"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line_with_a_hint(sandbox: Sandbox, tmp_path: Path, case: str) -> None:
    fault, hint = REFUSALS[case]
    if fault.action == "pass":
        sandbox.grant.client_secret = "sandbox-other"
    sandbox.inject(replace(fault, path=TOKEN_PATH))
    done = log_in(sandbox, "--grant", f"{tmp_path}/grant.json", "--verbose")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith(hint)
    assert "MLMSG_ACCESS_TOKEN" not in done.stderr
    assert not re.search("sandbox-(secret|token|refresh|code-)", done.output)


def test_a_seller_who_does_not_agree_is_no_wrong_use(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.grant.login_error = "access_denied"
    done = log_in(sandbox, "--grant", f"{tmp_path}/grant.json")
    assert done.exit_code == 1
    assert "The seller did not allow the application" in done.stderr


def test_a_grant_without_refresh_token_works_until_it_ends(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.grant.offline_access = False
    path = tmp_path / "grant.json"
    done = log_in(sandbox, "--grant", str(path))
    assert done.exit_code == 0, done.stderr
    assert "`offline_access`" in done.stderr
    assert invoke("whoami", "--grant", str(path)).exit_code == 0
    grant = msgspec.json.decode(path.read_bytes(), type=Grant)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(grant, expires_at=1.0)))
    done = invoke("whoami", "--grant", str(path))
    assert done.exit_code == 1
    assert done.stderr.endswith("Run `mlmsg login`\n")


def test_the_grant_is_kept_if_the_account_cannot_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Fault(status=403, path="/users/me"))
    path = tmp_path / "grant.json"
    done = log_in(sandbox, "--grant", str(path))
    assert done.exit_code == 1
    assert f"the grant is kept in {path}, but the account cannot be read" in done.stderr
    assert invoke("whoami", "--grant", str(path)).exit_code == 0


def test_a_token_that_hides_the_grant_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    variables = {**APPLICATION, "MLMSG_ACCESS_TOKEN": "a-token"}
    done = log_in(sandbox, "--grant", f"{tmp_path}/grant.json", variables=variables)
    assert done.exit_code == 0
    assert "MLMSG_ACCESS_TOKEN is set" in done.stderr


def test_a_place_that_cannot_be_written_is_named_before_the_login(tmp_path: Path) -> None:
    done = invoke("login", "--grant", str(tmp_path), **APPLICATION)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is a folder" in done.stderr
    (tmp_path / "file").touch()
    done = invoke("login", "--grant", f"{tmp_path}/file/grant.json", **APPLICATION)
    assert (done.exit_code, done.stdout) == (1, "")


def test_a_rehearsal_keeps_nothing(tmp_path: Path) -> None:
    done = invoke("login", "--sandbox", XDG_CONFIG_HOME=str(tmp_path))
    assert done.exit_code == 0, done.stderr
    assert "logged in as TIENDA_EJEMPLO" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_site_is_named_before_any_question() -> None:
    done = invoke("login", "--site-id", "MLBB")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Did you mean 'MLB'?" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="uses a pseudo-terminal")
@pytest.mark.parametrize("is_piped", [False, True])
def test_a_person_logs_in_on_a_terminal(
    sandbox: Sandbox, tmp_path: Path, *, is_piped: bool
) -> None:
    """The secret is not shown, a wrong paste may be repeated, and a line may be very long."""
    leader, follower = pty.openpty()
    output = (tmp_path / "output").open("wb") if is_piped else os.fdopen(os.dup(follower), "wb")
    flags = ["--json"] if is_piped else []
    command = [*PROGRAM, "login", "--base-url", sandbox.url, "--grant", f"{tmp_path}/grant.json"]
    seen, position = b"", 0

    def read_until(text: bytes) -> None:
        nonlocal seen, position
        while text not in seen[position:]:
            seen += os.read(leader, 65536)
        position = seen.index(text, position) + len(text)

    with subprocess.Popen(
        [*command, *flags],
        stdin=follower,
        stdout=output,
        stderr=follower,
        env=environment(TERM="xterm"),
        start_new_session=True,
    ) as process:
        os.close(follower)
        output.close()
        for question, answer in zip(
            (b"Client id", b"Client secret", b"Redirect"), APPLICATION.values(), strict=True
        ):
            read_until(question)
            read_until(b": ")
            os.write(leader, f"{answer}\r".encode())
        read_until(b"Final address: ")
        address = ADDRESS.search(seen)
        assert address is not None
        final = open_page(address[0].decode())
        os.write(leader, b"https://shop.example/other\r")
        read_until(b"Error: ")
        read_until(b"Final address: ")
        padded = final.replace("?", f"?padding={'x' * 6000}&")
        os.write(leader, f"{padded}\r".encode())
        try:
            while data := os.read(leader, 65536):
                seen += data
        except OSError:  # Linux ends a terminal with an error
            pass
    os.close(leader)
    assert process.returncode == 0, seen[-500:]
    assert b"sandbox-secret" not in seen
    if is_piped:
        assert json.loads((tmp_path / "output").read_bytes())["nickname"] == "TIENDA_EJEMPLO"
    else:
        assert b"logged in as TIENDA_EJEMPLO" in seen
