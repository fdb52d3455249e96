"""The token endpoint: a refresh token for a new access token and the next refresh token.

The sandbox's own choices, not documented by the API:

- only a form in the body is read; fields it does not know are ignored, an empty one is missing
- the order of the checks: the form, grant_type, the other fields, the application, the token
- every refusal is a 400 with `{message, error, status, cause: []}`, `error` from RFC 6749; its
  text repeats nothing of the request
- an Authorization header is ignored, and no rate limit counts these requests
"""

from urllib.parse import parse_qsl

import msgspec

from mlmsg.sandbox._answers import Answer, RefusalError, json_answer
from mlmsg.sandbox._exchange import Exchange, Route
from mlmsg.sandbox.grants import Grant

_FORM = "application/x-www-form-urlencoded"
_TYPE = "bearer"
_SCOPE = "offline_access read write"
_FIELDS = ("client_id", "client_secret", "refresh_token")


class Issued(msgspec.Struct, frozen=True):
    """The JSON of a refresh; `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    user_id: int
    refresh_token: str


async def token(exchange: Exchange) -> Answer:
    """`POST /oauth/token`: grant_type=refresh_token, client_id, client_secret, refresh_token."""
    form = await _form(exchange)
    settings = exchange.settings
    # Nothing is awaited from here on: of two requests with the same token one is too late.
    grant = _grant(settings.grants, form)
    access_token = grant.refresh(settings.clock.now())
    settings.tokens |= {access_token}
    answer = Issued(
        access_token=access_token,
        token_type=_TYPE,
        expires_in=grant.expires_in,
        scope=_SCOPE,
        user_id=settings.market.user_id if grant.user_id is None else grant.user_id,
        refresh_token=grant.refresh_token,
    )
    return json_answer(answer)


def _check_nothing(_: Exchange) -> None:
    """Who has no access token yet has to come by here."""


ROUTES = (Route("POST", "/oauth/token", token, _check_nothing, limited=False),)


async def _form(exchange: Exchange) -> dict[str, str]:
    body = await exchange.body()
    if exchange.request.content_type != _FORM:
        raise _refusal("invalid_request", f"The body must be {_FORM}")
    try:
        pairs = parse_qsl(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise _refusal("invalid_request", "The body must be UTF-8") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise _refusal("invalid_request", "A field is there more than once")
    return form


def _grant(grants: list[Grant], form: dict[str, str]) -> Grant:
    kind = form.get("grant_type")
    if kind is not None and kind != "refresh_token":
        raise _refusal("unsupported_grant_type", "The grant_type must be refresh_token")
    missing = [name for name in ("grant_type", *_FIELDS) if name not in form]
    if missing:
        raise _refusal("invalid_request", f"Missing: {', '.join(missing)}")
    client_id, client_secret, refresh_token = (form[name] for name in _FIELDS)
    # The grants of one application, each of another seller.
    own = [
        one for one in grants if (one.client_id, one.client_secret) == (client_id, client_secret)
    ]
    if not own:
        raise _refusal("invalid_client", "The client_id or the client_secret is wrong")
    for grant in own:
        if grant.refresh_token == refresh_token:
            return grant
    raise _refusal("invalid_grant", "The refresh token is unknown, or was used before")


def _refusal(word: str, message: str) -> RefusalError:
    body = {"message": message, "error": word, "status": 400, "cause": []}
    return RefusalError(400, message, body=body)
