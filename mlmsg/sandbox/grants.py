"""OAuth grants: the tokens that an application received from a seller. Plain values, no I/O."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

from mlmsg.sandbox.logins import Login

__all__ = ["Grant"]

# Each token is derived from its predecessor: the same steps give the same tokens in every run,
# and two grants never issue the same token.
_IDS = UUID("6d6c6d73-6700-5000-8000-6772616e7473")


@dataclass(slots=True)
class Grant:
    """An OAuth grant, refreshed by `POST /oauth/token`; change it at any time.

    A refresh token works once. The API does not document what becomes of earlier access tokens:
    here they stay valid until they expire, unless `revoke_old` is set.

    A login (`GET /authorization`, then `POST /oauth/token` with the code) replaces the tokens as a
    refresh does. That it ends an earlier refresh token is the sandbox's own choice.

    Attributes:
        client_id: The application.
        client_secret: The secret of the application. The repr omits it, like the tokens.
        refresh_token: The only valid refresh token; each refresh replaces it.
        user_id: The seller in the response; None for the market's own. For any seller, an access
            token has the permissions of the market's `user_id`.
        expires_in: The lifetime, in seconds of the sandbox's clock, of access tokens that are
            issued from now on.
        access_token: The newest access token. The first one was not issued by a refresh, and
            does not expire by the clock.
        revoke_old: New tokens expire all earlier access tokens of the grant at once.
        redirect_uri: The registered address to which a login returns; None accepts any.
        offline_access: The scope of the application includes `offline_access`. Without it a login
            gives no refresh token.
        requires_pkce: A login must send a `code_challenge`, as new applications have to. One that
            sends it must send the verifier in any case.
        login_error: The `error` with which the login page returns in place of a code, such as
            `access_denied`; None for a seller who agrees. Whether the API returns so is not
            verified.
        refreshes: The number of refreshes. It includes lost responses, and excludes refusals.
        logins: The number of codes that were exchanged for tokens.
    """

    client_id: str = "1000000000000001"
    client_secret: str = field(default="sandbox-secret", repr=False)
    refresh_token: str = field(default="sandbox-refresh-0001", repr=False)
    user_id: int | None = None
    expires_in: int = 21600
    access_token: str | None = field(default=None, repr=False)
    revoke_old: bool = False
    redirect_uri: str | None = None
    offline_access: bool = True
    requires_pkce: bool = False
    login_error: str | None = None
    refreshes: int = field(default=0, init=False)
    logins: int = field(default=0, init=False)
    # The logins whose code was not exchanged yet, by code.
    _pending: dict[str, Login] = field(default_factory=dict, init=False, repr=False)
    _codes: int = field(default=0, init=False, repr=False)
    # The end of each access token, on the sandbox's clock; a token that is missing has no end.
    _ends: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.expires_in < 0:
            raise ValueError(f"expires_in must be 0 or more seconds, not {self.expires_in}")

    def refresh(self, now: float) -> str:
        """Replace both tokens, and return the new access token; `now` is in seconds."""
        self.refreshes += 1
        return self._issue(now)

    def start_login(self, login: Login) -> str:
        """Keep a login, and return the code that completes it once."""
        self._codes += 1
        unique = uuid5(_IDS, f"code {self._codes} {self.client_id} {self.refresh_token}").hex[:12]
        code = f"sandbox-code-{self._codes:04}-{unique}"
        self._pending[code] = login
        return code

    def find_login(self, code: str, now: float) -> Login | None:
        """Return the login of a code; None if the code is unknown, used or expired."""
        login = self._pending.get(code)
        return None if login is None or now >= login.expires_at else login

    def complete_login(self, code: str, now: float) -> str:
        """Use up the code, replace both tokens, and return the new access token."""
        del self._pending[code]
        self.logins += 1
        return self._issue(now)

    def _issue(self, now: float) -> str:
        if self.revoke_old:
            self._expire_all(now)
        previous = self.refresh_token
        self.refresh_token = self._derive_token("refresh", previous)
        self.access_token = self._derive_token("token", previous)
        self._ends[self.access_token] = now + self.expires_in
        return self.access_token

    def has_expired(self, access_token: str, now: float) -> bool:
        """Return True if the token belongs to this grant and has expired."""
        end = self._ends.get(access_token)
        return end is not None and now >= end

    def _expire_all(self, now: float) -> None:
        if self.access_token is not None:
            self._ends.setdefault(self.access_token, now)
        self._ends = {token: min(end, now) for token, end in self._ends.items()}

    def _derive_token(self, kind: str, previous: str) -> str:
        # The number distinguishes the tokens of one grant, the suffix those of several grants.
        unique = uuid5(_IDS, f"{kind} {previous}").hex[:12]
        return f"sandbox-{kind}-{self.refreshes + self.logins + 1:04}-{unique}"
