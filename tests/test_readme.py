"""The code of the README runs against the sandbox, and prints what the README shows."""

import ast
import inspect
import json
import re
import shlex
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import readme
from anyio import to_thread
from click.testing import CliRunner
from user_tests import run_pytest

import mlmsg
from mlmsg import Client
from mlmsg.cli import cli
from mlmsg.sandbox import Sandbox


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with the files that the README names."""
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.4 invoice")
    (tmp_path / "evidence.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run_block(code: str, names: dict[str, object]) -> None:
    """Run a block as a notebook would: `await` may stand at its top level."""
    compiled = compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if inspect.isawaitable(result):
        await result


async def test_every_fragment_runs_by_itself(
    folder: Path, sandbox: Sandbox, client: Client
) -> None:
    pack_id = next(iter(sandbox.market.packs))
    page = await client.packs.page(pack_id)
    attachments = [file.filename for message in page.messages for file in message.attachments]
    declared = {
        "client": client,
        "pack_id": pack_id,
        "claim_id": next(iter(sandbox.market.claims)),
        "attachment_id": attachments[0],
    }
    assert declared.keys() == readme.DECLARED.keys()
    for fragment in readme.fragments():
        await run_block(fragment, {**declared})
    assert {"archive", "evidence"} <= {path.name for path in folder.iterdir()}
    uploaded = [file.original_filename for file in sandbox.market.files.values()]
    assert uploaded[-4:] == ["orders.csv", "invoice.pdf", "export.txt", "export.txt"]


def test_the_first_program_prints_what_the_readme_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = readme.programs()
    exec(compile(first, "first.py", "exec"), {"__name__": "__main__"})
    shown, *_ = readme.blocks("text")
    assert capsys.readouterr().out == shown


async def test_the_program_for_a_real_account_runs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, real, *others = readme.programs()
    assert not others
    assert "Client(os.environ[" in real
    here = real.replace('"])', f'"], base_url="{sandbox.url}")')
    monkeypatch.setenv("MLMSG_ACCESS_TOKEN", sandbox.token)
    await to_thread.run_sync(exec, compile(here, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "2 conversations with unread messages\n"


async def test_the_program_for_the_first_token_logs_in(
    sandbox: Sandbox,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (program,) = [block for block in readme.fragments() if "Authorization(" in block]
    sandbox.grant.client_id, sandbox.grant.client_secret = "1234567890", "client-secret"

    def paste(_: str) -> str:
        address = urlsplit(capsys.readouterr().out.split()[-1])
        connection = HTTPConnection(address.netloc, timeout=10)
        connection.request("GET", f"{address.path}?{address.query}")
        final = connection.getresponse().headers["Location"]
        connection.close()
        return final

    monkeypatch.setattr("builtins.input", paste)
    here = program.replace('site_id="MLM"', f'site_id="MLM", base_url="{sandbox.url}"')
    run = f"{here}\nimport asyncio\nasyncio.run(log_in())"
    await to_thread.run_sync(exec, compile(run, "README.md", "exec"), {})
    token = await mlmsg.FileTokenStore("grant.json").load()
    assert token is not None
    assert token.refresh_token == sandbox.grant.refresh_token


LARGE_BODY = """

@pytest.mark.asyncio
async def test_a_file(mocked: aioresponses) -> None:
    path = "/marketplace/messages/attachments/a?site_id=MLM&tag=post_sale"
    mocked.get(f"https://api.mercadolibre.com{path}", body=b"x" * 1_000_000)
    async with Client("any-token") as client:
        async with client.attachments.open("a", site_id="MLM") as download:
            assert len(await download.read()) == 1_000_000
