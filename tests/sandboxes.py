"""Helpers of the tests of the sandbox: ids of the example market, error bodies, raw requests."""

from io import BytesIO

import anyio
import msgspec
import pytest
from aiohttp import ClientSession, ClientTimeout

from mlmsg.sandbox import ClaimFile, Market, Sandbox, UnreadCount, example_market
from mlmsg.sandbox.schemas.claims import Role, Stage

SELLER = 700100200
MUG = "2000007001000011"
SHOES = "2000007001000033"
LAMP = "2000007001000044"
MUGS = "5204000011"
DISPUTE = "5204000022"
CLAIM_V1 = "5204000033"

EXAMPLE = example_market()
"""A market to compare with; tests do not change it."""

PACKS = "/marketplace/messages/packs/"
FILES = "/marketplace/messages/attachments"
UNREAD = "/messages/unread"
V2 = "/marketplace/v2/claims/"
V1 = "/post-purchase/v1/claims/"
DOWNLOAD = {"tag": "post_sale", "site_id": "MLM"}
UNMARKED = "?tag=post_sale&mark_as_read=false"

# A fault of the sandbox must fail a test, not hang it.
TIMEOUT = ClientTimeout(total=10)

MULTIPART = "multipart/form-data; boundary=B0undary"
JPG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
PDF = b"%PDF-1.4 a document"

POLICY_AGENT = {
    "code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES",
    "blocked_by": "PolicyAgent",
    "message": "At least one policy returned UNAUTHORIZED.",
    "status": 403,
}

ACTIONS: dict[tuple[Stage, Role], list[str]] = {
    ("claim", "complainant"): ["send_message_to_respondent"],
    ("claim", "respondent"): ["send_message_to_complainant"],
    ("claim", "mediator"): ["send_message_to_complainant", "send_message_to_respondent"],
    ("dispute", "complainant"): ["send_message_to_mediator"],
    ("dispute", "respondent"): ["send_message_to_mediator"],
    ("dispute", "mediator"): [],
}
"""The actions of each role in each stage, from the table of seed 001."""

both_families = pytest.mark.parametrize("base", [V2, V1], ids=["v2", "v1"])
"""Runs a test with both twins of a path of claims."""

POST_SALE_ROUTES = [
    ("GET", PACKS + MUG),
    ("POST", PACKS + MUG),
    ("GET", "/marketplace/messages/abc"),
    ("POST", f"{FILES}?site_id=MLM"),
    ("GET", f"{FILES}/a.png?tag=post_sale&site_id=MLM"),
    ("GET", "/nowhere"),
]

SEED_FILE = {
    "filename": "1517482146_31489bf8-95e3-4a2d-bcff-3c57771fb7c4.png",
    "original_filename": "Captura de pantalla 2024-08-22 a la(s) 4.12.28?p.m..png",
    "size": 1669,
    "date_created": "2024-08-22T18:13:09.000-04:00",
    "type": "image/png",
}
"""The file of the example of seed 001, with another size."""

_ERROR_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}


class Unread(msgspec.Struct, forbid_unknown_fields=True):
    user_id: int | str
    results: list[UnreadCount]


def error_body(status: int, message: str) -> dict[str, object]:
    """The shape of the two error bodies that seed 000 shows."""
    return {
        "message": message,
        "error": _ERROR_CODES.get(status),
        "status": status,
        "cause": [],
    }


def claim_error_body(status: int, message: str) -> dict[str, object]:
    """The shape of seed 001's 401 and 404."""
    code = {401: "unauthorized_request_error", 404: "not_found_error"}[status]
    return {"code": status, "error": code, "message": message, "cause": None}


def thread(pack: str, seller: int | str = SELLER) -> str:
    """The path of a seller thread."""
    return f"/messages/packs/{pack}/sellers/{seller}"


def framed(data: bytes = b"data", filename: str = "a.png", mime: str = "image/png") -> bytes:
    """A multipart body as browsers send it."""
    head = (
        f'--B0undary\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {mime}\r\n\r\n"
    )
    return head.encode() + data + b"\r\n--B0undary--\r\n"


def framed_jpg(data: bytes = JPG, filename: str = "a.jpg", mime: str = "image/jpeg") -> bytes:
    """Return such a body of a file that claims accept."""
    return framed(data, filename, mime)


async def get_body(http: ClientSession, target: str) -> bytes:
    """The body of a 200."""
    async with http.get(target) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def unread_counts(http: ClientSession, query: str = "") -> dict[str, int]:
    """The number of unread messages by resource."""
    unread = msgspec.json.decode(await get_body(http, UNREAD + query), type=Unread)
    # Seeds 002 and 003: an int, but a text in the empty answer.
    assert unread.user_id == (SELLER if unread.results else str(SELLER))
    return {count.resource: count.count for count in unread.results}


async def upload_to_claim(http: ClientSession, target: str, body: bytes) -> dict[str, object]:
    """The response to an upload of a claim."""
    headers = {"Content-Type": MULTIPART}
    async with http.post(target, data=BytesIO(body), headers=headers) as response:
        assert response.status == 201, await response.text()
        return msgspec.json.decode(await response.read(), type=dict[str, object])


def claim_file(sandbox: Sandbox, name: object, claim_id: str = MUGS) -> ClaimFile:
    return sandbox.market.claims[claim_id].files[str(name)]


async def exchange_bytes(sandbox: Sandbox, request: bytes) -> bytes:
    """Everything that the server sends until it closes the connection."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    received = b""
    with anyio.fail_after(5):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(request)
            async for chunk in stream:
                received += chunk
    return received


def two_sided_market() -> Market:
    """A market whose user sells in one pack, buys in another, and is not part of a third."""
    market = Market()
    market.add_pack(1)
    market.add_pack(2, seller_id=5, buyer_id=SELLER)
    market.add_pack(3, seller_id=5, buyer_id=6)
    for pack in market.packs:
        for number in range(3):
            market.add_message(pack, f"b{number}", author="buyer")
        for number in range(2):
            market.add_message(pack, f"s{number}", author="seller")
    return market
