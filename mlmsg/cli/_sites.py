"""The site of files, if the user does not name it."""

from collections.abc import Callable
from contextlib import suppress

import click

from mlmsg.errors import ApiError, NotFound

from ._settings import Connection

__all__ = ["site_of_account", "site_of_pack", "site_option", "usual_site"]

DEFAULT_SITE = "MLM"

site_option = click.option(
    "--site-id",
    metavar="SITE",
    help="Site of the order, such as MLB. By default that of the thread, or of the account.",
)


async def site_of_pack(
    connection: Connection, pack: str, site_id: str | None, note: Callable[[str], None]
) -> str:
    """Return the site of a pack: the given one, that of its newest message, or of the account."""
    if site_id is not None:
        return site_id
    with suppress(NotFound):  # nobody has written yet
        page = await connection.client.packs.page(pack, 1)
        for message in page.messages:
            if message.site_id and message.site_id != "CBT":
                return message.site_id
    return await site_of_account(connection, None, note)


async def site_of_account(
    connection: Connection, site_id: str | None, note: Callable[[str], None] = lambda _: None
) -> str:
    """Return the given site, or the one that the account sells on. Note a choice among several."""
    if site_id is not None:
        return site_id
    if connection.is_domestic:
        return await usual_site(connection)
    sites: set[str] = set()
    with suppress(ApiError):  # not every token may read the sellers
        sellers = await connection.client.account.sellers()
        sites = {seller.site_id for seller in sellers if seller.site_id}
    if len(sites) == 1:
        return sites.pop()
    note(f"taking the site {DEFAULT_SITE}; add --site-id for an order of another site")
    return DEFAULT_SITE


async def usual_site(connection: Connection) -> str:
    """Return the site of a domestic account, or the default of Global Selling."""
    if not connection.is_domestic:
        return DEFAULT_SITE
    return (await connection.client.account.me()).site_id or DEFAULT_SITE
