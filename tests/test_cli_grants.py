"""Grant files of the command line: tokens refresh by themselves, and nothing shows a secret."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from commands import invoke, running_sandbox

from mlmsg.cli._grant_file import Grant, default_path
from mlmsg.sandbox import Sandbox, example_market

PACK = "2000007001000011"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def grant_for(sandbox: Sandbox, **changes: object) -> Grant:
    grant = Grant(
        access_token="",
        refresh_token=sandbox.grant.refresh_token,
        client_id=sandbox.grant.client_id,
        client_secret=sandbox.grant.client_secret,
        base_url=sandbox.url,
        site_id=sandbox.market.site_id,
    )
    return msgspec.structs.replace(grant, **changes)


def write(path: Path, grant: Grant) -> str:
    path.write_bytes(msgspec.json.encode(grant))
    path.chmod(0o600)
    return str(path)


def test_a_command_refreshes_the_grant_and_keeps_all_of_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "grant.json"
    before = grant_for(sandbox)
    done = invoke("whoami", "--grant", write(path, before))
    assert done.exit_code == 0, done.stderr
    assert sandbox.grant.refreshes == 1
    after = msgspec.json.decode(path.read_bytes(), type=Grant)
    assert after.refresh_token == sandbox.grant.refresh_token != before.refresh_token
    assert after.access_token == sandbox.grant.access_token
    kept = ("client_id", "client_secret", "base_url", "site_id")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert invoke("whoami", "--grant", str(path)).exit_code == 0
    assert sandbox.grant.refreshes == 1  # the new token is used again


@pytest.mark.parametrize("way", ["variable", "default"])
def test_the_grant_file_is_found_without_an_option(
    way: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "mlmsg" / "grant.json"
    path.parent.mkdir()
    write(path, grant_for(sandbox))
    variables = {"MLMSG_GRANT": str(path)} if way == "variable" else {}
    done = invoke("whoami", **{"XDG_CONFIG_HOME": str(tmp_path), **variables})
    assert done.exit_code == 0, done.stderr


def test_a_token_of_the_environment_comes_before_a_grant_that_is_not_an_option(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = write(tmp_path / "grant.json", grant_for(sandbox))
    token = {"MLMSG_ACCESS_TOKEN": sandbox.token, "MLMSG_GRANT": path}
    assert invoke("whoami", "--base-url", sandbox.url, **token).exit_code == 0
    assert sandbox.grant.refreshes == 0
    assert invoke("whoami", "--grant", path, **token).exit_code == 0
    assert sandbox.grant.refreshes == 1


def test_the_application_may_be_in_the_environment(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path / "grant.json", grant_for(sandbox, client_id=None, client_secret=None))
    done = invoke("whoami", "--grant", path)
    assert done.exit_code == 2
    assert "set MLMSG_CLIENT_ID" in done.stderr
    application = {
        "MLMSG_CLIENT_ID": sandbox.grant.client_id,
        "MLMSG_CLIENT_SECRET": sandbox.grant.client_secret,
    }
    assert invoke("whoami", "--grant", path, **application).exit_code == 0


def test_a_domestic_grant_needs_no_flag(tmp_path: Path) -> None:
    with running_sandbox(example_market("MLB")) as sandbox:
        path = write(tmp_path / "grant.json", grant_for(sandbox))
        done = invoke("thread", "2000007002000011", "--grant", path)
        assert done.exit_code == 0, done.stderr
        assert sandbox.requests[-1].path.startswith("/messages/packs/")


def test_a_grant_that_has_ended_says_login(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write(tmp_path / "grant.json", grant_for(sandbox, refresh_token="used-before"))
    done = invoke("thread", PACK, "--grant", path)
    assert done.exit_code == 1
    assert done.stderr.endswith("Run `mlmsg login`\n")
    assert done.stderr.count("\n") == 1


DAMAGED = {
    "empty": b"",
    "another file": b"{}",
    "not JSON": b"hello",
    "not text": b"\xff\xfe\x00",
    "half": b'{"access_token": "secret-token-of-mine", "refresh_tok',
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("flags", [(), ("--verbose",)])
def test_a_damaged_grant_file_is_one_line_without_its_content(
    case: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "grant.json"
    path.write_bytes(DAMAGED[case])
    done = invoke("whoami", "--grant", str(path), *flags)
    assert done.exit_code == 2
    assert f"'{path}'" in done.stderr
    assert "mlmsg login" in done.stderr
    assert "secret" not in done.stderr


def test_a_grant_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = invoke("whoami", "--grant", f"{tmp_path}/none.json")
    assert (done.exit_code, done.stderr) == (
        1,
        f"Error: {tmp_path}/none.json: No such file or directory\n",
    )


@pytest.mark.slow  # a refused connection is tried again
@pytest.mark.usefixtures("retries_at_once")
def test_a_sandbox_that_has_stopped_is_named(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        url = sandbox.url
        path = write(tmp_path / "grant.json", grant_for(sandbox, access_token="kept-token"))
    done = invoke("whoami", "--grant", path)
    assert done.exit_code == 1
    assert f"Is the sandbox at {url} still running?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_grant_does_not_show_its_secrets(sandbox: Sandbox) -> None:
    grant = grant_for(sandbox)
    assert "secret" not in repr(grant)
    assert "refresh" not in repr(grant)


def test_no_output_holds_a_secret(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "grant.json"
    write(path, grant_for(sandbox))
    outputs = [
        invoke(*arguments, "--grant", str(path), "--verbose")
        for arguments in (("whoami", "--json"), ("thread", "404"), ("packs",))
    ]
    stored = json.loads(path.read_bytes())
    secrets = [stored[name] for name in ("access_token", "refresh_token", "client_secret")]
    for done in outputs:
        assert not [secret for secret in secrets if secret in done.stdout + done.stderr]


def test_the_default_path_is_in_the_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLMSG_GRANT", raising=False)
    assert default_path().name == "grant.json"
    monkeypatch.setenv("MLMSG_GRANT", "~/mine.json")
    assert default_path() == Path.home() / "mine.json"
