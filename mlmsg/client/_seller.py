"""The seller that a client acts for: the family of paths, and the seller's own id."""

import asyncio

from mlmsg import _operations
from mlmsg._arguments import check_bool, check_id, shorten
from mlmsg._numbers import whole_number
from mlmsg._session import Session
from mlmsg._worker_threads import wait_until_done
from mlmsg.errors import RuleError
from mlmsg.models import Me
from mlmsg.rules import Family

__all__ = ["Seller", "check_user_id"]


class Seller:
    """The family of a client, and the account of its token.

    Domestic paths contain the seller's own id. If the caller does not pass it, the API is asked
    once, by one shared call. The call ends when nobody waits for it any more.

    Attributes:
        family: The family.
        is_domestic: True for a seller of one country's site.
    """

    def __init__(
        self, session: Session, *, global_selling: bool, user_id: int | str | None
    ) -> None:
        check_bool("`global_selling`", global_selling)
        self.family = Family.GLOBAL_SELLING if global_selling else Family.DOMESTIC
        self.is_domestic: bool = self.family is Family.DOMESTIC
        self._session = session
        self._user_id = None if user_id is None else check_user_id("user_id", user_id)
        self._me: Me | None = None
        self._asking: asyncio.Task[Me] | None = None
        self._waiting = 0

    async def user_id(self) -> int:
        """Return the seller's own id."""
        if self._user_id is None:
            self._user_id = (await self.me()).id
        return self._user_id

    async def site_id(self) -> str | None:
        """Return the site of the account: `CBT` for Global Selling."""
        return (await self.me()).site_id

    async def me(self) -> Me:
        """Return the account of the token. It is requested once and then remembered."""
        return self._me or await self._ask()

    async def _ask(self) -> Me:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._request())
        asking = self._asking
        self._waiting += 1
        try:
            return await asyncio.shield(asking)
        finally:
            self._waiting -= 1
            if self._waiting == 0 and not asking.done():
                asking.cancel()
                await wait_until_done(asking)

    async def _request(self) -> Me:
        # Remembered here: the callers may be cancelled as the response arrives.
        self._me = await self._session.send(_operations.me())
        self._session.account_hint = _account_hint(self._me, is_domestic=self.is_domestic)
        return self._me


def _account_hint(me: Me, *, is_domestic: bool) -> str:
    """Return the advice for an account of the other family of sellers; `""` for one of this."""
    if me.site_id is None:
        return ""
    if me.global_selling == is_domestic:
        needed = "Client(token)" if me.global_selling else "Client(token, global_selling=False)"
        kind = "Global Selling" if me.global_selling else f"the site {me.site_id}, a domestic one"
        return f"The account is one of {kind}: use {needed}"
    return ""


def check_user_id(name: str, value: int | str) -> int:
    """Return the id of a user as an int."""
    number = whole_number(check_id(name, value))
    if number is None:
        raise RuleError(f"`{name}`", shorten(value), "the id of a user: 1 to 20 digits")
    return number
