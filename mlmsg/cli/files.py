"""Commands for the files of messages: `upload` and `download`."""

import click

from mlmsg.downloads import Saved
from mlmsg.errors import ApiError
from mlmsg.models import Upload
from mlmsg.rules import POST_SALE_FILES

from ._command import Command
from ._dry_run import DryRunEnd, dry_run_option
from ._files import SOURCE, overwrite_option, print_checked, print_saved, target_option
from ._output import print_json, print_line
from ._sending import check_files
from ._settings import Connection, Settings, api_options, call
from ._sites import site_of_account, site_option
from ._transfer import transfer

__all__ = ["download", "upload"]


@click.command(cls=Command)
@click.argument("file", type=SOURCE)
@click.option("--name", metavar="NAME", help="The name that the buyer will see.")
@site_option
@dry_run_option
@api_options
def upload(
    settings: Settings, file: str, name: str | None, site_id: str | None, dry_run: bool
) -> None:
    """Upload a FILE for a later message, and print its id.

    Mercado Libre deletes a file that no message uses within 48 hours.
    """

    async def run(connection: Connection) -> Upload | None:
        [checked] = await check_files([file], POST_SALE_FILES, name)
        site = await site_of_account(connection, site_id, settings.note)
        try:
            with transfer(checked.name, settings) as progress:
                return await connection.client.attachments.upload(
                    file, site_id=site, filename=name, progress=progress
                )
        except DryRunEnd:
            print_checked(checked, settings)
            return None

    stored = call(settings, run, dry_run=dry_run)
    if stored is None:
        return
    if settings.json:
        print_json(stored)
    else:
        print_line(stored.id)


@click.command(cls=Command)
@click.argument("file_id", metavar="ID")
@target_option
@overwrite_option
@site_option
@api_options
def download(
    settings: Settings, file_id: str, to: str, overwrite: bool, site_id: str | None
) -> None:
    """Download an attachment by its ID.

    `mlmsg thread` shows the ids.
    """

    async def run(connection: Connection) -> Saved:
        site = await site_of_account(connection, site_id)
        try:
            with transfer(file_id, settings) as progress:
                return await connection.client.attachments.download(
                    file_id, to, site_id=site, overwrite=overwrite, progress=progress
                )
        except ApiError as error:
            if site_id is None:
                error.add_hint(f"The site was {site}; add --site-id for another site")
            raise

    print_saved(call(settings, run), settings)
