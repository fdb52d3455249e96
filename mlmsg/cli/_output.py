"""Print lines of text and JSON. Control characters in texts of other people are escaped."""

import sys

import click
import msgspec

__all__ = [
    "print_json",
    "print_json_line",
    "print_line",
    "print_note",
    "printable",
    "printable_lines",
    "with_hint",
]

_ZERO_WIDTH_JOINER = "\u200d"  # part of many emoji; it moves nothing on a terminal


def print_line(text: str) -> None:
    """Print a line to standard output."""
    click.echo(text)


def print_note(text: str) -> None:
    """Print a line to standard error, one of progress or of advice."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """Print a value as JSON in UTF-8: on one line, or indented on a terminal."""
    document = msgspec.json.encode(value, enc_hook=str)
    if sys.stdout.isatty():
        document = msgspec.json.format(document)
    click.echo(document)


def print_json_line(value: object) -> None:
    """Print a value as one line of JSON in UTF-8."""
    click.echo(msgspec.json.encode(value, enc_hook=str))


def with_hint(text: str, hint: str) -> str:
    """Return a text and a hint as two sentences."""
    text = text.rstrip(". ")
    return f"{text}{' ' if text.endswith(('?', '!')) else '. '}{hint}" if hint else text


def printable(text: str) -> str:
    """Return text of others on one line, without characters that control a terminal."""
    return "".join(c if c.isprintable() or c == _ZERO_WIDTH_JOINER else " " for c in text)


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text of others, each one printable."""
    return [printable(line) for line in text.splitlines()] or [""]
