"""The login page: it sends the seller's browser back to the application with a code.

The seller of the market is logged in, and agrees: there is no page to look at.

Choices of the sandbox that the API does not document:

- an unknown client_id, and a redirect_uri that is not the registered one, are a 400; any other
  fault is a redirect with `error`, `error_description` and the `state`, as RFC 6749 has it
- of several grants of one application, the first one is the seller's who logs in
- unknown parameters are ignored, and no rate limit counts these requests
"""

from urllib.parse import urlencode, urlsplit

from mlmsg.sandbox._http.access import allow_all
from mlmsg.sandbox._http.exchange import Exchange, Route
from mlmsg.sandbox._http.responses import Response, oauth_error
from mlmsg.sandbox.grants import Grant
from mlmsg.sandbox.logins import CHALLENGE_METHODS, Login

# The life of a code: integrators saw about ten minutes.
_CODE_SECONDS = 600.0


async def log_in(exchange: Exchange) -> Response:
    """Handle `GET /authorization`.

    The query is `response_type=code, client_id, redirect_uri`, and optionally `state,
    code_challenge, code_challenge_method`.
    """
    query = exchange.request.query
    if len(query) != len(set(query)):
        raise oauth_error("invalid_request", "A parameter is there more than once")
    grant = _find_grant(exchange.settings.grants, query.get("client_id", ""))
    redirect_uri = _check_redirect(grant, query.get("redirect_uri", ""))
    challenge, method = query.get("code_challenge"), query.get("code_challenge_method", "plain")
    if fault := _find_fault(grant, query.get("response_type"), challenge, method):
        code, description = fault
        answer = {"error": code, "error_description": description}
    else:
        end = exchange.settings.clock.now() + _CODE_SECONDS
        answer = {"code": grant.start_login(Login(redirect_uri, challenge, method, end))}
    if "state" in query:
        answer["state"] = query["state"]
    separator = "&" if "?" in redirect_uri else "?"
    return Response(302, b"", {"Location": f"{redirect_uri}{separator}{urlencode(answer)}"})


ROUTES = (Route("GET", "/authorization", log_in, allow_all, limited=False),)


def _find_grant(grants: list[Grant], client_id: str) -> Grant:
    for grant in grants:
        if grant.client_id == client_id:
            return grant
    raise oauth_error("invalid_client", "The client_id is missing or unknown")


def _check_redirect(grant: Grant, redirect_uri: str) -> str:
    """Return the address to which the browser may be sent."""
    if grant.redirect_uri is not None:
        is_valid = redirect_uri == grant.redirect_uri
    else:
        is_valid = redirect_uri.isascii() and redirect_uri.isprintable()
        is_valid = is_valid and redirect_uri.startswith(("https://", "http://"))
    if is_valid and _is_absolute(redirect_uri):
        return redirect_uri
    raise oauth_error("invalid_request", "The redirect_uri is missing, or not the registered one")


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.netloc) and "#" not in url


def _find_fault(
    grant: Grant, response_type: str | None, challenge: str | None, method: str
) -> tuple[str, str] | None:
    """Return the error that the redirect names, and its description; None if there is none."""
    if response_type != "code":
        return "unsupported_response_type", "The response_type must be code"
    if challenge == "" or (challenge is None and grant.requires_pkce):
        return "invalid_request", "code_challenge is a required parameter"
    if method not in CHALLENGE_METHODS:
        return (
            "invalid_request",
            f"The code_challenge_method must be {' or '.join(CHALLENGE_METHODS)}",
        )
    if grant.login_error is not None:
        return grant.login_error, "The login was not completed"
    return None
