"""Commands for the account: `whoami`."""

import click

from mlmsg.errors import NotFound
from mlmsg.models import MarketplaceSeller, Me

from ._command import Command
from ._output import print_json, print_line
from ._render import print_pairs, print_table
from ._settings import Connection, Settings, api_options, call

__all__ = ["whoami"]


@click.command(cls=Command)
@api_options
def whoami(settings: Settings) -> None:
    """Show the account of the access token.

    A Global Selling account has a seller for each site.
    """

    async def run(connection: Connection) -> tuple[Me, list[MarketplaceSeller]]:
        me = await connection.client.account.me()
        if not me.global_selling:
            return me, []
        try:
            return me, await connection.client.account.sellers()
        except NotFound:
            return me, []

    me, sellers = call(settings, run)
    if settings.json:
        account = {"id": me.id, "nickname": me.nickname, "site_id": me.site_id, "tags": me.tags}
        print_json(account | {"global_selling": me.global_selling, "sellers": sellers})
        return
    family = "Global Selling" if me.global_selling else "domestic"
    print_pairs(
        [
            ("user", me.id),
            ("nickname", me.nickname),
            ("site", me.site_id),
            ("family", family),
            ("tags", ", ".join(me.tags) or None),
        ]
    )
    if sellers:
        print_line("")
        rows = [(seller.user_id, seller.site_id, seller.logistic_type) for seller in sellers]
        print_table(("SELLER", "SITE", "LOGISTICS"), rows)
