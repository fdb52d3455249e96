"""The command line: `python -m mlmsg`, or `mlmsg`."""

import sys


def main() -> None:
    """Runs the command line; says what to install where its libraries are missing."""
    try:
        from ._cli import cli
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich", "obstore"}:
            raise
        print(
            f"mlmsg: the command line needs {error.name}: pip install 'mlmsg[cli]'", file=sys.stderr
        )
        sys.exit(2)
    cli()


if __name__ == "__main__":
    main()
