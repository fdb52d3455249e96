"""The walks that the client offers, over the sandbox: threads, and what was not read yet."""

from collections.abc import Callable
from contextlib import aclosing

import pytest
from calls import SELLER_ID

from mlmsg import Client, Conversation, Message, NotFound, RuleError, StillUnread, UnreadResult
from mlmsg.sandbox import Fault, Sandbox
from mlmsg.sandbox.packs import Pack


def filled(sandbox: Sandbox, size: int = 60) -> Pack:
    """Return a pack of this many messages to the seller; a page has ten of them."""
    sandbox.max_limit = 10
    pack = sandbox.market.add_pack()
    for number in range(size):
        sandbox.market.add_message(pack.id, f"¿{number}?", author="buyer")
    return pack


def offsets(sandbox: Sandbox) -> list[int]:
    return [int(request.query["offset"]) for request in sandbox.requests]


def slow(sandbox: Sandbox, offset: int) -> None:
    """Delay one page, so that it arrives after those requested with it."""
    sandbox.inject(Fault(action="pass", path=f"offset={offset}", delay=0.1))


# Threads ------------------------------------------------------------------------------------


async def test_pages_are_fetched_side_by_side_and_come_in_order(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox)
    slow(sandbox, 9)
    found: list[Message] = []
    ahead: list[int] = []
    async for message in client.packs.messages(pack.id):
        found.append(message)
        if len(found) == 11:
            ahead = offsets(sandbox)
    assert sorted(ahead) == [0, 9, 18, 27, 36, 45, 54]
    assert len(sandbox.requests) == 7
    assert [one.id for one in found] == [one.id for one in pack.messages]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_concurrency_bounds_what_is_fetched_ahead(
    client: Client, sandbox: Sandbox, concurrency: int
) -> None:
    pack = filled(sandbox)
    slow(sandbox, 9)
    walk = client.packs.messages(pack.id, concurrency=concurrency)
    async with aclosing(walk):
        for _ in range(11):
            await anext(walk)
        assert sorted(offsets(sandbox)) == [0, 9, 18, 27][: concurrency + 1]
    sandbox.requests.clear()
    conversation = await client.packs.conversation(pack.id, concurrency=concurrency)
    assert [one.id for one in conversation.messages] == [one.id for one in pack.messages]
    assert conversation.status is not None


