"""Say in commands and options what the errors of the package say in calls and arguments."""

import re
from collections.abc import Callable

__all__ = ["in_commands"]

PARAMETERS = {
    "app_id": "--app-id",
    "attachment_id": "ID",
    "base_url": "--base-url",
    "claim_id": "CLAIM",
    "claims": "CLAIM",
    "concurrency": "--concurrency",
    "file_name": "FILE",
    "filename": "--name",
    "files": "--file",
    "limit": "--limit",
    "message_id": "ID",
    "option": "--send",
    "pack_id": "PACK",
    "packs": "PACK",
    "receiver_role": "--to",
    "role": "--role",
    "seller_id": "SELLER",
    "since": "--since",
    "site_id": "--site-id",
    "template_id": "--template",
    "text": "TEXT",
    "text_translated": "--translated",
    "to": "--to",
    "until": "--until",
    "variables": "--var",
}
"""Parameters of the package, and what stands for each of them on the command line."""

PHRASES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r": run `mlmsg login`, or use mlmsg\.oauth", ""),  # the hint of the command line says it
    (r"client\.reasons\.list, then client\.reasons\.send", "`mlmsg reasons PACK`"),
    (r"Read client\.packs\.page\S+ for what can be done", "`mlmsg thread PACK` shows what to do"),
    (r"client\.packs\.page\S+ says why", "`mlmsg thread PACK` says why"),
    (r"(client\.)?packs\.send\b", "`mlmsg send`"),
    (r"client\.reasons(\.list|\.send)?", "`mlmsg reasons`"),
    (r"(use )?Client\(token, global_selling=False\)", "add --domestic"),
    (r"(use )?Client\(token\)", "leave out --domestic"),
    (r"`text` or `template_id`", "--text or --template"),
    (r"Pass a number for each of them", "Add --var ID=NUMBER for each of them"),
    (r"\b[Pp]ass ssl= with a context that trusts it", "set SSL_CERT_FILE to the file of the CA"),
    (r"Pass the unchanged access token, without", "Set the unchanged access token, without"),
    (r"Pass an access token to the Client", "Set an access token"),
    (r", or pass another path", ""),
    (r"Open it yourself in binary mode and pass the open file", "Save it to a file first"),
    (r"an int of 0 or more, or a str without '/' or spaces", "an id without / and spaces"),
    (
        r"The id of a file is `filename` of its attachment, not `original_filename`",
        "Use the file's id, not its original name",
    ),
    (r"\b([Pp])ass only the id", r"\1ut only the id"),
    (r"\bPass (?=(a|an|the) )", "Use "),
    (r"\b(?:([Pp])ass )([a-z_]+)=", lambda found: f"{_add(found[1])} {_option(found[2])}"),
    (r"\b(enabled|actionable|cap_available)=", r"\1 "),
    (r"^`([a-z_]+)`", lambda found: _option(found[1])),
    (r"`([a-z_]+)`", lambda found: PARAMETERS.get(found[1], found[0])),
)
"""Patterns and their replacements, in this order."""


def in_commands(text: str) -> str:
    """Return a text of the package with commands and options in place of calls and arguments."""
    for pattern, replacement in PHRASES:
        text = re.sub(pattern, replacement, text)
    return text


def _add(initial: str) -> str:
    return "Add" if initial == "P" else "add"


def _option(parameter: str) -> str:
    return PARAMETERS.get(parameter, f"--{parameter.replace('_', '-')}")
