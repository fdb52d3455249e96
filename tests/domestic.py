"""Helpers of the tests of the domestic sandbox: ids of the example market, and sends."""

from aiohttp import ClientSession

from mlmsg.sandbox import example_market

SELLER = 700400300
OPEN = "2000007002000011"
BUYER = 700500011

DOMESTIC = example_market(site_id="MLB")
"""A market to compare with; tests do not change it."""


def thread(pack: str, seller: int | str = SELLER, query: str = "?tag=post_sale") -> str:
    """Return the path of a seller thread."""
    return f"/messages/packs/{pack}/sellers/{seller}{query}"


def message(to: int | str = BUYER, text: str | None = "Oi", **others: object) -> dict[str, object]:
    """Return the body of a send."""
    return {"from": {"user_id": str(SELLER)}, "to": {"user_id": to}, "text": text, **others}


async def send(http: ClientSession, pack: str, body: object, status: int = 201) -> object:
    """Send a body, check the status of the response, and return its JSON."""
    async with http.post(thread(pack), json=body) as response:
        assert response.status == status, await response.text()
        answer: object = await response.json()
        return answer