async def test_a_thread_that_changes_while_it_is_read_is_read_exactly(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox)
    before = [one.id for one in pack.messages]
    found: list[str] = []
    async for message in client.packs.messages(pack.id):
        found.append(message.id)
        if len(found) % 7 == 0:  # one goes and one comes: the total stays as it is
            pack.messages.pop(len(found) // 2)
            pack.messages.append(sandbox.market.add_message(pack.id, "¡Hola!"))
            pack.messages.pop(0)
    stayed = [one.id for one in pack.messages if one.id in before]
    assert [one for one in found if one in stayed] == stayed
    assert len(set(found)) == len(found)


async def test_a_loop_that_is_left_early_requests_nothing_more(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox, 200)
    slow(sandbox, 18)
    async for message in client.packs.messages(pack.id, concurrency=4):
        if message.id == pack.messages[12].id:
            break
    await client.packs.page(pack.id, offset=190)
    assert sorted(offsets(sandbox)) == [0, 9, 18, 27, 36, 190]


async def test_a_pack_that_does_not_exist_fails_with_the_first_page(client: Client) -> None:
    with pytest.raises(NotFound):
        await anext(client.packs.messages(1))


REFUSED: dict[str, Callable[[Client], object]] = {
    "`limit` of a walk: found 0": lambda client: client.packs.messages(1, page_size=0),
    "`limit` of a walk: found -1": lambda client: client.unread.messages(1, 2, page_size=-1),
    "`concurrency` of a walk: found 0": lambda client: client.packs.messages(1, concurrency=0),
    "`concurrency` of a walk: found -1": lambda client: client.unread.messages(
        1, 2, concurrency=-1
    ),
}


@pytest.mark.parametrize("words", REFUSED)
async def test_what_cannot_be_is_refused_by_the_call_itself(client: Client, words: str) -> None:
    with pytest.raises(RuleError) as caught:
        REFUSED[words](client)
    assert words in str(caught.value)


@pytest.mark.parametrize("setting", ["page_size", "concurrency"])
async def test_a_conversation_refuses_the_same(
    client: Client, sandbox: Sandbox, setting: str
) -> None:
    with pytest.raises(RuleError, match=r"limit|concurrency"):
        await client.packs.conversation(1, **{setting: 0})
    assert sandbox.requests == []


async def test_pages_are_requested_in_the_given_size(client: Client, sandbox: Sandbox) -> None:
    pack = filled(sandbox)
    assert [one async for one in client.packs.messages(pack.id, page_size=7)]
    assert [one async for one in client.unread.messages(pack.id, SELLER_ID, page_size=7)]
    await client.packs.conversation(pack.id, page_size=7)
    assert {request.query["limit"] for request in sandbox.requests} == {"7"}


async def test_a_conversation_has_the_state_of_its_first_page(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox)
    other = {"messages": [], "conversation_status": {"status": "blocked"}}
    sandbox.inject(Fault(status=200, body=other, path="offset=18"))
    conversation = await client.packs.conversation(pack.id)
    assert isinstance(conversation, Conversation)
    assert [one.id for one in conversation.messages] == [one.id for one in pack.messages]
    assert conversation.status is not None
    assert conversation.status.status == "active"


# Reading what was not read ------------------------------------------------------------------


async def test_the_thread_of_a_seller_is_fetched_side_by_side_too(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox)
    slow(sandbox, 9)
    walk = client.unread.messages(pack.id, SELLER_ID)
    async with aclosing(walk):
        for _ in range(11):
            await anext(walk)
        assert sorted(offsets(sandbox)) == [0, 9, 18, 27, 36, 45, 54]
    assert {request.query["mark_as_read"] for request in sandbox.requests} == {"false"}


async def test_marking_requests_no_page_before_it_is_needed(
    client: Client, sandbox: Sandbox
) -> None:
    pack = filled(sandbox)
    walk = client.unread.messages(pack.id, SELLER_ID, mark_as_read=True)
    async with aclosing(walk):
        for wanted in range(1, 21):
            await anext(walk)
            assert offsets(sandbox) == [0, 9, 18][: 1 + (wanted > 10) + (wanted > 19)]
    assert not any("mark_as_read" in request.query for request in sandbox.requests)


# Draining -----------------------------------------------------------------------------------


@pytest.fixture
def waiting(sandbox: Sandbox) -> list[str]:
    """Leave five conversations with unread messages; a response lists two of them."""
    for resource in sandbox.market.unread():
        sandbox.market.mark_as_read(resource.resource.split("/")[2])
    sandbox.unread_cap = 2
    return [filled(sandbox, 2).resource for _ in range(5)]


async def mark(client: Client, one: UnreadResult) -> None:
    await client.unread.mark_as_read(one.pack_id or 0, one.seller_id or 0)


def lists(sandbox: Sandbox) -> int:
    return sum(request.path == "/messages/unread" for request in sandbox.requests)


async def test_drain_goes_past_one_answer_as_the_caller_marks(
    client: Client, sandbox: Sandbox, waiting: list[str]
) -> None:
    found: list[str] = []
    async for one in client.unread.drain():
        found.append(one.resource)
        await mark(client, one)
    assert found == waiting
    assert lists(sandbox) == 4  # two, two, one, none
    assert sandbox.requests[0].query == {"role": "seller", "tag": "post_sale"}


async def test_drain_says_so_when_nothing_was_marked(
    client: Client, sandbox: Sandbox, waiting: list[str]
) -> None:
    walk = client.unread.drain()
    assert [(await anext(walk)).resource for _ in range(2)] == waiting[:2]
    with pytest.raises(StillUnread, match="mark_as_read") as caught:
        await anext(walk)
    assert caught.value.resources == tuple(waiting[:2])
    assert waiting[0] in str(caught.value)
    assert lists(sandbox) == 2


async def test_drain_yields_nothing_twice_while_something_is_left_unmarked(
    client: Client, waiting: list[str]
) -> None:
    found: list[str] = []

    async def drain() -> None:
        async for one in client.unread.drain():
            found.append(one.resource)
            if one.resource != waiting[1]:
                await mark(client, one)

    with pytest.raises(StillUnread) as caught:
        await drain()
    assert found == waiting
    assert caught.value.resources == (waiting[1],)


@pytest.mark.usefixtures("waiting")
async def test_a_conversation_with_another_count_is_yielded_again(
    client: Client, sandbox: Sandbox
) -> None:
    found: list[tuple[str, int | None]] = []
    async for one in client.unread.drain():
        found.append((one.resource, one.count))
        await mark(client, one)
        if len(found) == 1:
            sandbox.market.add_message(one.pack_id or 0, "¿Y?", author="buyer")
    assert found[0][1] == 2
    assert found[2] == (found[0][0], 1)
    assert len(found) == 6


async def test_a_conversation_that_comes_back_is_yielded_again(
    client: Client, sandbox: Sandbox, waiting: list[str]
) -> None:
    found: list[str] = []
    async for one in client.unread.drain():
        found.append(one.resource)
        await mark(client, one)
        if len(found) == 4:
            for _ in range(2):
                sandbox.market.add_message(waiting[0].split("/")[2], "¿Y?", author="buyer")
    assert found == [*waiting[:4], waiting[0], waiting[4]]


@pytest.mark.parametrize("role", ["buyer", None])
async def test_drain_of_nothing_ends_at_once(
    client: Client, sandbox: Sandbox, role: str | None
) -> None:
    sandbox.inject(Fault(status=200, body={"user_id": "1234512314", "results": []}))
    assert [one async for one in client.unread.drain(role)] == []
    assert sandbox.requests[0].query.get("role") == role
    assert len(sandbox.requests) == 1


async def test_drain_refuses_a_role_that_is_none(client: Client, sandbox: Sandbox) -> None:
    with pytest.raises(RuleError, match="role"):
        await anext(client.unread.drain("admin"))
    assert sandbox.requests == []


async def test_drain_accepts_every_form_of_a_conversation(client: Client, sandbox: Sandbox) -> None:
    offered = [
        {"resource": "/orders/1"},
        {"resource": "/packs/2", "total": 3},
        {"resource": "/packs/2", "total": 4},  # twice in one answer
        {"resource": "elsewhere", "count": 1},
    ]
    for results in (offered, offered[3:], offered[:1], []):
        sandbox.inject(Fault(status=200, body={"user_id": 1, "results": results}, times=1))
    walk = client.unread.drain()
    found = [(one.resource, one.count, one.total) for one in [await anext(walk) for _ in range(3)]]
    assert found == [("/orders/1", None, None), ("/packs/2", None, 4), ("elsewhere", 1, None)]
    with pytest.raises(StillUnread) as caught:
        await anext(walk)
    assert caught.value.resources == ("elsewhere",)


@pytest.mark.usefixtures("waiting")
async def test_a_drain_that_is_left_early_requests_nothing_more(
    client: Client, sandbox: Sandbox
) -> None:
    async for _ in client.unread.drain():
        break
    assert len(sandbox.requests) == 1
