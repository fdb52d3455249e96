"""The first token: send a seller to the login page, and exchange the code that comes back.

    authorization = Authorization(client_id, client_secret, redirect_uri, site_id="MLB")
    print("Open this address, and log in:", authorization.url)
    final_address = input("Paste the address at which the browser ends: ")
    token = await authorization.exchange(final_address, store=FileTokenStore("grant.json"))

Afterwards `RefreshingToken` keeps the grant alive. `mlmsg login` does all of this on a terminal.
"""

import asyncio
import secrets
import time
import warnings
from base64 import urlsafe_b64encode
from contextlib import nullcontext
from hashlib import sha256
from ssl import SSLContext
from urllib.parse import urlencode, urlsplit

from ._arguments import (
    check_base_url,
    check_bool,
    check_id,
    check_proxy,
    check_secret,
    check_ssl,
    is_loopback,
)
from ._event_loop import check_asyncio
from ._grant import check_store, token_from_response
from ._login_answer import AuthorizationDenied, check_redirect_uri, read_code
from ._operations import exchange_code
from ._secrets import Secret, as_secret
from ._session import Session
from ._transport import TransportOptions
from ._worker_threads import wait_until_done
from .auth import token_provider
from .budget import RateBudget
from .client import BASE_URL
from .errors import (
    DecodeError,
    InvalidToken,
    OutcomeUnknown,
    RateLimited,
    ReauthorizationRequired,
    TransportError,
    UsageError,
)
from .events import EventEmitter
from .policy import RetryPolicy, Timeouts
from .rules import check_login_site
from .token_store import Token, TokenStore

__all__ = ["HOSTS", "Authorization", "AuthorizationDenied"]

HOSTS = {
    "CBT": "global-selling.mercadolibre.com",
    "MLA": "auth.mercadolibre.com.ar",
    # From here on, only the rule is documented: the ending of the country takes the place of
    # Argentina's. Each host is one that integrators use.
    "MBO": "auth.mercadolibre.com.bo",
    "MCO": "auth.mercadolibre.com.co",
    "MCR": "auth.mercadolibre.co.cr",
    "MEC": "auth.mercadolibre.com.ec",
    "MGT": "auth.mercadolibre.com.gt",
    "MHN": "auth.mercadolibre.com.hn",
    "MLB": "auth.mercadolivre.com.br",
    "MLC": "auth.mercadolibre.cl",
    "MLM": "auth.mercadolibre.com.mx",
    "MLU": "auth.mercadolibre.com.uy",
    "MLV": "auth.mercadolibre.com.ve",
    "MNI": "auth.mercadolibre.com.ni",
    "MPA": "auth.mercadolibre.com.pa",
    "MPE": "auth.mercadolibre.com.pe",
    "MPY": "auth.mercadolibre.com.py",
    "MRD": "auth.mercadolibre.com.do",
    "MSV": "auth.mercadolibre.com.sv",
}
"""The host of the login page of each site."""

CANCEL_GRACE = 10.0
"""Seconds that a cancelled exchange waits for its answer: without it, the login is lost."""

_NO_TOKEN = Token(access_token="", refresh_token="")

_NOT_OFFLINE = (
    "the login gave no refresh token: the access token ends after some hours, and the seller must "
    "then log in again. Add the scope `offline_access` to the application"
)


