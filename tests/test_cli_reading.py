"""Commands that read: what they print for people, for pipes, and as JSON."""

import json
import re
from datetime import UTC, datetime

import pytest
from commands import Terminal, invoke, running_sandbox

from mlmsg.cli._moments import moment
from mlmsg.sandbox import Fault, generated_market

PACK, SELLER = "2000007001000022", "700100200"
CLAIM = "5204000022"
ALL = ("--since", "2020-01-01")


def test_a_thread_is_printed_from_old_to_new(terminal: Terminal) -> None:
    done = terminal.run("thread", PACK, TZ="UTC")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "[2024-09-03 12:04] Beatriz:",
        "  Bom dia! Comprei a cafeteira ontem. Vocês emitem nota fiscal?",
        "  > Good morning! I bought the coffee maker yesterday. Do you issue an invoice?",
        "[2024-09-03 13:37] Loja Exemplo (me):",
        "  Bom dia, Beatriz! Sim, a nota fiscal segue em anexo.",
    ]
    (attachment,) = [line for line in lines if "nota fiscal nº 1042.pdf" in line]
    assert attachment.startswith("  @ nota fiscal nº 1042.pdf (2.6 kB)  700100200_")
    assert "\x1b" not in done.stdout


def test_a_thread_marks_nothing_as_read(terminal: Terminal) -> None:
    before = terminal.sandbox.market.unread()
    terminal.run("thread", "2000007001000033")
    terminal.run("unread")
    assert terminal.sandbox.market.unread() == before
    assert not terminal.writes()


def test_a_thread_can_be_cut_to_its_newest_messages(terminal: Terminal) -> None:
    done = terminal.run("thread", PACK, "--limit", "2", TZ="UTC")
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
        "[2024-09-10 22:31] Beatriz:",
        "[2024-09-11 11:59] Loja Exemplo (me):",
    ]


def test_a_thread_as_json_is_one_document(terminal: Terminal) -> None:
    document = terminal.json("thread", PACK)
    assert isinstance(document, dict)
    assert set(document) == {"messages", "status"}
    assert len(document["messages"]) == 8
    assert document["status"]["status"] == "active"
    assert document["messages"][-1]["from"]["name"] == "Beatriz"


def test_a_blocked_thread_says_what_to_do(domestic_terminal: Terminal) -> None:
    done = domestic_terminal.run("thread", "2000007002000066")
    assert done.exit_code == 0
    assert done.stderr.startswith("blocked_by_time: 30 days have passed since")
    assert domestic_terminal.run("thread", "2000007002000066", "--quiet").stderr == ""


def test_a_message_is_printed_by_its_id(terminal: Terminal) -> None:
    found = terminal.sandbox.market.packs[PACK].messages[0]
    assert found.text in terminal.run("message", found.id).stdout
    document = terminal.json("message", found.id)
    assert isinstance(document, dict)
    assert document["id"] == found.id


def test_unread_conversations_are_a_table(terminal: Terminal) -> None:
    lines = terminal.run("unread").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["PACK", "SELLER", "UNREAD"],
        ["2000007001000033", SELLER, "1"],
        ["2000007001000044", SELLER, "1"],
    ]
    document = terminal.json("unread")
    assert isinstance(document, dict)
    assert document["user_id"] == int(SELLER)
    assert document["results"][0] == {
        "pack_id": 2000007001000033,
        "seller_id": int(SELLER),
        "count": 1,
        "resource": f"/packs/2000007001000033/sellers/{SELLER}",
    }


def test_without_unread_messages_a_note_says_so(terminal: Terminal) -> None:
    for pack in terminal.sandbox.market.packs:
        terminal.sandbox.market.mark_as_read(pack)
    done = terminal.run("unread")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no unread messages\n")
    assert terminal.run("unread", "--quiet").stderr == ""


def test_whoami_shows_the_account_and_its_family(
    terminal: Terminal, domestic_terminal: Terminal
) -> None:
    done = terminal.run("whoami")
    assert "family    Global Selling" in done.stdout
    assert f"{SELLER}  MLM   remote" in done.stdout
    document = terminal.json("whoami")
    assert isinstance(document, dict)
    assert (document["id"], document["global_selling"]) == (700100200, True)
    assert document["sellers"][0]["site_id"] == "MLM"
    done = domestic_terminal.run("whoami")
    assert "family    domestic" in done.stdout
    assert "SELLER" not in done.stdout


