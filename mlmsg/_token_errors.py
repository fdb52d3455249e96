"""Advice for the errors of the token endpoint (authorization guide, "Errors"; RFC 6749). Pure."""

from collections.abc import Mapping

from .errors import ApiError

__all__ = ["explain_exchange", "explain_refresh"]

_HINTS = {
    "invalid_client": "Check the client id and the client secret",
    "invalid_scope": "Check the scopes of the application",
    "unauthorized_application": "Check that the application is active",
    "forbidden": "Check that the application is active, and that the account may use it",
    "unsupported_grant_type": "Check that the base URL is that of the API",
    "local_rate_limited": "Wait a minute, then try again",
    "invalid_operator_user_id": "Log in with the main account, not with that of a collaborator",
}
"""The advice for each error code of any token request."""

_REFRESH_HINTS = {"unauthorized_client": "Check that the application may refresh tokens"}

_EXCHANGE_HINTS = {
    "invalid_grant": (
        "The code works once, for about ten minutes, and only with the redirect address of the "
        "login. Log in again. If that fails too, the account may have data to complete"
    ),
    "invalid_request": "Check the redirect address, then log in again",
    "unauthorized_client": "Check that the seller has authorized the application",
}


def explain_refresh(error: ApiError) -> ApiError:
    """Return the error of a refresh with its hint."""
    return _explain(error, {**_HINTS, **_REFRESH_HINTS})


def explain_exchange(error: ApiError) -> ApiError:
    """Return the error of an exchanged code with its hint."""
    return _explain(error, {**_HINTS, **_EXCHANGE_HINTS})


def _explain(error: ApiError, hints: Mapping[str, str]) -> ApiError:
    """Set the hint for the code of the error, or for a code that its message contains."""
    found = (hint for code, hint in hints.items() if code == error.code)
    named = (hint for code, hint in hints.items() if "_" in code and code in error.message)
    # The hints for other calls are about access tokens, which a token request does not have.
    error.add_hint(next(found, next(named, "")), replace=True)
    return error
