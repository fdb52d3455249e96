"""Commands that write: what reaches the API, dry runs, lost answers, and moderation."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from commands import Terminal

from mlmsg.cli import _sending
from mlmsg.sandbox import Fault, RecordedRequest

PACK = "2000007001000022"
UNREAD, SELLER = "2000007001000033", "700100200"
CLAIM = "5204000011"


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sending, "RECONCILE_DELAYS", (0.0, 0.0))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "foto.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return str(path)


def test_a_message_is_sent_with_its_files(terminal: Terminal, picture: str) -> None:
    done = terminal.run("send", PACK, "¡Hola!", "--translated", "Hi!", "--file", picture)
    message = terminal.sandbox.market.packs[PACK].messages[0]
    assert (done.exit_code, done.stdout) == (0, f"sent as {message.id}\n")
    assert (message.text, message.text_translated) == ("¡Hola!", "Hi!")
    assert [file.original_filename for file in message.message_attachments or ()] == ["foto.png"]


def test_a_text_is_read_from_standard_input(terminal: Terminal) -> None:
    done = terminal.run("send", PACK, "-", given="línea 1\nlínea 2\n")
    assert done.exit_code == 0
    assert terminal.sandbox.market.packs[PACK].messages[0].text == "línea 1\nlínea 2"
    done = terminal.run("send", PACK, "-", given=b"uno\nse\xf1or")
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: standard input, line 2: found bytes that are not UTF-8\n",
    )


def test_a_domestic_message_goes_to_the_buyer_or_to_the_given_user(
    domestic_terminal: Terminal,
) -> None:
    assert domestic_terminal.run("send", "2000007002000011", "Olá").exit_code == 0
    assert (
        domestic_terminal.run("send", "2000007002000011", "Olá", "--to", "700500011").exit_code == 0
    )
    assert len(domestic_terminal.writes()) == 2


def test_an_unknown_recipient_is_explained_in_options_and_commands(
    domestic_terminal: Terminal,
) -> None:
    done = domestic_terminal.run("send", "2000007002000033", "Olá")
    assert done.exit_code == 1
    assert "Add --to, the user id of the buyer or agent; or start with `mlmsg reasons`" in (
        done.stderr
    )
    done = domestic_terminal.run("send", "2000007002000044", "Olá")
    assert done.stderr.endswith("Start the conversation with a reason: `mlmsg reasons PACK`\n")


def test_a_lost_answer_is_looked_up_in_the_thread(terminal: Terminal) -> None:
    terminal.sandbox.inject(Fault(action="lose", method="POST"))
    done = terminal.run("send", PACK, "Una sola vez")
    messages = terminal.sandbox.market.packs[PACK].messages
    assert [message.text for message in messages].count("Una sola vez") == 1
    assert (done.exit_code, done.stdout) == (0, f"sent as {messages[0].id}\n")
    assert done.stderr == "the answer was lost; searching the thread for the message\n"


def test_a_message_that_is_not_there_may_or_may_not_have_been_delivered(
    terminal: Terminal,
) -> None:
    terminal.sandbox.inject(Fault(action="drop", method="POST"))
    done = terminal.run("send", PACK, "Quizás", "--quiet")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the message may or may not have been delivered: ")
    assert done.stderr.endswith("Read the thread before you send the message again\n")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", ["the answer", "the search"])
def test_stopped_after_the_message_left_it_says_that_it_may_have_been_delivered(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals, delay: str
) -> None:
    sandbox = terminal.sandbox
    if delay == "the answer":
        sandbox.inject(Fault(action="pass", delay=30, method="POST"))
    else:
        sandbox.inject(Fault(action="drop", method="POST"))
        monkeypatch.setattr(_sending, "RECONCILE_DELAYS", (60.0,))

    def kill_when_sent() -> None:
        while not sandbox.requests:
            time.sleep(0.005)
        time.sleep(0.05)  # until it waits for the answer, or for the search
        os.kill(os.getpid(), stop)

    thread = threading.Thread(target=kill_when_sent)
    thread.start()
    done = terminal.run("send", PACK, "Hola", "--quiet")
    thread.join()
    assert done.exit_code == (130 if stop is signal.SIGINT else 3)
    word = "interrupted" if stop is signal.SIGINT else "terminated"
    advice = f"Look at the thread before you send it again: `mlmsg thread {PACK}`"
    assert done.stderr == f"Error: {word}: the message may have been delivered. {advice}\n"


def test_a_rejected_message_is_a_failure(terminal: Terminal) -> None:
    terminal.sandbox.send_rejection = "OUT_OF_PLACE_LANGUAGE"
    done = terminal.run("send", PACK, "…")
    assert done.exit_code == 1
    assert done.stdout.startswith("sent as ")
    assert done.stderr.startswith("moderation: rejected: OUT_OF_PLACE_LANGUAGE. ")
    shown = terminal.run("thread", PACK, "--limit", "1").stdout
    assert "  ! rejected: OUT_OF_PLACE_LANGUAGE. " in shown  # and what to change


def test_a_conversation_is_marked_as_read(terminal: Terminal) -> None:
    done = terminal.run("mark-read", UNREAD, SELLER)
    assert done.exit_code == 0
    assert f"marked pack {UNREAD} of seller {SELLER} as read" in done.stdout
    assert UNREAD not in terminal.run("unread").stdout


def test_a_file_is_uploaded(terminal: Terminal, picture: str) -> None:
    done = terminal.run("upload", picture, "--name", "Caja dañada.png")
    stored = terminal.sandbox.market.files[done.stdout.strip()]
    assert stored.original_filename == "Caja dañada.png"
    assert stored.data == Path(picture).read_bytes()
    document = terminal.json("upload", picture)
    assert isinstance(document, dict)
    assert document["id"] in terminal.sandbox.market.files


def test_a_message_of_a_claim_is_sent_with_its_files(terminal: Terminal, picture: str) -> None:
    done = terminal.run("claim", "send", CLAIM, "Hola", "--file", picture)
    message = terminal.sandbox.market.claims[CLAIM].messages[0]
    assert done.exit_code == 0, done.stderr
    assert (message.message, message.receiver_role) == ("Hola", "complainant")
    assert len(message.attachments) == 1


def test_a_role_that_the_claim_does_not_accept_now_is_a_failure(terminal: Terminal) -> None:
    done = terminal.run("claim", "send", CLAIM, "Hola", "--to", "mediator")
    assert done.exit_code == 1
    assert "allowed: a message to complainant" in done.stderr
    assert not terminal.writes()


def test_a_file_of_a_claim_is_uploaded(terminal: Terminal, picture: str) -> None:
    name = terminal.run("claim", "upload", CLAIM, picture).stdout.strip()
    assert name in terminal.sandbox.market.claims[CLAIM].files


def test_a_conversation_is_started_by_a_reason(domestic_terminal: Terminal) -> None:
    pack = "2000007002000044"
    dry = domestic_terminal.run("reasons", pack, "--send", "OTHER", "--text", "Olá", "--dry-run")
    assert dry.exit_code == 0
    assert not domestic_terminal.writes()
    done = domestic_terminal.run("reasons", pack, "--send", "other", "--text", "Olá")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("sent as ")
    again = domestic_terminal.run("reasons", pack, "--send", "OTHER", "--text", "Olá")
    assert again.exit_code in {1, 2}


def test_a_template_needs_no_id_if_there_is_only_one(domestic_terminal: Terminal) -> None:
    done = domestic_terminal.run("reasons", "2000007002000044", "--send", "REQUEST_VARIANTS")
    assert done.exit_code == 0, done.stderr


REASONS = [
    pytest.param(("--text", "Olá"), "belong to --send", id="text alone"),
    pytest.param(("--send", "NONE"), "found 'NONE', allowed: REQUEST_VARIANTS", id="unknown"),
    pytest.param(("--send", "DELIVERY_PROMISE", "--var", "a"), "allowed: ID=NUMBER", id="variable"),
    pytest.param(("--send", "OTHER"), "--text or --template of a reason", id="no text"),
]


@pytest.mark.parametrize(("arguments", "words"), REASONS)
def test_wrong_use_of_a_reason_is_explained(
    arguments: tuple[str, ...], words: str, domestic_terminal: Terminal
) -> None:
    done = domestic_terminal.run("reasons", "2000007002000044", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not domestic_terminal.writes()


def test_an_attachment_is_downloaded(terminal: Terminal, tmp_path: Path) -> None:
    name, stored = next(iter(terminal.sandbox.market.files.items()))
    done = terminal.run("download", name, "--to", f"{tmp_path}/a.png")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes() == stored.data
    again = terminal.run("download", name, "--to", f"{tmp_path}/a.png")
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: '{tmp_path}/a.png' exists. Add --overwrite to replace it\n",
    )
    document = terminal.json("download", name, "--to", f"{tmp_path}/a.png", "--overwrite")
    assert isinstance(document, dict)
    assert (document["path"], document["size"]) == (f"{tmp_path}/a.png", len(stored.data))


def test_a_file_of_a_claim_is_downloaded_to_a_folder(terminal: Terminal, tmp_path: Path) -> None:
    name, stored = next(iter(terminal.sandbox.market.claims[CLAIM].files.items()))
    done = terminal.run("claim", "download", CLAIM, name, "--to", f"{tmp_path}/new/")
    assert done.exit_code == 0, done.stderr
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [stored.data]


def test_a_domestic_file_is_downloaded_from_the_site_of_the_account(
    domestic_terminal: Terminal, tmp_path: Path
) -> None:
    stored = domestic_terminal.sandbox.market.add_file(b"data", "a.bin")
    done = domestic_terminal.run("download", stored.id, "--to", str(tmp_path))
    assert done.exit_code == 0, done.stderr
    assert domestic_terminal.sandbox.requests[-1].query["site_id"] == "MLB"


SITES = {
    "the thread": (("2000007001000022",), "MLB", ""),
    "the option": (("2000007001000022", "--site-id", "mco"), "MCO", ""),
    "one of several": (("3000007001000000",), "MLM", "taking the site MLM; add --site-id"),
}


@pytest.mark.parametrize("case", SITES)
def test_a_file_goes_to_the_site_of(case: str, terminal: Terminal, picture: str) -> None:
    (pack, *options), site, note = SITES[case]
    terminal.sandbox.market.add_pack("3000007001000000")  # nobody has written yet
    done = terminal.run("send", pack, "Hola", "--file", picture, *options)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.startswith(note)
    assert done.stderr.count("\n") == bool(note)
    assert upload_of(terminal).query["site_id"] == site


def test_the_file_of_a_first_domestic_message_goes_to_the_site_of_the_account(
    domestic_terminal: Terminal, picture: str
) -> None:
    pack = domestic_terminal.sandbox.market.add_pack("3000007001000000")
    arguments = ("send", pack.id, "Olá", "--file", picture, "--to", str(pack.buyer_id))
    domestic_terminal.run(*arguments)
    assert upload_of(domestic_terminal).query["site_id"] == "MLB"


def upload_of(terminal: Terminal) -> RecordedRequest:
    return next(
        request for request in terminal.sandbox.requests if request.path.endswith("/attachments")
    )
