"""Logins that wait for their code to be exchanged. Plain values, no I/O."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["CHALLENGE_METHODS", "Login"]

CHALLENGE_METHODS = ("S256", "plain")
"""The values of `code_challenge_method`."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login whose code was issued.

    Attributes:
        redirect_uri: The address to which the code was sent.
        challenge: The `code_challenge`, or None.
        method: The `code_challenge_method`, one of `CHALLENGE_METHODS`.
        expires_at: The end of the code, on the sandbox's clock.
    """

    redirect_uri: str
    challenge: str | None
    method: str
    expires_at: float

    def accepts(self, verifier: str | None) -> bool:
        """Return True if the verifier belongs to the challenge (RFC 7636, section 4.6)."""
        if self.challenge is None or verifier is None:
            return self.challenge is None
        if self.method == "plain":
            return verifier == self.challenge
        digest = sha256(verifier.encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
