"""The classes of all commands: errors become one line and an exit code, help lists the codes."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import click

from ._exit_codes import EXIT_CODES, ExitCode
from ._failures import describe, exit_code_of
from ._output import print_note, printable, with_hint
from ._streams import write_error

__all__ = ["VARIABLES", "Command", "CommandGroup", "Job"]


VARIABLES = (
    ("MLMSG_ACCESS_TOKEN", "The access token of the seller."),
    ("MLMSG_GRANT", "The grant file, if --grant is not given."),
    ("MLMSG_CLIENT_ID", "The application, to refresh a token."),
    ("MLMSG_CLIENT_SECRET", "The secret of the application."),
    ("HTTPS_PROXY", "A proxy."),
    ("SSL_CERT_FILE", "The certificates of a private authority."),
)
"""The environment variables of commands that call the API, for the help of each."""


class Command(click.Command):
    """A command that may return an `ExitCode`, and whose errors become one line."""

    code_of_lost_output = ExitCode.FAILED
    """The exit code if the command succeeds, but its output cannot be written (a full disk)."""

    variables: ClassVar[Sequence[tuple[str, str]]] = VARIABLES
    """The environment variables of the command, if it calls the API."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. A text that looks like an option needs `--` before it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            has_text = any(parameter.name == "text" for parameter in self.params)
            if not has_text or error.possibilities:
                raise
            hint = "If it is the TEXT, put -- before it, and the options before the --"
            text = f"{error.message} {hint}"
            raise click.NoSuchOption(error.option_name, text, ctx=error.ctx) from None
        except click.UsageError as error:
            # The parser of click 8 does not name the command of an option with or without a value.
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with _failures(verbose=bool(ctx.params.get("verbose"))):
            result = super().invoke(ctx)
            code = result if isinstance(result, ExitCode) else ExitCode.OK
            if (error := write_error()) is not None:
                print_note(f"Error: cannot write to standard output: {describe(error)}")
                code = code or self.code_of_lost_output
            ctx.exit(code)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the environment variables and the exit codes."""
        super().format_epilog(ctx, formatter)
        if any(parameter.name == "base_url" for parameter in self.params):
            with formatter.section("Environment variables"):
                formatter.write_dl(self.variables)
        _write_exit_codes(formatter)


class Job(Command):
    """A command whose work counts, and not its output."""

    code_of_lost_output = ExitCode.OK


class CommandGroup(click.Group):
    """A group of such commands."""

    command_class: type[click.Command] | None = Command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Parse the arguments."""
        with _failures():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Find the command, and run it."""
        with _failures():
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        super().format_epilog(ctx, formatter)
        _write_exit_codes(formatter)


@contextmanager
def _failures(*, verbose: bool = False) -> Iterator[None]:
    """Print an error of the block as one line, and exit with its code."""
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        raise
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "mlmsg"
        text = with_hint(error.format_message(), f"Try '{path} --help'")
        code = ExitCode.USAGE
    except click.ClickException as error:
        text, code = error.format_message(), ExitCode.FAILED
    except (KeyboardInterrupt, click.Abort):
        text, code = "interrupted", ExitCode.INTERRUPTED
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  (a panic of obstore is no Exception)
        if verbose:
            traceback.print_exc()
        text, code = describe(error), exit_code_of(error)
    else:
        return
    print_note(f"Error: {printable(text)}")
    raise click.exceptions.Exit(code)


def _write_exit_codes(formatter: click.HelpFormatter) -> None:
    with formatter.section("Exit codes"):
        formatter.write_dl([(str(int(code)), meaning) for code, meaning in EXIT_CODES])
