"""Results as a notebook shows them, and rows for data frames."""

import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Final, Protocol

import msgspec
import pytest

from mlmsg import Claim, ClaimPage, Client, Conversation, Message, RuleError, ThreadPage, Unread
from mlmsg.models import ClaimMessage, ClaimMessages, ConversationStatus, UnreadResult
from mlmsg.sandbox import Sandbox
from mlmsg.sync import Failure, SyncReport, ThreadId
from mlmsg.tables import rows

EVIL: Final = "<script>alert(1)</script><img src=x onerror=y>&\"'"


class Shown(Protocol):
    def _repr_html_(self) -> str: ...


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"@{name}" for name, _ in attrs)}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(value: Shown) -> Tags:
    page = value._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert not tags.open, "every element is closed"
    assert tags.found <= {"div", "table", "tr", "th", "td", "@style"}
    assert "url(" not in page
    return tags


def message(**changes: object) -> Message:
    row = {
        "id": "m1",
        "from": {"user_id": 1, "name": EVIL},
        "text": EVIL,
        "text_translated": EVIL,
        "message_date": {"created": "2026-01-02T03:04:05Z"},
        "message_moderation": {"status": "rejected", "reason": EVIL},
        "message_attachments": [{"filename": "a", "original_filename": EVIL, "size": 536_766}],
        "message_resources": [{"id": "9", "name": "packs"}, {"id": "1", "name": "sellers"}],
    }
    return msgspec.convert(row | changes, Message)


CLAIM_MESSAGE: Final = {
    "sender_role": "respondent", "receiver_role": EVIL, "message": EVIL, "status": "moderated",
    "message_date": "2026-01-02T03:04:05.000-04:00",
    "attachments": [{"filename": EVIL, "original_filename": None, "size": 5}],
}  # fmt: skip
CLAIM: Final = {
    "id": 5, "stage": EVIL, "status": "opened", "last_updated": "2026-01-02T03:04:05.000-04:00",
    "players": [{"role": "complainant", "user_id": 2,
                 "available_actions": [{"action": EVIL}]}],
}  # fmt: skip


def report() -> SyncReport:
    failure = Failure(ThreadId("pack", "1"), EVIL, ValueError(EVIL))
    return SyncReport(threads=1, downloaded=2, bytes=1_500_000, failed=[failure])


SHOWN: Final[dict[str, Shown]] = {
    "a message": message(),
    "a message of nobody": Message(id="m"),
    "a page": ThreadPage(messages=[message(), message(id="m2", message_date=None)]),
    "a conversation": Conversation(messages=[message()] * 500),
    "unread": msgspec.convert({"results": [{"resource": f"/packs/1/{EVIL}", "count": 2}]}, Unread),
    "claim messages": ClaimMessages([msgspec.convert(CLAIM_MESSAGE, ClaimMessage)]),
    "a claim": msgspec.convert(CLAIM, Claim),
    "a page of claims": ClaimPage(claims=[msgspec.convert(CLAIM, Claim)] * 100),
    "a report": report(),
}


@pytest.mark.parametrize("name", SHOWN)
def test_everything_is_escaped_and_nothing_is_fetched(name: str) -> None:
    tags = shown(SHOWN[name])
    assert "script" not in tags.found
    assert len(SHOWN[name]._repr_html_()) < 400_000


