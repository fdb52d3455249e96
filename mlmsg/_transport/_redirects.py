"""Decide where a redirect of a download may lead."""

import re
from collections.abc import Mapping

from aiohttp import ClientResponse
from yarl import URL

from mlmsg._arguments import is_loopback
from mlmsg.errors import RequestLine, UnsafeRedirect

__all__ = ["MAX_REDIRECTS", "headers_for", "is_redirect", "redirect_target"]

MAX_REDIRECTS = 5
"""Redirects followed for one download."""

_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


def is_redirect(response: ClientResponse) -> bool:
    """Return True if the response has the status of a redirect."""
    return response.status in _REDIRECT_STATUSES


def redirect_target(response: ClientResponse, line: RequestLine) -> URL:
    """Return the URL that a redirect leads to.

    Raises:
        UnsafeRedirect: There is none, or others could read the file or learn a password there.
    """
    location = response.headers.get("Location")
    if not location:
        raise UnsafeRedirect("a redirect without a Location header", request=line)
    target = _join(response.url, location)
    if target is None or target.user or target.password or not target.host:
        raise _unsafe(line)
    is_local = response.url.scheme == "http" and is_loopback(target.host)
    if target.scheme == "https" or (target.scheme == "http" and is_local):
        return target
    raise _unsafe(line)


def headers_for(target: URL, origin: URL, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers for `target`: the token never leaves the API's origin.

    Once a redirect has led to another origin, the token is gone for the rest of the redirects, even
    if one of them leads back to the API: the other origin chose that address, and must not be able
    to make the API do something in the name of the seller.
    """
    if target.origin() == origin:
        return headers
    return {name: value for name, value in headers.items() if name != "Authorization"}


def _join(base: URL, location: str) -> URL | None:
    """Return the absolute URL, or None if the location is not a valid one."""
    # A location of plain ASCII is not encoded again: its signature may depend on each character.
    is_encoded = re.fullmatch(r"[!-~]+", location) is not None
    try:
        target = URL(location, encoded=is_encoded)
        if target.raw_path:
            # `URL.join` decodes a base that does not end in "/": %20 becomes a space (yarl 1.25).
            folder = base.raw_path.rpartition("/")[0]
            base = base.with_path(f"{folder}/", encoded=True)
        target = base.join(target)
        # A host name that cannot be looked up fails later, inside aiohttp, with a UnicodeError.
        (target.host or "").encode("idna")
        target.origin()
    except Exception:  # noqa: BLE001  (yarl 1.25 raises IndexError for "https://[]@", too)
        return None
    return target


def _unsafe(line: RequestLine) -> UnsafeRedirect:
    text = "refusing to follow a redirect to an insecure URL (https required, no credentials)"
    return UnsafeRedirect(text, request=line)