"""


@pytest.mark.slow
def test_the_test_modules_of_the_readme_pass(tmp_path: Path) -> None:
    plugin, market, fixture = readme.pytest_modules()
    (tmp_path / "test_plugin.py").write_text(plugin, encoding="utf-8")
    (tmp_path / "test_market.py").write_text(market, encoding="utf-8")
    (tmp_path / "test_fixture.py").write_text(fixture + LARGE_BODY, encoding="utf-8")
    assert "6 passed" in run_pytest(tmp_path)


@pytest.mark.slow
async def test_the_service_with_fastapi(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (service,) = readme.services()
    here = service.replace('_TOKEN"])', f'_TOKEN"], base_url="{sandbox.url}")')
    assert here != service
    monkeypatch.syspath_prepend(str(readme.PATH.parent / "examples"))
    monkeypatch.setenv("MLMSG_ACCESS_TOKEN", sandbox.token)
    monkeypatch.setenv("MLMSG_CLIENT_ID", str(sandbox.grant.client_id))
    names: dict[str, Any] = {}
    exec(compile(here, "README.md", "exec"), names)
    app = names["app"]
    message = sandbox.market.add_message(next(iter(sandbox.market.packs)), "¿Ya?", author="buyer")
    resource = f"/marketplace/messages/{message.id}"
    body = {"topic": "marketplace_messages", "resource": resource, "user_id": 1}
    async with app.router.lifespan_context(app):
        assert await post(app, json.dumps(body).encode()) == 200
        assert await post(app, b"{}") == 400
        await app.state.inbox.idle()
    assert [request.status for request in sandbox.requests].count(201) == 3  # two were unread


async def post(app: Callable[..., Awaitable[None]], body: bytes) -> int:
    """Send a POST to an ASGI application, and return the status."""
    scope = {
        "type": "http", "method": "POST", "path": "/notifications", "headers": [],
        "query_string": b"", "root_path": "",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    return int(sent[0]["status"])


async def test_the_rule_error_in_the_readme_is_the_one_that_is_raised(client: Client) -> None:
    with pytest.raises(ValueError, match="found 26") as caught:
        await client.packs.send(1, "Factura", files=[b"%PDF-1.4"] * 26, site_id="MLM")
    assert f"# {caught.value}" in readme.TEXT


def test_the_first_two_shell_blocks_are_one_command_each() -> None:
    run_it, test_it, *_ = readme.blocks("sh")
    assert run_it.count("\n") == test_it.count("\n") == 1
    assert "mlmsg sync --sandbox --to" in run_it
    assert "pytest" in test_it


def test_the_command_lines_are_understood() -> None:
    lines = [line for block in readme.blocks("sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("mlmsg ")]
    assert commands
    for command in commands:
        # Options are parsed before --help is obeyed.
        result = CliRunner().invoke(cli, [*shlex.split(command)[1:], "--help"])
        assert result.exit_code == 0, result.output


def test_the_table_of_commands_names_every_command() -> None:
    named = set(re.findall(r"`([a-z-]+)[^`]*`", readme.section("The command line")))
    assert set(cli.commands) - named == set()


def test_the_links_inside_the_readme_have_targets() -> None:
    headings = re.findall(r"^#+ (.+)$", readme.TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", readme.TEXT))
    assert links <= anchors
    files = re.findall(r"\]\((?!#|https:)([^)]+)\)", readme.TEXT)
    assert [name for name in files if not (readme.PATH.parent / name).exists()] == []


def test_the_section_on_errors_names_every_error() -> None:
    public = [value for value in vars(mlmsg).values() if isinstance(value, type)]
    errors = {kind.__name__ for kind in public if issubclass(kind, mlmsg.MlmsgError)}
    assert errors - set(re.findall(r"`(\w+)`", readme.section("Errors"))) == set()


def test_the_table_of_rooms_names_what_exists() -> None:
    package = Path(mlmsg.__file__).parent
    rooms = re.findall(r"`([a-z_]+(?:\.py|/))`", readme.section("How it works"))
    assert [room for room in rooms if not (package / room).exists()] == []
    listed = {room.removesuffix(".py").rstrip("/") for room in rooms}
    public = {path.stem for path in package.iterdir() if not path.name.startswith(("_", "."))}
    assert public - listed - {"LICENSE", "py"} == set()