def test_sides_times_moderation_and_files_are_shown() -> None:
    theirs = message(**{"from": {"user_id": 2, "name": "Ana"}, "message_moderation": None})
    page = ThreadPage(messages=[message(), theirs])._repr_html_()
    assert len(re.findall("justify-content:flex-end", page)) == 1
    assert len(re.findall("justify-content:flex-start", page)) == 1
    local = datetime(2026, 1, 2, 3, 4, tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    text = shown(ThreadPage(messages=[message()])).text
    assert local in text
    assert "(536.8 kB)" in text
    assert "rejected" in text


def numbered(count: int) -> list[Message]:
    """A thread, newest first: message 1 is the oldest."""
    return [
        message(id=f"m{n}", text=f"text {n}.", message_date={"created": minute(n)})
        for n in range(count, 0, -1)
    ]


def minute(number: int) -> str:
    return f"2026-01-02T{number // 60:02}:{number % 60:02}:00Z"


def said(value: Shown) -> list[int]:
    return [int(number) for number in re.findall(r"text (\d+)\.<", value._repr_html_())]


ORDERS: Final[dict[str, Callable[[list[Message]], list[Message]]]] = {
    "newest first": list,
    "oldest first": lambda messages: messages[::-1],
    "in no order": lambda messages: sorted(messages, key=lambda one: one.id[::-1]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [1, 199, 200, 201, 450])
def test_a_long_thread_shows_its_newest_messages_oldest_first(order: str, count: int) -> None:
    thread = Conversation(messages=ORDERS[order](numbered(count)))
    assert said(thread) == list(range(max(count - 200, 0) + 1, count + 1))
    left_out = f"… and {count - 200} earlier messages"
    assert (left_out in shown(thread).text) == (count > 200)
    assert "more messages" not in shown(thread).text
    assert shown(thread).text.startswith(f"{count} message")


def test_without_all_dates_the_first_message_is_the_newest() -> None:
    undated = message(id="x", text="text 999.", message_date=None)
    thread = Conversation(messages=[*numbered(3), undated])
    assert said(thread) == [999, 1, 2, 3]


def test_claim_messages_are_shown_oldest_first() -> None:
    messages = [
        CLAIM_MESSAGE | {"message": f"text {n}.", "message_date": minute(n)} for n in (3, 1, 2)
    ]
    assert said(ClaimMessages(msgspec.convert(messages, list[ClaimMessage]))) == [1, 2, 3]


def test_a_long_table_says_how_many_messagesare_left_out() -> None:
    results = [{"resource": f"/packs/{n}", "count": 1} for n in range(205)]
    page = shown(msgspec.convert({"results": results}, Unread)).text
    assert "… and 5 more rows" in page


def test_the_repr_of_a_long_thread_is_short() -> None:
    thread = Conversation(messages=[message()] * 500)
    assert repr(thread) == "<Conversation: 500 messages, no state>"
    assert len(repr(ThreadPage(messages=[message()] * 50))) < 80


async def test_answers_of_the_sandbox_become_rows(sandbox: Sandbox, client: Client) -> None:
    pack_id, claim_id = next(iter(sandbox.market.packs)), next(iter(sandbox.market.claims))
    thread = await client.packs.conversation(pack_id)
    found = rows(thread)
    assert len(found) == len(thread.messages)
    assert {tuple(row) for row in found} == {tuple(found[0])}
    assert found[0]["pack_id"] == int(pack_id)
    created = found[0]["created"]
    assert isinstance(created, datetime)
    assert created.tzinfo is UTC
    assert sum(int(str(row["attachments"])) for row in found) == 4
    assert rows(await client.packs.page(pack_id)) == found[:50]
    assert rows(thread.messages[0]) == found[:1]
    assert len(rows(await client.unread.list())) == 2
    assert rows(await client.claims.messages(claim_id))[0]["sender_role"]
    assert rows(await client.claims.get(claim_id))[0]["roles"]


def test_failed_files_and_nothing_become_rows() -> None:
    assert rows(report()) == [
        {"kind": "pack", "id": "1", "filename": EVIL, "error": "ValueError", "message": EVIL}
    ]
    assert rows([]) == rows(Unread(results=[])) == rows(SyncReport()) == []


def test_another_value_has_no_rows() -> None:
    with pytest.raises(RuleError, match="value of `rows`: found str"):
        rows("text")


def test_a_blocked_thread_says_what_to_do() -> None:
    status = ConversationStatus(status="blocked", substatus="blocked_by_time")
    text = shown(Conversation(messages=[message(), message(id="m2")], status=status)).text
    assert text.startswith("2 messages · blocked_by_time")
    assert "pack 9 · 30 days have passed since the last message" in text


def test_times_name_their_zone_where_there_are_any() -> None:
    zone = f"times in {datetime.now().astimezone():%Z}"
    assert zone in shown(Conversation(messages=[message()])).text
    assert "times in" not in shown(Conversation(messages=[message(message_date=None)])).text
    assert "times in" not in shown(SHOWN["unread"]).text


def test_a_column_without_values_is_left_out() -> None:
    with_pack = UnreadResult(resource="/packs/1/sellers/2", count=3)
    with_order = UnreadResult(resource="/orders/4", count=5)
    assert shown(Unread(results=[with_pack])).text == "1 unread conversationpacksellerunread123"
    text = shown(Unread(results=[with_pack, with_order])).text
    assert text == "2 unread conversationspackordersellerunread12345"
    assert shown(Unread(results=[])).found == {"div", "@style"}


@pytest.mark.parametrize("own_role", ["respondent", "complainant"])
def test_the_own_messages_of_a_claim_are_on_the_right(own_role: str) -> None:
    messages = ClaimMessages(
        ClaimMessage(sender_role=role, message=role) for role in ("complainant", "respondent")
    )
    if own_role != "respondent":
        messages.own_role = own_role
    html = pickle.loads(pickle.dumps(messages))._repr_html_()  # noqa: S301
    assert re.findall(r"justify-content:flex-end.*?>(\w+) · ", html) == [own_role]


def test_a_claim_shows_what_it_is_about() -> None:
    claim = msgspec.convert(
        CLAIM | {"type": "mediations", "resource": "order", "resource_id": 7, "stage": "claim"},
        Claim,
    )
    local = datetime(2026, 1, 2, 7, 4, 5, tzinfo=UTC).astimezone()
    about = f"mediations · order 7 · updated {local:%Y-%m-%d %H:%M %Z}"
    assert shown(claim).text.startswith(f"Claim 5 · claim · opened{about}")
