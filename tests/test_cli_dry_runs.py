"""Dry runs: they write nothing, and refuse what the real run refuses."""

from pathlib import Path

import pytest
from commands import Terminal

PACK = "2000007001000022"
UNREAD, SELLER = "2000007001000033", "700100200"
CLAIM = "5204000011"

FIRST = "2000007002000044"
"""A domestic pack whose conversation must begin with a reason."""

DRY_RUNS = {
    "send": ("send", PACK, "Hola", "--translated", "Hi", "--file", "PICTURE"),
    "upload": ("upload", "PICTURE", "--site-id", "MLB"),
    "mark-read": ("mark-read", UNREAD, SELLER),
    "claim send": ("claim", "send", CLAIM, "Hola", "--file", "PICTURE"),
    "claim upload": ("claim", "upload", CLAIM, "PICTURE"),
}
DOMESTIC_DRY_RUNS = {
    "send": ("send", "2000007002000011", "Olá"),
    "reasons": ("reasons", FIRST, "--send", "OTHER", "--text", "Olá"),
    "a template": ("reasons", FIRST, "--send", "REQUEST_VARIANTS"),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Return the paths of files by the words that stand for them in the tables."""
    contents = {"PICTURE": b"\x89PNG\r\n\x1a\n" + bytes(100), "EMPTY": b"", "TEXT": b"text"}
    names = {"PICTURE": "foto.png", "EMPTY": "empty.png", "TEXT": "text.txt"}
    for word, data in contents.items():
        (tmp_path / names[word]).write_bytes(data)
    return {word: str(tmp_path / name) for word, name in names.items()}


def check_dry_run(terminal: Terminal, arguments: list[str]) -> None:
    before = terminal.sandbox.market.unread()
    done = terminal.run(*arguments, "--dry-run")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("dry run: ")
    document = terminal.json(*arguments, "--dry-run")
    assert isinstance(document, dict)
    assert document["dry_run"] is True
    assert not terminal.writes()
    assert terminal.sandbox.market.unread() == before


@pytest.mark.parametrize("command", DRY_RUNS)
def test_a_dry_run_writes_nothing(command: str, terminal: Terminal, files: dict[str, str]) -> None:
    check_dry_run(terminal, [files.get(word, word) for word in DRY_RUNS[command]])


@pytest.mark.parametrize("command", DOMESTIC_DRY_RUNS)
def test_a_domestic_dry_run_writes_nothing(command: str, domestic_terminal: Terminal) -> None:
    check_dry_run(domestic_terminal, list(DOMESTIC_DRY_RUNS[command]))


def test_a_dry_run_shows_the_message(terminal: Terminal, files: dict[str, str]) -> None:
    done = terminal.run("send", PACK, "Hola", "--file", files["PICTURE"], "--dry-run")
    assert done.stdout.splitlines() == [
        "dry run: nothing was sent. This would be sent:",
        f"pack   {PACK}",
        "text   'Hola'",
        "files  foto.png (108 bytes, image/png)",
    ]


def test_a_dry_run_counts_the_messages_that_it_does_not_mark(terminal: Terminal) -> None:
    done = terminal.run("mark-read", UNREAD, SELLER, "--dry-run")
    assert done.stdout == (
        f"dry run: 1 message of pack {UNREAD} to seller {SELLER} would be marked as read\n"
    )


BROKEN = {
    "an empty text": (("send", PACK, ""), "TEXT of a message: found an empty text"),
    "an empty translation": (("send", PACK, "Hola", "--translated", ""), "--translated of a"),
    "no id of a pack": (("send", "1/2", "Hola"), "PACK: found '1/2'"),
    "an empty file": (("send", PACK, "Hola", "--file", "EMPTY"), "0 bytes (empty)"),
    "a file that is not there": (("send", PACK, "Hola", "--file", "none.png"), "does not exist"),
    "too many files": (("send", PACK, "Hola", *["--file", "PICTURE"] * 26), "found 26"),
    "a site of a message": (
        ("send", PACK, "Hola", "--file", "PICTURE", "--site-id", "MLX"),
        "--site-id for a file: found 'MLX'",
    ),
    "a recipient": (("send", PACK, "Hola", "--to", "5"), "--to is for domestic sellers"),
    "a name of an upload": (("upload", "PICTURE", "--name", "a/b.png"), "found 'a/b.png'"),
    "a site of an upload": (("upload", "PICTURE", "--site-id", "CBT"), "found 'CBT'"),
    "no id to mark": (("mark-read", "1/2", SELLER), "PACK: found '1/2'"),
    "no seller to mark": (("mark-read", UNREAD, "a b"), "SELLER: found 'a b'"),
    "a kind of a claim's file": (("claim", "upload", CLAIM, "TEXT"), "kind of a claim file"),
    "no id of a claim": (("claim", "upload", "1/2", "PICTURE"), "CLAIM: found '1/2'"),
    "a role": (("claim", "send", CLAIM, "Hola", "--to", "judge"), "'judge' is not one of"),
    "a role without an action": (
        ("claim", "send", CLAIM, "Hola", "--to", "mediator"),
        "allowed: a message to complainant",
    ),
    "a claim that is not there": (("claim", "send", "404", "Hola"), "40"),
}
DOMESTIC_BROKEN = {
    "no recipient": (("send", "2000007002000033", "Olá"), "Add --to, the user id"),
    "no id of a recipient": (("send", "2000007002000033", "Olá", "--to", "x"), "--to: found 'x'"),
    "a text that is too long": (("send", "2000007002000011", "x" * 4000), "length of TEXT: found"),
    "a translation": (("send", "2000007002000011", "x", "--translated", "y"), "--translated is"),
    "an unknown reason": (("reasons", FIRST, "--send", "NONE"), "found 'NONE', allowed: REQ"),
    "no text": (("reasons", FIRST, "--send", "OTHER"), "--text or --template of a reason"),
    "an empty text": (("reasons", FIRST, "--send", "OTHER", "--text", ""), "an empty text"),
    "a long text": (("reasons", FIRST, "--send", "OTHER", "--text", "x" * 351), "at most 350"),
    "another template": (
        ("reasons", FIRST, "--send", "REQUEST_VARIANTS", "--template", "x"),
        "--template of REQUEST_VARIANTS: found 'x'",
    ),
    "no variables": (("reasons", FIRST, "--send", "DELIVERY_PROMISE"), "Add --var ID=NUMBER"),
    "a text alone": (("reasons", FIRST, "--text", ""), "--text, --template and --var belong"),
}


def check_refusal(terminal: Terminal, arguments: list[str], words: str) -> None:
    real = terminal.run(*arguments)
    assert real.exit_code in {1, 2}
    assert real.stdout == ""
    assert words in real.stderr
    assert not terminal.writes()
    dry = terminal.run(*arguments, "--dry-run")
    assert (dry.exit_code, dry.stdout, dry.stderr) == (real.exit_code, "", real.stderr)
    assert not terminal.writes()


@pytest.mark.parametrize("case", BROKEN)
def test_a_dry_run_refuses_what_the_real_run_refuses(
    case: str, terminal: Terminal, files: dict[str, str]
) -> None:
    arguments, words = BROKEN[case]
    check_refusal(terminal, [files.get(word, word) for word in arguments], words)


@pytest.mark.parametrize("case", DOMESTIC_BROKEN)
def test_a_domestic_dry_run_refuses_what_the_real_run_refuses(
    case: str, domestic_terminal: Terminal
) -> None:
    arguments, words = DOMESTIC_BROKEN[case]
    check_refusal(domestic_terminal, list(arguments), words)
