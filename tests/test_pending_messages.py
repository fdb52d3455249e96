"""The document "Pending messages" (002), from its first heading to its last."""

from typing import Final

import pytest
from calls import PACK_ID, SELLER_ID
from seeds import assert_holds, request_lines, sample_fault, sample_value

from mlmsg import ApiError, AuthenticationError, BadRequest, Client, NotFound, RuleError
from mlmsg.sandbox import Fault, Sandbox

# "Messages pending reading" -----------------------------------------------------------------


async def test_reading_a_thread_with_mark_as_read_false_marks_nothing(
    client: Client, sandbox: Sandbox
) -> None:
    """In case you don't want to mark them as read, perform the GET with mark_as_read=false."""
    before = await client.unread.list()
    await client.unread.page(PACK_ID, SELLER_ID, limit=2)
    assert [one async for one in client.unread.messages(PACK_ID, SELLER_ID)]
    await client.packs.page(PACK_ID)
    assert await client.unread.list() == before
    target = f"/messages/packs/{PACK_ID}/sellers/{SELLER_ID}"
    query = "tag=post_sale&mark_as_read=false&limit=2&offset=0"
    assert request_lines(sandbox)[1] == f"GET {target}?{query}"
    assert sandbox.requests[2].query["mark_as_read"] == "false"


async def test_the_thousand_of_one_answer_are_passed_by_marking_and_asking_again(
    client: Client, sandbox: Sandbox
) -> None:
    """Up to 1000 conversations per request: mark some as read and make the same request again."""
    expected = [one.resource for one in (await client.unread.list()).results]
    assert len(expected) > 1
    sandbox.unread_cap = 1
    for resource in expected:
        (one,) = (await client.unread.list()).results
        assert one.resource == resource
        await client.unread.mark_as_read(one.pack_id or 0, one.seller_id or 0)
    assert (await client.unread.list()).results == []


async def test_a_thousand_conversations_are_read_in_one_answer(
    client: Client, sandbox: Sandbox
) -> None:
    for _ in range(1001):
        pack = sandbox.market.add_pack()
        sandbox.market.add_message(pack.id, "¿Hola?", author="buyer")
    assert len((await client.unread.list()).results) == 1000


ERRORS: Final = [
    (400, "Messages id empty or invalid", BadRequest),
    (400, "The specified message id: a does not exists", BadRequest),
    (400, "Not allowed messages from multiple orders", BadRequest),
    (404, "The message with id: a could not be retrieved from storage", NotFound),
]


@pytest.mark.parametrize(("status", "said", "kind"), ERRORS, ids=[one[1] for one in ERRORS])
async def test_each_error_has_its_class_and_its_solution(
    client: Client, sandbox: Sandbox, status: int, said: str, kind: type[ApiError]
) -> None:
    sandbox.inject(Fault(status=status, body={"message": said, "error": said, "status": status}))
    with pytest.raises(kind) as caught:
        await client.unread.list()
    assert (caught.value.status, caught.value.message) == (status, said)
    assert caught.value.hint
    assert str(caught.value).endswith(caught.value.hint)
    assert len(sandbox.requests) == 1


# "Pending messages filtered by resource" ----------------------------------------------------


@pytest.mark.parametrize("resource", ["/packs/1234/sellers/2345", "packs/1234/sellers/2345"])
async def test_one_conversation_is_requested_as_in_the_example(
    client: Client, sandbox: Sandbox, resource: str
) -> None:
    name = "pending_messages.pending_messages_filtered_by_resource"
    sandbox.inject(sample_fault(name))
    unread = await client.unread.get(resource)
    assert request_lines(sandbox) == ["GET /messages/unread/packs/1234/sellers/2345?tag=post_sale"]
    assert_holds(unread, sample_value(name), "unread")
    assert (unread.results[0].pack_id, unread.results[0].seller_id) == (1234, 2345)


