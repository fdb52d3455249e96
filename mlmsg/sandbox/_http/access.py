"""The checks of access before a handler: the token, the permission, the kind of seller."""

from mlmsg.sandbox._http.exchange import Exchange, Settings
from mlmsg.sandbox._http.responses import ErrorResponse

POLICY_AGENT = {
    "code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES",
    "blocked_by": "PolicyAgent",
    "message": "At least one policy returned UNAUTHORIZED.",
    "status": 403,
}
"""The body of the PolicyAgent's 403."""


def read_token(exchange: Exchange) -> str:
    """Return the token of a request, or an empty text.

    A header without the scheme Bearer counts as a token as a whole: the sandbox's own choice.
    """
    header = exchange.request.headers.get("Authorization", "")
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header


def check_token(exchange: Exchange) -> None:
    """Refuse a missing, unknown or expired token as the API does.

    The text of the 401 is not documented: it is the sandbox's own choice.

    Raises:
        ErrorResponse: 400 without a token or with an unknown one, 401 with an expired one.
    """
    token = read_token(exchange)
    if not token:
        raise ErrorResponse(400, "Access token is required")
    if _has_expired(token, exchange.settings):
        raise ErrorResponse(401, "The access token has expired")
    if token not in exchange.settings.tokens:
        raise ErrorResponse(400, f"Malformed access_token: {token}")


def check_seller(exchange: Exchange) -> None:
    """Refuse a token as `check_token` does, and a seller who may not use messages.

    Raises:
        ErrorResponse: 403 of the PolicyAgent, or of a "Model 6" seller of Global Selling.
    """
    check_token(exchange)
    check_permission(exchange)
    if exchange.settings.is_model_6 and exchange.request.path.startswith("/marketplace/"):
        body = {"message": "Forbidden", "error": "Forbidden", "status": 403, "cause": []}
        raise ErrorResponse(403, "Forbidden", body=body)


def check_permission(exchange: Exchange) -> None:
    """Refuse an application without the permission to communicate.

    Raises:
        ErrorResponse: 403 of the PolicyAgent.
    """
    if not exchange.settings.has_permission:
        raise ErrorResponse(403, "PolicyAgent", body=POLICY_AGENT)


def _has_expired(token: str, settings: Settings) -> bool:
    now = settings.clock.now()
    by_clock = any(grant.has_expired(token, now) for grant in settings.grants)
    return by_clock or token in settings.expired


def allow_all(_: Exchange) -> None:
    """Check nothing: a client without an access token obtains one here."""