def test_packs_are_one_line_each(terminal: Terminal) -> None:
    done = terminal.run("packs", *ALL)
    assert (done.exit_code, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["PACK", "UPDATED", "SITE", "SELLER", "ORDERS"]
    assert {line.split()[0] for line in lines} == set(terminal.sandbox.market.packs)
    done = terminal.run("packs", *ALL, "--json")
    packs = [json.loads(line) for line in done.stdout.splitlines()]
    assert {str(pack["pack_id"]) for pack in packs} == set(terminal.sandbox.market.packs)


def test_the_list_of_packs_is_a_list_for_sync(terminal: Terminal, tmp_path: object) -> None:
    listed = terminal.run("packs", *ALL).stdout
    done = terminal.run("sync", "--to", f"{tmp_path}/a", "--packs-from", "-", given=listed)
    assert done.exit_code == 0, done.stderr
    assert "threads 4, " in done.stdout


def test_claims_are_one_line_each(terminal: Terminal) -> None:
    done = terminal.run("claims", *ALL)
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["CLAIM", "UPDATED", "STATUS", "STAGE", "TYPE", "ABOUT"]
    assert {line.split()[0] for line in lines} == set(terminal.sandbox.market.claims)
    none = terminal.run("claims", *ALL, "--status", "closed")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "nothing was found\n")


def test_a_list_that_breaks_off_says_after_how_many_items() -> None:
    with running_sandbox(generated_market(60, claims=0, files=0, site_id="MLB")) as sandbox:
        terminal = Terminal(sandbox, domestic=True)
        sandbox.inject(Fault(action="pass", path="/orders/search", times=3))
        sandbox.inject(Fault(status=403, path="/orders/search"))
        done = terminal.run("packs", *ALL)
    assert done.exit_code == 3
    items = len(done.stdout.splitlines()) - 1
    assert 0 < items <= 60
    assert done.stderr.startswith(f"Error: stopped after {items} items: 403 ")
    assert done.stderr.count("\n") == 1


def test_a_list_that_fails_at_once_has_failed(terminal: Terminal) -> None:
    terminal.sandbox.inject(Fault(status=403, path="/orders/search"))
    done = terminal.run("packs", *ALL)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: 403 ")


@pytest.mark.parametrize("command", ["packs", "claims"])
def test_a_span_that_ends_before_it_begins_is_wrong_use(command: str, terminal: Terminal) -> None:
    done = terminal.run(command, "--since", "2024-08-02", "--until", "2024-08-01")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--until is before --since" in done.stderr
    assert not terminal.sandbox.requests


def test_a_claim_is_shown_in_words(terminal: Terminal) -> None:
    done = terminal.run("claim", "show", CLAIM)
    assert done.exit_code == 0
    assert "stage        dispute" in done.stdout
    assert "respondent   700100200: send message to mediator" in done.stdout
    document = terminal.json("claim", "show", CLAIM)
    assert isinstance(document, dict)
    assert document["claim"]["id"] == int(CLAIM)
    assert document["detail"]["action_responsible"] == "mediator"


def test_claim_messages_are_printed_from_old_to_new(terminal: Terminal) -> None:
    done = terminal.run("claim", "messages", CLAIM, TZ="America/Sao_Paulo")
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert lines[0].endswith("] complainant to respondent:")
    assert lines[1].endswith("] respondent to complainant (me):")
    assert lines == sorted(lines)
    own = terminal.run("claim", "messages", CLAIM, "--own-role", "complainant").stdout
    assert "] complainant to respondent (me):" in own
    assert own.count("(me)") == own.count("] complainant to ")
    document = terminal.json("claim", "messages", CLAIM)
    assert isinstance(document, list)
    assert len(document) == 6


def test_a_file_of_a_claim_is_described(terminal: Terminal) -> None:
    name = next(iter(terminal.sandbox.market.claims[CLAIM].files))
    done = terminal.run("claim", "info", CLAIM, name)
    assert "original name  etiqueta_nova.jpg" in done.stdout
    document = terminal.json("claim", "info", CLAIM, name)
    assert isinstance(document, dict)
    assert document["filename"] == name


def test_reasons_are_a_table(domestic_terminal: Terminal) -> None:
    done = domestic_terminal.run("reasons", "2000007002000044")
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["OPTION", "USABLE", "LEFT", "TAKES"]
    assert ["OTHER", "yes", "1", "text", "of", "350", "characters"] in [
        line.split() for line in lines
    ]
    document = domestic_terminal.json("reasons", "2000007002000044")
    assert isinstance(document, list)
    assert {reason["id"] for reason in document} >= {"OTHER", "DELIVERY_PROMISE"}


