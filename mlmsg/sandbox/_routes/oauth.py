"""The token endpoint: it exchanges a refresh token, or the code of a login, for a pair of tokens.

Choices of the sandbox that the API does not document:

- only a form in the body is read; unknown fields are ignored, an empty field counts as missing
- the order of the checks: the form, grant_type, the other fields, the application, the token or
  code, then the redirect_uri and the verifier
- every refusal is a 400 with `{message, error, status, cause: []}`, an `error` of RFC 6749, and
  a message that repeats nothing of the request; it does not use up a code
- an Authorization header is ignored, and no rate limit counts these requests
"""

from urllib.parse import parse_qsl

import msgspec

from mlmsg.sandbox._http.access import allow_all
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.responses import Response, json_response, oauth_error
from mlmsg.sandbox.grants import Grant

_FORM = "application/x-www-form-urlencoded"
_BEARER = "bearer"
_SCOPE = "offline_access read write"
_FIELDS = {
    "refresh_token": ("client_id", "client_secret", "refresh_token"),
    "authorization_code": ("client_id", "client_secret", "code", "redirect_uri"),
}
"""The fields that each grant_type requires."""


class TokenResponse(msgspec.Struct, frozen=True):
    """The JSON of new tokens; `expires_in` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    user_id: int
    refresh_token: str | msgspec.UnsetType


async def issue_tokens(exchange: Exchange) -> Response:
    """Handle `POST /oauth/token`.

    The form is `grant_type=refresh_token, client_id, client_secret, refresh_token`, or
    `grant_type=authorization_code, client_id, client_secret, code, redirect_uri, code_verifier`.
    """
    form = await _read_form(exchange)
    # No await from here on: of two requests with the same token only the first succeeds.
    grant_type = _check_fields(form)
    settings, now = exchange.settings, exchange.settings.clock.now()
    grants = _grants_of_application(settings.grants, form)
    if grant_type == "authorization_code":
        grant = _find_login(grants, form, now)
        access_token = grant.complete_login(form["code"], now)
        has_next = grant.offline_access
    else:
        grant = _find_grant(grants, form["refresh_token"])
        access_token, has_next = grant.refresh(now), True
    settings.tokens.add(access_token)
    return json_response(
        TokenResponse(
            access_token=access_token,
            token_type=_BEARER,
            expires_in=grant.expires_in,
            scope=_SCOPE if has_next else _SCOPE.removeprefix("offline_access "),
            user_id=settings.market.user_id if grant.user_id is None else grant.user_id,
            refresh_token=grant.refresh_token if has_next else msgspec.UNSET,
        )
    )


ROUTES = (Route("POST", "/oauth/token", issue_tokens, allow_all, limited=False),)


async def _read_form(exchange: Exchange) -> dict[str, str]:
    body = await exchange.body()
    if exchange.request.content_type != _FORM:
        raise oauth_error("invalid_request", f"The body must be {_FORM}")
    try:
        pairs = parse_qsl(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise oauth_error("invalid_request", "The body must be UTF-8") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise oauth_error("invalid_request", "A field is there more than once")
    return form


def _check_fields(form: dict[str, str]) -> str:
    """Return the grant_type of a complete form."""
    grant_type = form.get("grant_type")
    if grant_type is not None and grant_type not in _FIELDS:
        raise oauth_error("unsupported_grant_type", f"Supported: {', '.join(_FIELDS)}")
    required = _FIELDS[grant_type or "refresh_token"]
    missing = [name for name in ("grant_type", *required) if name not in form]
    if grant_type is None or missing:
        raise oauth_error("invalid_request", f"Missing: {', '.join(missing)}")
    return grant_type


def _grants_of_application(grants: list[Grant], form: dict[str, str]) -> list[Grant]:
    """Return the grants of the application: it may have one of each of several sellers."""
    application = form["client_id"], form["client_secret"]
    found = [grant for grant in grants if (grant.client_id, grant.client_secret) == application]
    if not found:
        raise oauth_error("invalid_client", "The client_id or the client_secret is wrong")
    return found


def _find_grant(grants: list[Grant], refresh_token: str) -> Grant:
    for grant in grants:
        if grant.refresh_token == refresh_token:
            return grant
    raise oauth_error("invalid_grant", "The refresh token is unknown, or was used before")


def _find_login(grants: list[Grant], form: dict[str, str], now: float) -> Grant:
    """Return the grant whose seller logged in with this code."""
    code, verifier = form["code"], form.get("code_verifier")
    for grant in grants:
        login = grant.find_login(code, now)
        if login is None:
            continue
        if login.redirect_uri != form["redirect_uri"]:
            raise oauth_error("invalid_grant", "The redirect_uri is not that of the login")
        if login.challenge is not None and verifier is None:
            raise oauth_error("invalid_request", "code_verifier is a required parameter")
        if not login.accepts(verifier):
            raise oauth_error("invalid_grant", "The code_verifier does not fit")
        return grant
    raise oauth_error("invalid_grant", "The code is unknown or expired, or was used before")
