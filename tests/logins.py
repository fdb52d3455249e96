"""Logins of a seller against a sandbox."""

from aiohttp import ClientSession

from mlmsg.oauth import Authorization

BACK = "https://shop.example/after-login"


def authorization_at(url: str, **options: object) -> Authorization:
    client_id = 1000000000000001
    return Authorization(client_id, "sandbox-secret", BACK, base_url=url, **options)  # type: ignore[arg-type]


def verifier_of(authorization: Authorization) -> str:
    return str(vars(authorization)["_verifier"])


async def log_in(browser: ClientSession, authorization: Authorization) -> str:
    """Open the login page as the seller's browser does, and return the final address."""
    async with browser.get(authorization.url, allow_redirects=False) as response:
        assert response.status == 302, await response.text()
        return response.headers["Location"]
