"""A domestic seller over the sandbox: threads, recipients, sends, files, claims (api-beyond, c)."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from mlmsg import (
    BadRequest,
    Client,
    OutcomeUnknown,
    PermissionDenied,
    RateBudget,
    RecipientUnknown,
    RetryPolicy,
    RuleError,
)
from mlmsg.models._blocked import ADVICE
from mlmsg.sandbox import Fault, Sandbox, example_market

OPEN: Final = 2000007002000011
MEDIATED: Final = 2000007002000022
MEDIATED_EMPTY: Final = 2000007002000033
BUYER: Final = 700500011
AGENT_MLB: Final = 3037675074


@pytest.fixture
async def domestic() -> AsyncIterator[Sandbox]:
    async with Sandbox(market=example_market(site_id="MLB")) as running:
        yield running


@pytest.fixture
async def seller(domestic: Sandbox) -> AsyncIterator[Client]:
    async with client_of(domestic) as client:
        yield client


def client_of(sandbox: Sandbox, user_id: int | str | None = None) -> Client:
    return Client(
        sandbox.token,
        global_selling=False,
        user_id=user_id,
        base_url=sandbox.url,
        retry=RetryPolicy(base=0.0),
        budget=None,
    )


def asked(sandbox: Sandbox, path: str) -> int:
    return sum(request.path == path for request in sandbox.requests)


async def test_a_thread_is_read_without_marking_it(domestic: Sandbox, seller: Client) -> None:
    page = await seller.packs.page(OPEN)
    assert [message.from_.user_id for message in page.messages if message.from_] == [
        BUYER,
        domestic.market.user_id,
    ]
    assert page.seller_max_message_length == 350
    thread = await seller.packs.conversation(OPEN)
    assert thread.messages == page.messages
    assert (await seller.unread.list()).results
    threads = [r for r in domestic.requests if "/sellers/" in r.path and "unread" not in r.path]
    assert threads
    assert {request.query["mark_as_read"] for request in threads} == {"false"}


async def test_the_sellers_id_is_requested_once_by_one_shared_call(
    domestic: Sandbox, seller: Client
) -> None:
    await asyncio.gather(*(seller.packs.page(OPEN) for _ in range(10)), seller.account.me())
    await seller.packs.send(OPEN, "Olá")
    assert asked(domestic, "/users/me") == 1


async def test_the_sellers_id_is_not_requested_when_it_is_given(domestic: Sandbox) -> None:
    async with client_of(domestic, str(domestic.market.user_id)) as client:
        await client.packs.send(OPEN, "Olá")
    assert asked(domestic, "/users/me") == 0


async def test_a_cancelled_caller_does_not_end_the_shared_question(
    domestic: Sandbox, seller: Client
) -> None:
    domestic.inject(Fault(delay=0.05, action="pass", path="/users/me"))
    first = asyncio.ensure_future(seller.packs.page(OPEN))
    second = asyncio.ensure_future(seller.packs.page(OPEN))
    await domestic.received(1)
    first.cancel()
    assert (await second).messages
    assert asked(domestic, "/users/me") == 1


async def test_an_answer_is_remembered_though_its_only_caller_is_cancelled(
    domestic: Sandbox, seller: Client
) -> None:
    with seller.listen(lambda _: caller.cancel()):  # as the response arrives
        caller = asyncio.create_task(seller.account.me())
        await asyncio.wait({caller})
    assert caller.cancelled()
    await seller.account.me()
    assert asked(domestic, "/users/me") == 1


async def test_a_failed_request_for_the_sellers_id_is_repeated(
    domestic: Sandbox, seller: Client
) -> None:
    domestic.inject(Fault(status=403, path="/users/me"))
    with pytest.raises(PermissionDenied):
        await seller.packs.page(OPEN)
    assert (await seller.packs.page(OPEN)).messages


async def test_an_answer_reaches_the_buyer(domestic: Sandbox, seller: Client) -> None:
    sent = await seller.packs.send(OPEN, "Sim, vem com pilhas.")
    newest = domestic.market.packs[str(OPEN)].messages[0]
    assert (newest.id, newest.text) == (sent.id, "Sim, vem com pilhas.")
    assert newest.recipient.user_id == BUYER


async def test_an_agent_is_answered_where_one_mediates(domestic: Sandbox, seller: Client) -> None:
    """The newest message of a mediated thread comes from the agent."""
    sent = await seller.packs.send(MEDIATED, "Sim.")
    assert sent.message
    assert domestic.requests[-1].method == "POST"
    assert domestic.market.packs[str(MEDIATED)].messages[0].recipient.user_id == AGENT_MLB


async def test_the_sites_agent_is_written_to_where_nobody_wrote_yet(
    domestic: Sandbox, seller: Client
) -> None:
    await seller.packs.send(MEDIATED_EMPTY, "Olá", site_id="MLB")
    assert domestic.market.packs[str(MEDIATED_EMPTY)].messages[0].recipient.user_id == AGENT_MLB


async def test_a_thread_without_a_counterpart_shows_no_recipient(
    domestic: Sandbox, seller: Client
) -> None:
    pack = domestic.market.add_pack(site_id="MLB")
    domestic.market.add_message(pack.id, "Olá")
    with pytest.raises(RecipientUnknown, match=r"found 1 messages, none from a counterpart") as e:
        await seller.packs.send(pack.id, "Olá de novo")
    assert "Pass to=" in str(e.value)
    assert all(request.method == "GET" for request in domestic.requests)
    await seller.packs.send(pack.id, "Olá de novo", to=pack.buyer_id)
    assert domestic.market.packs[pack.id].messages[0].text == "Olá de novo"


async def test_no_message_goes_to_a_thread_that_is_not_there(
    domestic: Sandbox, seller: Client
) -> None:
    with pytest.raises(RecipientUnknown, match="no thread"):
        await seller.packs.send(1, "Olá")
    assert all(request.method == "GET" for request in domestic.requests)


@pytest.mark.parametrize("pages", [1, 3])
async def test_the_counterpart_is_found_through_as_many_pages_as_it_takes(
    domestic: Sandbox, seller: Client, pages: int
) -> None:
    domestic.max_limit = 5
    for number in range(5 * (pages - 1)):
        at = f"2026-03-{number + 1:02}T10:00:00Z"
        domestic.market.add_message(OPEN, f"Aviso {number}", at=at)
    await seller.packs.send(OPEN, "Olá")
    assert domestic.market.packs[str(OPEN)].messages[0].recipient.user_id == BUYER
    assert sum("/packs/" in request.path for request in domestic.requests) == pages + 1


async def test_a_text_over_the_threads_own_limit_is_not_sent(
    domestic: Sandbox, seller: Client, tmp_path: Path
) -> None:
    with pytest.raises(RuleError, match=r"found 351 characters, allowed: at most 350"):
        await seller.packs.send(OPEN, "x" * 351, files=[b"x"], site_id="MLB")
    assert all(request.method == "GET" for request in domestic.requests)
    await seller.packs.send(OPEN, "x" * 350)


@pytest.mark.parametrize("site_id", [None, "CBT", "XX"])
async def test_files_without_a_site_are_refused_before_any_request(
    domestic: Sandbox, seller: Client, site_id: str | None
) -> None:
    with pytest.raises(RuleError, match="site_id"):
        await seller.packs.send(OPEN, "Nota", files=[b"%PDF-1.4"], site_id=site_id)
    assert domestic.requests == []


async def test_refused_characters_are_named(seller: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        await seller.packs.send(OPEN, "Olá 中 → 😀 “ok”")
    assert re.search(r"Outside of ISO-8859-1 and emoji: '中' \(U\+4E2D\)", str(caught.value))
    assert "😀" not in caught.value.hint


async def test_arguments_of_the_other_family_are_refused(seller: Client) -> None:
    with pytest.raises(RuleError, match="text_translated"):
        await seller.packs.send(OPEN, "Olá", text_translated="Hi")
    async with Client("a-token", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(RuleError, match="`to`"):
            await client.packs.send(OPEN, "Hola", to=1)
    with pytest.raises(RuleError, match="`to`"):
        await seller.packs.send(OPEN, "Olá", to="somebody")
    with pytest.raises(RuleError, match="global_selling"):
        Client("a-token", global_selling="no")  # type: ignore[arg-type]
    with pytest.raises(RuleError, match="user_id"):
        Client("a-token", user_id="me")


async def test_files_go_up_and_down(domestic: Sandbox, seller: Client, tmp_path: Path) -> None:
    await seller.packs.send(OPEN, "Nota", files=[b"%PDF-1.4 nota"], site_id="MLB")
    name = (await seller.packs.page(OPEN)).messages[0].attachments[0].filename
    assert name is not None
    saved = await seller.attachments.download(name, tmp_path, site_id="MLB")
    assert saved.path.read_bytes() == b"%PDF-1.4 nota"
    paths = {request.path for request in domestic.requests if "attachments" in request.path}
    assert paths == {"/messages/attachments", f"/messages/attachments/{name}"}
    assert all(
        request.query["tag"] == "post_sale"
        for request in domestic.requests
        if request.path in paths
    )


async def test_a_message_is_read_by_its_id(domestic: Sandbox, seller: Client) -> None:
    first = (await seller.packs.page(OPEN)).messages[0]
    assert (await seller.messages.get(first.id)).text == first.text
    assert domestic.requests[-1].path == f"/messages/{first.id}"


async def test_a_lost_send_is_found_again(domestic: Sandbox, seller: Client) -> None:
    domestic.inject(Fault(action="lose", path="/packs/", method="POST"))
    with pytest.raises(OutcomeUnknown) as caught:
        await seller.packs.send(OPEN, "Uma vez só")
    found = await caught.value.reconcile()
    assert found is not None
    texts = [message.text for message in domestic.market.packs[str(OPEN)].messages]
    assert texts.count("Uma vez só") == 1


CLAIM: Final = 5204000044

CLAIM_CALLS: Final[dict[str, Callable[[Client], Awaitable[object]]]] = {
    "get": lambda client: client.claims.get(CLAIM),
    "messages": lambda client: client.claims.messages(CLAIM),
    "send": lambda client: client.claims.send(
        CLAIM, "Olá", receiver_role="mediator", files=[b"%PDF-1.4 x"]
    ),
}


@pytest.mark.parametrize("name", CLAIM_CALLS)
async def test_claims_are_requested_under_the_domestic_path(
    domestic: Sandbox, seller: Client, name: str
) -> None:
    await CLAIM_CALLS[name](seller)
    assert domestic.requests
    assert all(r.path.startswith("/post-purchase/v1/claims/") for r in domestic.requests)


@pytest.mark.slow
async def test_reads_and_sends_share_the_budget(domestic: Sandbox) -> None:
    budget = RateBudget(reads=5, writes=5, per=0.2, burst=1)
    async with Client(
        domestic.token, global_selling=False, base_url=domestic.url, budget=budget
    ) as client:
        begin = asyncio.get_running_loop().time()
        await asyncio.gather(*(client.packs.page(OPEN) for _ in range(6)))
        assert asyncio.get_running_loop().time() - begin > 0.2


BLOCKED = sorted(ADVICE)


@pytest.mark.parametrize("name", BLOCKED)
async def test_the_error_of_a_send_carries_the_advice_of_its_substatus(
    domestic: Sandbox, seller: Client, name: str
) -> None:
    domestic.market.block(OPEN, f"blocked_by_{name}")
    status = (await seller.packs.page(OPEN)).conversation_status
    assert status is not None
    assert (status.advice, status.hint) == (ADVICE[name].advice, ADVICE[name].hint)
    if status.advice == "reply":
        assert (await seller.packs.send(OPEN, "Olá")).id
        return
    with pytest.raises((PermissionDenied, RecipientUnknown)) as caught:
        await seller.packs.send(OPEN, "Olá")
    assert ADVICE[name].hint in str(caught.value)
    assert f"Advice: {status.advice}. " in str(caught.value)
