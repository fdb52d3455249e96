"""Find the proxy for a URL: the client's own, or that of the environment."""

from functools import lru_cache
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from mlmsg._arguments import check_proxy
from mlmsg._secrets import Secret

__all__ = ["Proxies"]

MAX_CACHED_ORIGINS = 64
"""Origins whose proxy is remembered. Redirects of downloads may lead to any number of them."""


class Proxies:
    """The proxies of one client.

    Attributes:
        is_direct: True if `find` always returns None.

    The environment is read here and not by aiohttp, whose `trust_env` also reads `.netrc` and would
    replace the access token. It is read once for each origin.

    Args:
        proxy: The URL of the proxy for all requests, or None.
        trust_env: True to use `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as `urllib`
            reads them, if there is no `proxy`.
    """

    def __init__(self, proxy: str | None, *, trust_env: bool) -> None:
        self._proxy = None if proxy is None else URL(proxy)
        self.is_direct = proxy is None and not trust_env
        self._find = lru_cache(MAX_CACHED_ORIGINS)(_proxy_of_environment)

    def find(self, url: URL) -> URL | None:
        """Return the URL of the proxy for a request, or None for a direct connection.

        Raises:
            RuleError: The environment names a proxy that is not an HTTP proxy.
        """
        if self.is_direct or self._proxy is not None:
            return self._proxy
        return self._find(url.scheme, url.host or "", url.port)


def _proxy_of_environment(scheme: str, host: str, port: int | None) -> URL | None:
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host) or proxy_bypass(f"{host}:{port}"):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"  # as curl reads it
    name = f"the proxy of the environment for {scheme}"
    return URL(check_proxy(name, Secret(proxy)))
