"""The options and the results that the commands for files share."""

import click

from mlmsg._html import size_text
from mlmsg.downloads import Saved

from ._output import print_json, print_line, printable
from ._sending import CheckedFile
from ._settings import Settings

__all__ = ["SOURCE", "overwrite_option", "print_checked", "print_saved", "target_option"]

SOURCE = click.Path(exists=True, dir_okay=False, readable=True)
"""A file to upload."""

target_option = click.option(
    "--to",
    required=True,
    type=click.Path(path_type=str),
    metavar="PATH",
    help="A folder (the file keeps its own name), or the path of the file.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an existing file.")


def print_checked(file: CheckedFile, settings: Settings) -> None:
    """Print the result of a dry run."""
    if settings.json:
        print_json({"dry_run": True, "file": file})
    elif not settings.quiet:
        print_line(printable(f"dry run: {file} would be uploaded"))


def print_saved(saved: Saved, settings: Settings) -> None:
    """Print the path, the size and the SHA-256 of a saved file."""
    if settings.json:
        print_json({"path": str(saved.path), "size": saved.size, "sha256": saved.sha256})
    elif not settings.quiet:
        about = f"{size_text(saved.size)}, SHA-256 {saved.sha256}"
        print_line(printable(f"saved {saved.path} ({about})"))
