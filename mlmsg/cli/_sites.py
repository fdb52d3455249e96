"""The site of files, if the user does not name it."""

import click

from ._settings import Connection

__all__ = ["site_of_account", "site_of_pack", "site_option"]

DEFAULT_SITE = "MLM"

site_option = click.option(
    "--site-id",
    metavar="SITE",
    help="Site of the order, such as MLM. By default that of the thread, or of the account.",
)


async def site_of_pack(connection: Connection, pack: str, site_id: str | None) -> str:
    """Return the site of a pack: the given one, or that of its newest message."""
    if site_id is not None:
        return site_id
    page = await connection.client.packs.page(pack, 1)
    sites = (message.site_id for message in page.messages)
    return next((site for site in sites if site and site != "CBT"), DEFAULT_SITE)


async def site_of_account(connection: Connection, site_id: str | None) -> str:
    """Return the given site, or that of the account; Global Selling has no single one."""
    if site_id is not None:
        return site_id
    if not connection.is_domestic:
        return DEFAULT_SITE
    return (await connection.client.account.me()).site_id or DEFAULT_SITE