ERRORS = [
    pytest.param(("thread", "404404"), 1, "Error: 404 ", id="no pack"),
    pytest.param(("message", "none"), 1, "Error: 404 ", id="no message"),
    pytest.param(("claim", "show", "1"), 1, "Error: 40", id="no claim"),
    pytest.param(("thread", "1/2"), 2, "found '1/2'", id="no id"),
    pytest.param(("thread",), 2, "Missing argument 'PACK'. Try 'mlmsg thread", id="nothing"),
    pytest.param(("claim", "info", "1", "--json=1"), 2, "Try 'mlmsg claim info --help'", id="flag"),
    pytest.param(("claim", "shaw"), 2, "No such command 'shaw'", id="typo"),
    pytest.param(("thread", PACK, "--sandbox"), 2, "remove it, or --base-url", id="contradiction"),
    pytest.param(("send", PACK, "-oi"), 2, "put -- before it, and the options", id="dash"),
    pytest.param(("send", PACK, "oi", "--fil"), 2, "Did you mean", id="no option"),
    pytest.param(("thread", PACK, "--limit", "x"), 2, "allowed: a whole number (1", id="number"),
    pytest.param(("download", "none", "--to", "x"), 1, "The site was MLM; add --site", id="site"),
    pytest.param(("packs", "--since", "yesterday"), 2, "found 'yesterday', allowed: a", id="when"),
    pytest.param(("packs", "--since", "9999999d"), 2, "found '9999999d'", id="too long ago"),
]


@pytest.mark.usefixtures("retries_at_once")
@pytest.mark.parametrize(("arguments", "code", "words"), ERRORS)
def test_an_error_is_one_line(
    arguments: tuple[str, ...], code: int, words: str, terminal: Terminal
) -> None:
    done = terminal.run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_option_is_named_with_the_one_that_it_resembles(terminal: Terminal) -> None:
    stderr = terminal.run("send", PACK, "oi", "--fil").stderr
    # Before version 8.4, click writes no quotes.
    assert re.search(r"No such option:? '?--fil'?\.? Did you mean '?--file'?\?", stderr)


def test_a_rejected_token_says_what_to_do(terminal: Terminal) -> None:
    terminal.sandbox.expire()
    done = terminal.run("thread", PACK)
    assert done.exit_code == 1
    assert "MLMSG_ACCESS_TOKEN" in done.stderr
    assert terminal.sandbox.token not in done.stderr


def test_without_a_token_the_error_says_what_to_set() -> None:
    done = invoke("thread", PACK)
    assert done.exit_code == 2
    assert "MLMSG_ACCESS_TOKEN is not set" in done.stderr


@pytest.mark.usefixtures("retries_at_once")
def test_a_server_that_is_not_there_is_one_line() -> None:
    url = "http://127.0.0.1:9"
    done = invoke("thread", PACK, "--base-url", url, MLMSG_ACCESS_TOKEN="a-token")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1


def test_verbose_prints_each_request_and_no_token(terminal: Terminal) -> None:
    done = terminal.run("thread", "404404", "--verbose")
    assert "packs.page" in done.stderr
    assert "Traceback" in done.stderr
    assert terminal.sandbox.token not in done.stderr


def test_texts_of_others_cannot_control_the_terminal(terminal: Terminal) -> None:
    market = terminal.sandbox.market
    pack = market.add_pack(buyer_name="Eve\x1b]0;owned\x07\u202e")
    market.add_message(pack.id, "one\x1b[2J\r\ntwo\x9b31m\n\nthree", author="buyer")
    done = terminal.run("thread", pack.id)
    assert not [c for c in done.stdout if not c.isprintable() and c != "\n"]
    assert [line for line in done.stdout.splitlines() if line.startswith("  ")] == [
        "  one [2J",
        "  two 31m",
        "  three",
    ]


def test_the_moment_of_an_option_is_aware() -> None:
    assert moment("2024-08-17T09:30:00Z") == datetime(2024, 8, 17, 9, 30, tzinfo=UTC)
    assert moment("2024-08-17").tzinfo is not None
    assert (datetime.now(UTC) - moment("12h")).total_seconds() == pytest.approx(43200, abs=60)