@pytest.mark.parametrize("resource", ["/packs/1234", "/orders/1234", "/packs/ñ?a=1/sellers/%2f"])
async def test_each_name_of_a_resource_stays_one_segment(
    client: Client, sandbox: Sandbox, resource: str
) -> None:
    sandbox.inject(Fault(status=200, body={"user_id": 1, "results": []}))
    await client.unread.get(resource)
    assert sandbox.requests[0].path == f"/messages/unread{resource}"
    assert sandbox.requests[0].query == {"tag": "post_sale"}


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "/",
        "/packs",
        "/packs/",
        "/packs//sellers/2",
        "//packs/1",
        "/packs/1/",
        "/packs/../x",
        "/packs/1/sellers/..",
        "/packs/./sellers/2",
        "/packs/1/sellers/2/messages",
        "/packs/1/sellers",
        "/claims/1",
        "https://evil.example/packs/1",
        "/packs/1\n/sellers/2",
        "/packs/1\\/sellers/2",
    ],
    ids=ascii,
)
async def test_a_resource_that_is_none_is_refused_before_sending(
    client: Client, sandbox: Sandbox, resource: str
) -> None:
    with pytest.raises(RuleError, match="resource"):
        await client.unread.get(resource)
    assert sandbox.requests == []


async def test_what_the_list_gives_is_what_one_conversation_takes(client: Client) -> None:
    unread = await client.unread.list()
    assert unread.results
    for one in unread.results:
        assert (await client.unread.get(one.resource)).results == [one]


# "Use modes" --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["seller", "buyer"])
async def test_a_role_is_requested_by_its_name(client: Client, sandbox: Sandbox, role: str) -> None:
    sandbox.inject(sample_fault("pending_messages.use_modes"))
    unread = await client.unread.list(role=role)
    assert request_lines(sandbox) == [f"GET /messages/unread?role={role}&tag=post_sale"]
    assert_holds(unread, sample_value("pending_messages.use_modes"), "unread")


async def test_the_seller_is_the_default_role(client: Client, sandbox: Sandbox) -> None:
    await client.unread.list()
    assert request_lines(sandbox) == ["GET /messages/unread?role=seller&tag=post_sale"]


@pytest.mark.parametrize("role", ["", "Seller", "admin", "seller&x=1"])
async def test_a_role_that_the_api_would_take_for_none_is_refused(
    client: Client, sandbox: Sandbox, role: str
) -> None:
    """In case the role is invalid, the resource will return all cases."""
    with pytest.raises(RuleError, match="role"):
        await client.unread.list(role=role)
    assert sandbox.requests == []


async def test_nothing_pending_is_an_empty_list(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(sample_fault("pending_messages.use_modes_nothing_pending"))
    unread = await client.unread.list()
    assert (unread.user_id, unread.results) == (1234512314, [])


async def test_without_a_role_all_cases_are_requested(client: Client, sandbox: Sandbox) -> None:
    """In case not specifying a role, the resource will return all cases."""
    await client.unread.list(role=None)
    assert request_lines(sandbox) == ["GET /messages/unread?tag=post_sale"]


async def test_without_a_token_the_api_answers_400(client: Client, sandbox: Sandbox) -> None:
    """This is a private resource: without access_token, you will get error 400."""
    sandbox.inject(sample_fault("post_sale_messages.get_attachment_without_token", 400))
    with pytest.raises(AuthenticationError, match="Access token is required"):
        await client.unread.list()


# "Mark messages as read" --------------------------------------------------------------------


async def test_marking_is_the_get_of_the_example(client: Client, sandbox: Sandbox) -> None:
    """The request's `-X PUT` is a slip: its example, and all the text, is a GET."""
    name = "pending_messages.mark_messages_as_read"
    sandbox.inject(sample_fault(name))
    page = await client.unread.mark_as_read(2000000089077943, "415458330")
    target = "/messages/packs/2000000089077943/sellers/415458330?tag=post_sale"
    assert request_lines(sandbox) == [f"GET {target}"]
    assert_holds(page, sample_value(name), "page")


async def test_what_is_marked_is_pending_no_more(client: Client, sandbox: Sandbox) -> None:
    pending = (await client.unread.list()).results
    first = pending[0]
    assert first.pack_id is not None
    assert first.seller_id is not None
    await client.unread.mark_as_read(first.pack_id, first.seller_id)
    assert (await client.unread.list()).results == pending[1:]
    assert (await client.unread.get(first.resource)).results == []


@pytest.mark.parametrize(("pack", "seller"), [("1/2", 3), (1, ".."), ("", 3), (1, "2\n"), (-1, 2)])
async def test_an_id_that_would_leave_its_segment_is_refused_before_sending(
    client: Client, sandbox: Sandbox, pack: int | str, seller: int | str
) -> None:
    with pytest.raises(RuleError, match=r"pack_id|seller_id"):
        await client.unread.mark_as_read(pack, seller)
    with pytest.raises(RuleError, match=r"pack_id|seller_id"):
        await client.unread.page(pack, seller)
    assert sandbox.requests == []