class Authorization:
    """One login of a seller: the address to open, and the exchange of what comes back.

    It can be pickled, secrets included, to wait for the browser in another process.

    Attributes:
        url: The address of the login page, for the seller's browser. It contains no secret.
        state: A random text, which the final address has to repeat.
        redirect_uri: The address to which the login returns.
        site_id: The site of the account.
    """

    def __init__(
        self,
        client_id: int | str,
        client_secret: str,
        redirect_uri: str,
        site_id: str = "MLM",
        base_url: str = BASE_URL,
        *,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSLContext | None = None,
        timeout: float | Timeouts | None = 30.0,
    ) -> None:
        """Make the state and the verifier of a new login. No request is sent.

        Args:
            client_id: The application's id.
            client_secret: The application's secret.
            redirect_uri: The address that is registered for the application, byte for byte. It need
                not answer: the code is in the address.
            site_id: The site of the account, such as `MLB`; `CBT` for Global Selling.
            base_url: Where the API is. On this machine, such as a sandbox, the login page is there
                too.
            proxy: The URL of an HTTP proxy, as for a `Client`.
            trust_env: True to use the proxy that the environment names.
            ssl: The TLS context.
            timeout: Seconds without progress, or `Timeouts` for each phase, or None.

        Raises:
            RuleError: An argument is invalid. The error never repeats the secret.
        """
        client_secret, proxy = as_secret(client_secret), as_secret(proxy)
        self._client_id = check_id("client_id", client_id)
        self._client_secret = as_secret(check_secret("client secret", client_secret))
        self.redirect_uri: str = check_redirect_uri(redirect_uri)
        self.site_id: str = check_login_site(site_id)
        self._base_url = check_base_url(base_url)
        if proxy is not None:
            check_proxy("`proxy`", proxy)
        check_bool("`trust_env`", trust_env)
        check_ssl(ssl)
        self._options = TransportOptions(
            timeouts=Timeouts.from_value(timeout),
            max_connections=1,
            proxy=proxy,
            trust_env=trust_env,
            ssl=ssl,
        )
        self.state: str = secrets.token_urlsafe(32)
        self._verifier = Secret(secrets.token_urlsafe(64))
        self.url: str = self._login_address()
        self._sent_code = Secret()
        self._unreturned: Token | None = None

    def __repr__(self) -> str:
        if not hasattr(self, "url"):  # a traceback of `__init__` shows its locals
            return "<Authorization, not initialized>"
        return f"<Authorization of the application {self._client_id} for {self.site_id}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("login", repr(self))]

    async def exchange(self, final_address: str, store: TokenStore | None = None) -> Token:
        """Exchange the code of a final address for tokens, store them, and return them.

        The code works once, so the exchange is never repeated once it may have arrived. If the
        caller is cancelled meanwhile, the answer is awaited for ten seconds more, and stored. If
        the store fails, or if a call without a store is cancelled, call this again with the same
        address: nothing is sent again.

        Args:
            final_address: The address at which the browser ended, as it was pasted or received. Its
                state is checked. Or only the code, whose state cannot be checked.
            store: The store that keeps the grant. It has the tokens before they are returned.

        Returns:
            The tokens. If the application has no scope `offline_access`, there is no refresh token:
            it is `""`, and a `UserWarning` says so.

        Raises:
            AuthorizationDenied: The final address contains an error in place of a code.
            RuleError: It is another address, or has another state. Nothing was sent.
            ApiError: The API refused the code. The `hint` says what may be wrong.
            RateLimited: Too many requests. The same address can be passed again.
            TransportError: The network failed before anything was sent. The same address can be
                passed again.
            ReauthorizationRequired: The response was lost or cannot be read, and the code may be
                used up: begin again with a new `Authorization`.
            UsageError: The code was passed before.
        """
        final_address = as_secret(final_address)
        check_asyncio()
        check_store("`store` of a login", store)
        code = read_code(final_address, self.state, self.redirect_uri)
        async with nullcontext() if store is None else store.lock():
            token = await _finish(asyncio.ensure_future(self._obtain(code, store)))
        self._unreturned = None
        if not token.refresh_token:
            warnings.warn(_NOT_OFFLINE, UserWarning, stacklevel=2)
        return token

    def _login_address(self) -> str:
        challenge = urlsafe_b64encode(sha256(self._verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        is_local = is_loopback(urlsplit(self._base_url).hostname or "")
        place = self._base_url if is_local else f"https://{HOSTS[self.site_id]}"
        return f"{place}/authorization?{urlencode(query)}"

    async def _obtain(self, code: Secret, store: TokenStore | None) -> Token:
        """Send the code, unless its tokens wait to be stored or returned; store them."""
        if code != self._sent_code:
            self._unreturned = await self._request(code)
        token = self._unreturned
        if token is None:
            text = "this code was exchanged before, and works once; log in again for a new one"
            raise UsageError(text)
        if store is not None:
            await store.save(token)
            # The store may soon have newer tokens, which another save would replace.
            self._unreturned = None
        if not token.access_token:
            found, limit = "no valid token", "printable ASCII without spaces"
            raise InvalidToken("access token of the response", found, limit)
        return token

    async def _request(self, code: Secret) -> Token:
        """Send the request for the tokens."""
        request = exchange_code(
            self._client_id, self._client_secret, code, self.redirect_uri, self._verifier
        )
        self._sent_code, self._unreturned = code, None
        session = self._new_session()
        try:
            response = await session.send(request)
        except (RateLimited, TransportError):
            self._sent_code = Secret()  # it was not executed: a send that may be raises the next
            raise
        except OutcomeUnknown as error:
            reason, failure = f"its response was lost: {error.reason}", error.__cause__
        except DecodeError as error:
            reason, failure = f"its response cannot be read: {error.message}", error
        else:
            return token_from_response(response, _NO_TOKEN, time.time())
        finally:
            await session.close()
        raise ReauthorizationRequired(
            f"the code may be used up, because {reason}. Begin again with a new login"
        ) from failure

    def _new_session(self) -> Session:
        """Return a session for token requests, which are sent without an access token."""
        return Session(
            token_provider("none"),
            self._base_url,
            RetryPolicy(),
            RateBudget(reads=None, writes=None),
            EventEmitter(None),
            self._options,
            owner=repr(self),
        )


async def _finish(task: "asyncio.Future[Token]") -> Token:
    """Return the result of the task. A cancelled caller waits for the grace, or is cancelled again.

    The code is used up as soon as it arrives, so its answer must not be thrown away.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task}, timeout=CANCEL_GRACE)
        finally:
            task.cancel()
        raise
    finally:
        await wait_until_done(task)
