"""`mlmsg packs`: the packs of a seller."""

from datetime import datetime

import click

from mlmsg.models import PackRef

from ._command import Command
from ._exit_codes import ExitCode
from ._listing import print_rows, since_option, until_option
from ._moments import check_span
from ._settings import Connection, Settings, api_options, call

__all__ = ["packs"]

COLUMNS = (("PACK", 16), ("UPDATED", 16), ("SITE", 4), ("SELLER", 10), ("ORDERS", 16))


@click.command(cls=Command)
@since_option
@until_option
@api_options
def packs(settings: Settings, since: datetime, until: datetime | None) -> ExitCode:
    """List the packs whose orders were updated in a span of time.

    Of a domestic seller, the API knows orders of the last twelve months. With --json, each line is
    a pack. The first column is a list for `mlmsg sync --packs-from -`.
    """
    check_span(since, until)

    async def run(connection: Connection) -> ExitCode:
        found = connection.client.packs.all(since=since, until=until)
        return await print_rows(settings, COLUMNS, found, _row)

    return call(settings, run)


def _row(pack: PackRef) -> tuple[object, ...]:
    orders = ", ".join(map(str, pack.order_ids))
    return (pack.pack_id, pack.updated, pack.site_id, pack.seller_id, orders)
