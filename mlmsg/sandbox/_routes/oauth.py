"""The token endpoint: it exchanges a refresh token for a new pair of tokens.

Choices of the sandbox that the API does not document:

- only a form in the body is read; unknown fields are ignored, an empty field counts as missing
- the order of the checks: the form, grant_type, the other fields, the application, the token
- every refusal is a 400 with `{message, error, status, cause: []}`, an `error` of RFC 6749, and
  a message that repeats nothing of the request
- an Authorization header is ignored, and no rate limit counts these requests
"""

from urllib.parse import parse_qsl

import msgspec

from mlmsg.sandbox._http.access import allow_all
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.responses import ErrorResponse, Response, json_response
from mlmsg.sandbox.grants import Grant

_FORM = "application/x-www-form-urlencoded"
_BEARER = "bearer"
_SCOPE = "offline_access read write"
_FIELDS = ("client_id", "client_secret", "refresh_token")


class TokenResponse(msgspec.Struct, frozen=True):
    """The JSON of a refresh; `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    user_id: int
    refresh_token: str


async def refresh_token(exchange: Exchange) -> Response:
    """Handle `POST /oauth/token`.

    The form is `grant_type=refresh_token, client_id, client_secret, refresh_token`.
    """
    form = await _read_form(exchange)
    settings = exchange.settings
    # No await from here on: of two requests with the same token only the first succeeds.
    grant = _find_grant(settings.grants, form)
    access_token = grant.refresh(settings.clock.now())
    settings.tokens.add(access_token)
    return json_response(
        TokenResponse(
            access_token=access_token,
            token_type=_BEARER,
            expires_in=grant.expires_in,
            scope=_SCOPE,
            user_id=settings.market.user_id if grant.user_id is None else grant.user_id,
            refresh_token=grant.refresh_token,
        )
    )


ROUTES = (Route("POST", "/oauth/token", refresh_token, allow_all, limited=False),)


async def _read_form(exchange: Exchange) -> dict[str, str]:
    body = await exchange.body()
    if exchange.request.content_type != _FORM:
        raise _oauth_error("invalid_request", f"The body must be {_FORM}")
    try:
        pairs = parse_qsl(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise _oauth_error("invalid_request", "The body must be UTF-8") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise _oauth_error("invalid_request", "A field is there more than once")
    return form


def _find_grant(grants: list[Grant], form: dict[str, str]) -> Grant:
    grant_type = form.get("grant_type")
    if grant_type is not None and grant_type != "refresh_token":
        raise _oauth_error("unsupported_grant_type", "The grant_type must be refresh_token")
    missing = [name for name in ("grant_type", *_FIELDS) if name not in form]
    if missing:
        raise _oauth_error("invalid_request", f"Missing: {', '.join(missing)}")
    client_id, client_secret, token = (form[name] for name in _FIELDS)
    # An application may have a grant of each of several sellers.
    of_application = [
        grant
        for grant in grants
        if (grant.client_id, grant.client_secret) == (client_id, client_secret)
    ]
    if not of_application:
        raise _oauth_error("invalid_client", "The client_id or the client_secret is wrong")
    for grant in of_application:
        if grant.refresh_token == token:
            return grant
    raise _oauth_error("invalid_grant", "The refresh token is unknown, or was used before")


def _oauth_error(code: str, message: str) -> ErrorResponse:
    body = {"message": message, "error": code, "status": 400, "cause": []}
    return ErrorResponse(400, message, body=body)
