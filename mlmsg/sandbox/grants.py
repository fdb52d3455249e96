"""Grants: what an application got from a seller, to be refreshed. Plain values, no I/O."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

__all__ = ["Grant"]

# Tokens are derived from the one they replace, so that the same steps give the same tokens in
# every run, and two grants never the same.
_IDS = UUID("6d6c6d73-6700-5000-8000-6772616e7473")


@dataclass(slots=True)
class Grant:
    """What `POST /oauth/token` refreshes; all of it may be changed while the sandbox runs.

    A refresh token works once. What the API does with the access tokens before the newest is not
    documented: here they stay valid until they expire, unless `revoke_old` is set.

    Attributes:
        client_id: The application.
        client_secret: Its secret. Like the tokens it is not part of the repr.
        refresh_token: The only one that is valid; each refresh replaces it.
        user_id: The seller, as the answer tells it; None for the market's own. Whoever it is, an
            access token lets its bearer do what the market's `user_id` may.
        expires_in: Seconds that an access token issued from now on lives, by the sandbox's clock.
        access_token: The newest. The one a grant begins with was not issued, and does not expire
            by the clock.
        revoke_old: A refresh expires all earlier access tokens of the grant at once.
        refreshes: How often it was refreshed, lost answers included and refused requests not.
    """

    client_id: str = "1000000000000001"
    client_secret: str = field(default="sandbox-secret", repr=False)
    refresh_token: str = field(default="sandbox-refresh-0001", repr=False)
    user_id: int | None = None
    expires_in: int = 21600
    access_token: str | None = field(default=None, repr=False)
    revoke_old: bool = False
    refreshes: int = field(default=0, init=False)
    # When each access token ends; one that is not here does not.
    _ends: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.expires_in < 0:
            raise ValueError(f"expires_in must be 0 or more seconds, not {self.expires_in}")

    def refresh(self, now: float) -> str:
        """Replace both tokens, and return the new access token; `now` is in seconds."""
        if self.revoke_old:
            self._end_all(now)
        used = self.refresh_token
        self.refreshes += 1
        self.refresh_token = self._next("refresh", used)
        self.access_token = self._next("token", used)
        self._ends[self.access_token] = now + self.expires_in
        return self.access_token

    def has_expired(self, access_token: str, now: float) -> bool:
        """Whether it is one of this grant's, and its end has come."""
        end = self._ends.get(access_token)
        return end is not None and now >= end

    def _end_all(self, now: float) -> None:
        if self.access_token is not None:
            self._ends.setdefault(self.access_token, now)
        self._ends = {token: min(end, now) for token, end in self._ends.items()}

    def _next(self, kind: str, used: str) -> str:
        # The number tells a grant's tokens apart, the rest the tokens of several grants.
        unique = uuid5(_IDS, f"{kind} {used}").hex[:12]
        return f"sandbox-{kind}-{self.refreshes + 1:04}-{unique}"
