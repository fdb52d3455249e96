"""`OutcomeUnknown.reconcile`: which message a send became whose answer was lost."""

import asyncio
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import msgspec
import pytest
from calls import AT_ONCE, TOKEN
from rawserver import Peer, Step, answers, in_turn, raw_server, sends

from mlmsg import (
    ClaimMessage,
    Client,
    Message,
    NotFound,
    OutcomeUnknown,
    ServerError,
    UsageError,
)
from mlmsg.sandbox import Fault, Sandbox

LOST = {
    "lost": Fault(action="lose", method="POST"),
    "cut": Fault(action="cut", method="POST"),
}
NEVER = {
    "dropped": Fault(action="drop", method="POST"),
    "500": Fault(status=500, method="POST"),
    "504": Fault(status=504, method="POST"),
}


def first_pack(sandbox: Sandbox) -> str:
    return next(iter(sandbox.market.packs))


def first_claim(sandbox: Sandbox) -> str:
    return next(iter(sandbox.market.claims))


async def unknown_send(client: Client, pack_id: str, text: str = "Hola") -> OutcomeUnknown:
    with pytest.raises(OutcomeUnknown) as caught:
        await client.packs.send(pack_id, text)
    return caught.value


async def test_a_message_that_was_delivered_is_found(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(LOST["lost"])
    error = await unknown_send(client, first_pack(sandbox), "  Hola,\r\n¿cómo estás? ")
    found = await error.reconcile()
    assert isinstance(found, Message)
    assert found.id == sandbox.market.packs[first_pack(sandbox)].messages[0].id


async def test_what_was_found_is_found_again(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(LOST["lost"])
    error = await unknown_send(client, first_pack(sandbox))
    assert await error.reconcile() is not None
    assert await error.reconcile() is not None


@pytest.mark.parametrize("fault", NEVER.values(), ids=NEVER)
async def test_a_message_that_was_not_delivered_is_none(
    fault: Fault, sandbox: Sandbox, client: Client
) -> None:
    sandbox.inject(fault)
    error = await unknown_send(client, first_pack(sandbox))
    assert await error.reconcile() is None


async def test_reconciling_marks_nothing_as_read(sandbox: Sandbox, client: Client) -> None:
    pack = first_pack(sandbox)
    sandbox.market.add_message(pack, "¿Hola?", author="buyer")
    before = sandbox.market.unread("seller")
    sandbox.inject(LOST["lost"])
    await (await unknown_send(client, pack)).reconcile()
    assert sandbox.market.unread("seller") == before
    assert {request.method for request in sandbox.requests[1:]} == {"GET"}


async def test_the_same_text_of_the_buyer_is_not_ours(sandbox: Sandbox, client: Client) -> None:
    sandbox.inject(NEVER["dropped"])
    error = await unknown_send(client, first_pack(sandbox), "Gracias")
    sandbox.market.add_message(first_pack(sandbox), "Gracias", author="buyer")
    assert await error.reconcile() is None


async def test_another_send_of_the_same_text_does_not_match(
    sandbox: Sandbox, client: Client
) -> None:
    pack = first_pack(sandbox)
    await client.packs.send(pack, "Gracias")
    sandbox.inject(NEVER["dropped"])
    error = await unknown_send(client, pack, "Gracias")
    assert await error.reconcile() is None


async def test_two_lost_sends_are_not_found_in_one_message(
    sandbox: Sandbox, client: Client
) -> None:
    pack = first_pack(sandbox)
    for fault in (LOST["lost"], NEVER["dropped"]):
        sandbox.inject(fault)
    errors = [await unknown_send(client, pack, "Gracias") for _ in range(2)]
    found = [await error.reconcile() for error in errors]
    assert [one is None for one in found] == [False, True]


async def test_a_message_with_other_files_is_another_one(sandbox: Sandbox, client: Client) -> None:
    pack = first_pack(sandbox)
    upload = await client.attachments.upload(b"a,b", site_id="MLM", filename="a.csv")
    sandbox.inject(LOST["lost"])
    with pytest.raises(OutcomeUnknown) as caught:
        await client.packs.send(pack, "La lista", attachments=[upload])
    without = await unknown_send_not_delivered(client, sandbox, "La lista")
    assert await without.reconcile() is None
    found = await caught.value.reconcile()
    assert isinstance(found, Message)
    assert [one.filename for one in found.attachments] == [upload.id]


async def unknown_send_not_delivered(client: Client, sandbox: Sandbox, text: str) -> OutcomeUnknown:
    sandbox.inject(NEVER["dropped"])
    return await unknown_send(client, first_pack(sandbox), text)


async def test_it_is_found_in_a_long_thread_whatever_its_order(client: Client) -> None:
    """No document says that the newest comes first: the whole thread is read."""
    now = datetime.now(UTC)
    sent = thread_message("mine", now)
    others = [thread_message(str(n), now - timedelta(days=n), f"old {n}") for n in range(120)]
    error, script = lost_then([*reversed(others), sent])
    async with raw_server(script) as server, one_client(server.url) as raw:
        found = await error(raw)
        assert isinstance(found, Message)
    assert found.id == "mine"


# --- the window ----------------------------------------------------------------------------


def thread_message(name: str, date: datetime | str | None, text: str = "Hola") -> dict[str, object]:
    created = date.isoformat() if isinstance(date, datetime) else date
    return {"id": name, "text": text, "message_date": {"created": created}}


def one_client(url: str) -> Client:
    return Client(TOKEN, base_url=url, retry=AT_ONCE, budget=None)


def lost_then(
    messages: list[dict[str, object]], *headers: str
) -> tuple[Callable[[Client], "asyncio.Future[object]"], Step]:
    """A send whose answer is lost, and a thread of these messages; what reconcile makes of it."""

    async def serve(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            if head.startswith(b"POST"):
                return
            query = head.split(b" ")[1].split(b"?")[1].decode()
            values = dict(pair.split("=") for pair in query.split("&"))
            start, count = int(values["offset"]), int(values["limit"])
            page = {
                "paging": {"total": len(messages), "limit": count, "offset": start},
                "messages": messages[start : start + count],
            }
            await peer.answer(200, msgspec.json.encode(page), *headers)

    async def reconciled(client: Client) -> object:
        return await (await unknown_send(client, "1")).reconcile()

    return lambda client: asyncio.ensure_future(reconciled(client)), serve


WINDOW: dict[str, tuple[float | None, float | None, bool]] = {
    # the server's clock ahead of ours, the message's date by the server's clock, found
    "now": (0, 0, True),
    "a little before": (0, -4, True),
    "yesterday": (0, -86400, False),
    "an hour ago": (0, -3600, False),
    "twenty seconds ago": (0, -20, False),
    "stored four minutes late": (0, 240, True),
    "an hour later": (0, 3600, False),
    "a server an hour ahead": (3600, 3600, True),
    "a server an hour behind": (-3600, -3600, True),
    "an old one of a server ahead": (3600, 0, False),
    "an old one of a server behind": (-3600, -7200, False),
    "no clock, now": (None, 0, True),
    "no clock, forty seconds before": (None, -40, True),
    "no clock, an hour ago": (None, -3600, False),
    "no date at all": (0, None, True),
}


@pytest.mark.parametrize(("ahead", "date", "found"), WINDOW.values(), ids=WINDOW)
async def test_the_window(ahead: float | None, date: float | None, found: bool) -> None:
    moment = None if date is None else datetime.now(UTC) + timedelta(seconds=date)
    headers = [] if ahead is None else [dated_now(ahead)]
    error, script = lost_then([thread_message("m1", moment)], *headers)
    async with raw_server(script) as server, one_client(server.url) as client:
        assert (await error(client) is not None) == found


def dated_now(ahead: float) -> str:
    return f"Date: {format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)}"


@pytest.mark.parametrize(
    "date",
    [None, "Date: soon", "Date: ", "Date: Fri, 31 Dec 9999 23:59:59 GMT"],
    ids=["none", "unreadable", "empty", "not true"],
)
async def test_a_clock_that_is_known_stays_known(date: str | None) -> None:
    """The server is an hour ahead, and only the response before the send says so."""
    there = datetime.now(UTC) + timedelta(hours=1)
    page = msgspec.json.encode({"messages": [thread_message("m1", there)]})
    later = answers(200, page, *([] if date is None else [date]))
    dated = answers(200, b'{"messages": []}', dated_now(3600))
    async with (
        raw_server(in_turn(dated, sends(b""), later)) as server,
        one_client(server.url) as client,
    ):
        await client.packs.page("1")
        error = await unknown_send(client, "1")
        assert await error.reconcile() is not None


async def test_a_file_says_nothing_about_the_clock_of_the_api() -> None:
    """A redirect may have led to another server."""
    page = msgspec.json.encode({"messages": [thread_message("m1", datetime.now(UTC))]})
    script = in_turn(answers(200, b"file", dated_now(3600)), sends(b""), answers(200, page))
    async with raw_server(script) as server, one_client(server.url) as client:
        await client.attachments.read("a.bin", site_id="MLM")
        error = await unknown_send(client, "1")
        assert await error.reconcile() is not None


async def test_dates_are_compared_across_zones() -> None:
    there = datetime.now(timezone(timedelta(hours=-4)))
    error, script = lost_then([thread_message("m1", there.isoformat())], dated_now(0))
    async with raw_server(script) as server, one_client(server.url) as client:
        assert await error(client) is not None


# --- sends that are still running -----------------------------------------------------------


@pytest.mark.parametrize("stored", [1, 2], ids=["one message", "two messages"])
async def test_the_message_of_a_send_that_is_still_running_is_left_to_it(stored: int) -> None:
    """Two sends of one text; the first is lost, the second has not been answered yet."""
    names = ["second", "first"][:stored]
    body = {"messages": [thread_message(name, datetime.now(UTC)) for name in names]}
    page = msgspec.json.encode(body | {"paging": {"total": stored}})
    has_arrived, may_answer = asyncio.Event(), asyncio.Event()
    sends_left = ["first", "second"]

    async def serve(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            if head.startswith(b"GET"):
                await peer.answer(200, page)
            elif sends_left.pop(0) == "first":
                return
            else:
                has_arrived.set()
                await may_answer.wait()
                await peer.answer(201, b'{"id": "second", "text": "Hola"}')

    async with raw_server(serve) as server, one_client(server.url) as client:
        error = await unknown_send(client, "1")
        running = asyncio.create_task(client.packs.send("1", "Hola"))
        await has_arrived.wait()
        if stored == 1:
            with pytest.raises(OutcomeUnknown, match="is not answered yet") as caught:
                await error.reconcile()
            error = caught.value
        else:
            assert await error.reconcile() is not None
        may_answer.set()
        assert (await running).id == "second"
        found = await error.reconcile()
    assert (None if found is None else getattr(found, "id", None)) in {None, "first"}


# --- whose message it is ---------------------------------------------------------------------

SELLER = [{"id": "7", "name": "SELLERS"}]
WHOSE: dict[str, tuple[dict[str, object], object]] = {
    "ours": ({"from": {"user_id": 7}, "message_resources": SELLER}, True),
    "of the counterpart": ({"from": {"user_id": 8}, "message_resources": SELLER}, None),
    "of nobody": ({"message_resources": SELLER}, True),
    "no seller": ({"from": {"user_id": 8}}, True),
    "with a file of another send": ({"message_attachments": [{"filename": "x"}]}, None),
    "with a file without a name": ({"message_attachments": [{"size": 5}]}, OutcomeUnknown),
    "with emoji as marks": ({"text": "Hola ??"}, OutcomeUnknown),
    "with another text": ({"text": "No"}, None),
}


@pytest.mark.parametrize(("changes", "expected"), WHOSE.values(), ids=WHOSE)
async def test_a_message_is_ours_unless_it_can_be_told_to_be_another(
    changes: dict[str, object], expected: object
) -> None:
    row = thread_message("m1", datetime.now(UTC)) | changes
    error, script = lost_then([row])
    async with raw_server(script) as server, one_client(server.url) as client:
        if expected is OutcomeUnknown:
            with pytest.raises(OutcomeUnknown, match="changed, cut or hidden"):
                await error(client)
        else:
            assert (await error(client) is not None) == bool(expected)


async def test_a_file_that_the_server_withholds_makes_it_doubtful() -> None:
    row = thread_message("m1", datetime.now(UTC))
    page = msgspec.json.encode({"messages": [row], "paging": {"total": 1}})
    script = in_turn(answers(502), answers(200, page))
    async with raw_server(script) as server, one_client(server.url) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.packs.send("1", "Hola", attachments=["7_a.png"])
        with pytest.raises(OutcomeUnknown, match="changed, cut or hidden"):
            await caught.value.reconcile()


# --- claims --------------------------------------------------------------------------------


async def lost_claim_send(client: Client, claim: str, text: str = "Hola") -> OutcomeUnknown:
    with pytest.raises(OutcomeUnknown) as caught:
        await client.claims.send(claim, text, receiver_role="complainant")
    return caught.value


async def test_a_claim_message_that_was_delivered_is_found(
    sandbox: Sandbox, client: Client
) -> None:
    claim = first_claim(sandbox)
    sandbox.inject(LOST["lost"])
    found = await (await lost_claim_send(client, claim)).reconcile()
    assert isinstance(found, ClaimMessage)
    assert (found.message, found.receiver_role) == ("Hola", "complainant")


async def test_an_answered_claim_send_of_the_same_text_does_not_match(
    sandbox: Sandbox, client: Client
) -> None:
    """Its answer names no message, so one message like it is left to it."""
    claim = first_claim(sandbox)
    await client.claims.send(claim, "Hola", receiver_role="complainant")
    sandbox.inject(NEVER["dropped"])
    assert await (await lost_claim_send(client, claim)).reconcile() is None
    sandbox.inject(LOST["lost"])
    assert await (await lost_claim_send(client, claim)).reconcile() is not None


async def test_an_answered_send_without_a_message_does_not_match(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.send_answer = "empty"
    await client.packs.send(first_pack(sandbox), "Gracias")
    sandbox.inject(NEVER["dropped"])
    assert await (await unknown_send(client, first_pack(sandbox), "Gracias")).reconcile() is None


async def test_a_message_is_not_left_to_an_answered_send_in_another_thread() -> None:
    """The server took the accent from a lost text, and made it that of another conversation."""
    thread = {"messages": [thread_message("m1", datetime.now(UTC), "Cafe listo")]}
    page = msgspec.json.encode(thread | {"paging": {"total": 1}})

    async def serve(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            if head.startswith(b"GET"):
                await peer.answer(200, page)
            elif b"/packs/2" in head:
                await peer.answer(201, b"{}")
            else:
                return

    async with raw_server(serve) as server, one_client(server.url) as client:
        await client.packs.send("2", "Cafe listo")
        error = await unknown_send(client, "1", "Café listo")
        with pytest.raises(OutcomeUnknown, match="was changed"):
            await error.reconcile()


@pytest.mark.parametrize("fault", NEVER.values(), ids=NEVER)
async def test_a_claim_message_that_was_not_delivered_is_none(
    fault: Fault, sandbox: Sandbox, client: Client
) -> None:
    sandbox.inject(fault)
    assert await (await lost_claim_send(client, first_claim(sandbox))).reconcile() is None


async def test_two_lost_claim_sends_are_not_found_in_one_message(
    sandbox: Sandbox, client: Client
) -> None:
    claim = first_claim(sandbox)
    for fault in (LOST["lost"], NEVER["dropped"]):
        sandbox.inject(fault)
    errors = [await lost_claim_send(client, claim) for _ in range(2)]
    assert [await error.reconcile() is None for error in errors] == [False, True]


async def test_a_claim_message_to_somebody_else_is_another_one() -> None:
    to_the_mediator = {
        "sender_role": "respondent",
        "receiver_role": "mediator",
        "message": "Hola",
        "date_created": datetime.now(UTC).isoformat(),
    }
    body = msgspec.json.encode([to_the_mediator])
    script = in_turn(answers(502), answers(200, body))
    async with raw_server(script) as server, one_client(server.url) as client:
        error = await lost_claim_send(client, "5")
        assert await error.reconcile() is None


# --- what goes wrong -----------------------------------------------------------------------


async def test_a_thread_that_cannot_be_read_is_an_error_and_not_none() -> None:
    script = in_turn(answers(503), answers(404, b"{}"), *[answers(500)] * 4)
    async with raw_server(script) as server, one_client(server.url) as client:
        error = await unknown_send(client, "1")
        with pytest.raises(NotFound):
            await error.reconcile()
        with pytest.raises(ServerError):
            await error.reconcile()


async def test_a_message_that_was_stored_late_is_found_by_the_next_call() -> None:
    none = msgspec.json.encode({"messages": []})
    late = msgspec.json.encode({"messages": [thread_message("m1", datetime.now(UTC))]})
    script = in_turn(sends(b""), answers(200, none), answers(200, late), answers(200, none))
    async with raw_server(script) as server, one_client(server.url) as client:
        error = await unknown_send(client, "1")
        assert await error.reconcile() is None
        assert await error.reconcile() is not None


async def test_after_the_client_is_closed_it_says_so(sandbox: Sandbox) -> None:
    sandbox.inject(LOST["lost"])
    async with Client(sandbox.token, base_url=sandbox.url) as client:
        error = await unknown_send(client, first_pack(sandbox))
    with pytest.raises(UsageError, match="closed"):
        await error.reconcile()


async def test_a_copied_or_pickled_error_says_that_it_knows_no_client(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.inject(LOST["lost"])
    error = copy.copy(await unknown_send(client, first_pack(sandbox)))
    assert "may or may not have been delivered" in str(error)
    with pytest.raises(UsageError, match="read the thread"):
        await error.reconcile()
