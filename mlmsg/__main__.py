"""Start the command line: `python -m mlmsg`, or `mlmsg`."""

import sys


def main() -> None:
    """Run the command line. If one of its libraries is missing, print what to install."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        if error.name not in {"click", "platformdirs", "rich"}:
            raise
        print(
            f"mlmsg: the command line needs {error.name}: pip install 'mlmsg[cli]'", file=sys.stderr
        )
        sys.exit(2)
    except KeyboardInterrupt:  # the imports take a moment
        print("Error: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
