"""What a file, a text and an id must meet, as data and as pure checks over it.

The limits are those of the documents "Post-sale messages" and "Messages claims". Exactly the limit
is allowed: the server stays the final judge, and nothing that it might take is refused here.
Every refusal is a `RuleError` that names the rule, what was found and what is allowed.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from inspect import iscoroutinefunction
from urllib.parse import urlsplit

from .errors import RuleError

__all__ = [
    "CLAIM_FILES",
    "HEAD",
    "KINDS",
    "POST_SALE_FILES",
    "RECEIVERS",
    "FileKind",
    "FileRules",
    "check_attachment_count",
    "check_base_url",
    "check_content_type",
    "check_count",
    "check_id",
    "check_on_event",
    "check_page",
    "check_progress",
    "check_receiver",
    "check_resource",
    "check_role",
    "check_secret",
    "check_site_id",
    "check_text",
    "check_token",
    "is_content_type",
    "is_loopback",
    "kind_of",
    "safe_filename",
]

MiB = 1024 * 1024

SHOWN = 80
"""Characters of a refused value that its error repeats."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file, told by its name and by its first bytes.

    Attributes:
        name: What people call it.
        extensions: The endings of its names, in lower case.
        signature: What its first bytes match.
    """

    name: str
    extensions: tuple[str, ...]
    signature: re.Pattern[bytes]


HEAD = 1024
"""Bytes from the beginning of a file that tell its kind."""

KINDS = (
    FileKind("JPG", (".jpg", ".jpeg"), re.compile(rb"\xff\xd8\xff")),
    FileKind("PNG", (".png",), re.compile(rb"\x89PNG\r\n\x1a\n")),
    # Readers of PDF take the header anywhere in the first kilobyte.
    FileKind("PDF", (".pdf",), re.compile(rb"(?s).{0,1019}%PDF-")),
)
"""The kinds that a claim takes."""


def kind_of(head: bytes) -> FileKind | None:
    """The kind that the first bytes of a file tell, if it is one of `KINDS`."""
    return next((kind for kind in KINDS if kind.signature.match(head)), None)


@dataclass(frozen=True, slots=True)
class FileRules:
    """What one family of messages asks of a file.

    Attributes:
        family: Whose rules these are, for the errors.
        max_bytes: The largest size, itself allowed.
        max_name: The longest name, in characters.
        name_pattern: What the whole name must match.
        name_allowed: The same in words.
        max_files: How many files a message may carry; None where no document says.
        kinds: The kinds of files that are taken; empty where no document limits them.
    """

    family: str
    max_bytes: int
    max_name: int
    name_pattern: re.Pattern[str]
    name_allowed: str
    max_files: int | None
    kinds: tuple[FileKind, ...] = ()

    def check_size(self, size: int) -> None:
        """Refuses an empty file and one over `max_bytes`."""
        limit = f"1 to {self.max_bytes} bytes ({self.max_bytes // MiB} MB)"
        if size <= 0:
            raise RuleError(f"size of a {self.family} file", f"{size} bytes (empty)", limit)
        if size > self.max_bytes:
            hint = "Send a smaller file, or a link to it"
            raise RuleError(f"size of a {self.family} file", f"{size} bytes", limit, hint)

    def check_name(self, name: str) -> None:
        """Refuses a name that is too long or holds a character that is not allowed."""
        if not isinstance(name, str):
            raise RuleError(f"{self.family} file name", type(name).__name__, "a str")
        if len(name) > self.max_name:
            rule, limit = "length", f"at most {self.max_name} characters"
            found = f"{len(name)} characters ({_shown(name)})"
        elif not self.name_pattern.fullmatch(name):
            rule, limit, found = "characters", self.name_allowed, _shown(name)
        else:
            return
        hint = f"A name that is accepted: {safe_filename(name)!r}"
        raise RuleError(f"{rule} of a {self.family} file name", found, limit, hint)

    def check_kind(self, name: str, head: bytes) -> None:
        """Refuses a file that is, by its name or by its first bytes, of no kind that is taken.

        A file whose content is of another kind than its name says is refused too.
        """
        if not self.kinds:
            return
        limit = ", ".join(kind.name for kind in self.kinds)
        named = next((k for k in self.kinds if name.lower().endswith(k.extensions)), None)
        if named is None:
            endings = ", ".join(ending for kind in self.kinds for ending in kind.extensions)
            hint = f"Its name ends in one of {endings}"
            raise RuleError(f"kind of a {self.family} file", _shown(name), limit, hint)
        held = kind_of(head)
        if held is not named:
            found = f"content of {_shown(name)} that is " + (held.name if held else "none of them")
            hint = "Rename or convert the file, so that its name says what it holds"
            raise RuleError(f"kind of a {self.family} file", found, f"{named.name} content", hint)


POST_SALE_FILES = FileRules(
    family="post-sale",
    max_bytes=25 * MiB,
    max_name=200,
    # C0 and C1 controls would break the multipart header, lone surrogates cannot be UTF-8.
    name_pattern=re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]+"),
    name_allowed="anything but /, \\ and control characters",
    max_files=25,
)
"""Post-sale messages: 25 MB, 25 files, names without `/` and `\\`, of 200 characters at most."""

CLAIM_FILES = FileRules(
    family="claim",
    max_bytes=5 * MiB,
    max_name=125,
    name_pattern=re.compile(r"[a-zA-Z0-9._-]+"),
    name_allowed="a-z, A-Z, 0-9, '.', '_' and '-'",
    max_files=None,
    kinds=KINDS,
)
"""Claim messages: JPG, PNG and PDF, 5 MB, names of at most 125 of `a-zA-Z0-9._-`."""


def check_text(text: str, name: str = "text") -> None:
    """Refuses a text that is empty or cannot be written as UTF-8."""
    if not isinstance(text, str):
        raise RuleError(f"`{name}` of a message", type(text).__name__, "a str")
    if not text:
        raise RuleError(f"`{name}` of a message", "an empty text", "at least one character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise RuleError(f"`{name}` of a message", found, "text that UTF-8 can hold") from None


def check_attachment_count(count: int, rules: FileRules = POST_SALE_FILES) -> None:
    """Refuses more files than one message may carry."""
    if rules.max_files is not None and count > rules.max_files:
        hint = "Spread them over several messages"
        rule = f"files per {rules.family} message"
        raise RuleError(rule, str(count), f"at most {rules.max_files}", hint)


def check_page(limit: int, offset: int) -> None:
    """Refuses a `limit` under 1 and an `offset` under 0."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise RuleError("`limit` of a page", _shown(limit), "an int greater than 0")
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise RuleError("`offset` of a page", _shown(offset), "an int of 0 or more")


def check_site_id(site_id: str | None) -> str:
    """The site's id; refuses a missing one, and `CBT`, which the API does not take for files."""
    limit = "a site such as 'MLM', 'MLB', 'MCO' or 'MLC'"
    if not isinstance(site_id, str) or not re.fullmatch(r"[A-Za-z]+", site_id):
        hint = "Pass site_id=, the site of the order; files need it"
        raise RuleError("`site_id` for a file", _shown(site_id), limit, hint)
    if site_id.upper() == "CBT":
        hint = "Pass the site of the order, not of the seller's account"
        raise RuleError("`site_id` for a file", _shown(site_id), limit, hint)
    return site_id


def check_count(name: str, value: int) -> None:
    """Refuses what is no number of things, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RuleError(name, repr(value), "an int of 1 or more")


def check_on_event(on_event: object) -> None:
    """Refuses what cannot be told of an event: nobody would await a coroutine."""
    called = getattr(on_event, "__call__", None)  # noqa: B004  (it may be asynchronous itself)
    if on_event is not None and called is None:
        raise RuleError("`on_event`", type(on_event).__name__, "a plain function of one event")
    if iscoroutinefunction(on_event) or iscoroutinefunction(called):
        raise RuleError("`on_event`", "an async function", "a plain function of one event")


def check_progress(progress: object) -> None:
    """Refuses a callback that cannot be called, or that would have to be awaited."""
    if progress is not None and (not callable(progress) or iscoroutinefunction(progress)):
        found = "an async function" if callable(progress) else type(progress).__name__
        raise RuleError("`progress`", found, "a plain function of (done, total), or None")


def check_role(role: str | None) -> None:
    """Refuses a role that the API does not know: it would answer as if none were given."""
    if role not in {"buyer", "seller", None}:
        raise RuleError("`role` of unread messages", _shown(role), "'seller', 'buyer' or None")


RECEIVERS = {
    "complainant": "send_message_to_complainant",
    "respondent": "send_message_to_respondent",
    "mediator": "send_message_to_mediator",
}
"""Who can be sent a claim message, and the action that it needs (Messages claims, "Actions")."""


def check_receiver(role: str) -> str:
    """The action that a message to this role needs; refuses any other role."""
    if not isinstance(role, str) or role not in RECEIVERS:
        raise RuleError("`receiver_role`", _shown(role), ", ".join(map(repr, RECEIVERS)))
    return RECEIVERS[role]


def check_resource(resource: str) -> tuple[str, ...]:
    """The segments of an unread resource; refuses what is no such path."""
    limit = "a path such as '/packs/1234/sellers/2345'"
    if not isinstance(resource, str):
        raise RuleError("`resource` of unread messages", _shown(resource), limit)
    names = resource.removeprefix("/").split("/")
    if len(names) not in {2, 4} or names[0] not in {"packs", "orders"}:
        raise RuleError("`resource` of unread messages", _shown(resource), limit)
    return tuple(check_id("resource", name) for name in names)


def check_id(name: str, value: int | str) -> str:
    """An id as text; refuses what is no id or would leave its segment of the path."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**100:
        return str(value)
    limit = "an int of 0 or more, or a str that is one segment of a path"
    if not isinstance(value, str) or not value or value in {".", ".."}:
        raise RuleError(f"`{name}`", _shown(value), limit)
    if found := re.search(r"[/\\\x00-\x20\x7f-\x9f\ud800-\udfff]", value):
        hint = f"The character {found[0]!r} may not stand in it; pass the bare id"
        raise RuleError(f"`{name}`", _shown(value), limit, hint)
    return value


def check_base_url(value: str) -> str:
    """The base URL without a slash at its end; `https://`, or `http://` to this machine only."""
    limit = "'https://host' or, to this machine only, 'http://127.0.0.1:port'"
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"(?i:https?)://[!-~]+", value)
        or set(value) & set("@?#\\")
    ):
        found = re.sub(r"//.*@", "//…@", value) if isinstance(value, str) else value
        raise RuleError("`base_url`", _shown(found), limit, "Only scheme, host, port and a path")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise RuleError("`base_url`", f"{_shown(value)}: {error}", limit) from None
    if not parts.hostname or port == 0:
        raise RuleError("`base_url`", _shown(value), limit, "It names no host or no port")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        hint = "The access token would travel unencrypted"
        raise RuleError("`base_url`", _shown(value), limit, hint)
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its name or its address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(token: str) -> str:
    """The access token; refuses what cannot be one, and never repeats it."""
    limit = "the bare access token, printable ASCII without spaces"
    if not isinstance(token, str):
        raise RuleError("access token", type(token).__name__, limit)
    if token.lower().startswith("bearer "):
        raise RuleError("access token", "a token with 'Bearer ' before it", limit, "Leave it out")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        found = "an empty text" if not token else "a space or another character outside of that"
        raise RuleError("access token", found, limit)
    return token


def check_secret(name: str, value: str) -> str:
    """A secret or a refresh token; refuses what cannot be one, and never repeats it."""
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
        found = type(value).__name__ if not isinstance(value, str) else "a text of another kind"
        raise RuleError(name, found, "printable ASCII without spaces")
    return value


def check_content_type(value: str) -> None:
    """Refuses what is no MIME type, above all one that would break out of its header line."""
    if not is_content_type(value):
        raise RuleError("`content_type` of a file", _shown(value), "a MIME type, 'image/png'")


def is_content_type(value: object) -> bool:
    """Whether it is a MIME type, with parameters or without."""
    token = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105
    parameter = rf"""[ \t]*;[ \t]*{token}=({token}|"[\x20-\x21\x23-\x5b\x5d-\x7e]*")"""
    pattern = rf"{token}/{token}({parameter})*"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def safe_filename(name: str) -> str:
    """Any name as one that both families accept, and that is safe to create in a folder.

    Accents fall away, other characters become `_`, the extension stays. The result has 1 to 125
    of the characters `a-zA-Z0-9._-`, begins with a letter or digit, is no device name of Windows
    (`CON`), and is what this function makes of itself.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[^a-zA-Z0-9._-]+", "_", plain)
    # Each step may bring about what an earlier one removes: `aux_` loses its end and is a device.
    while (tidier := _tidied(plain)) != plain:
        plain = tidier
    return plain


def _tidied(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or not re.fullmatch(r"[a-zA-Z0-9]{1,16}", extension):
        stem, extension = name, ""
    ending = f".{extension}" if extension else ""
    stem = stem.strip("._-") or "file"
    if _DEVICES.fullmatch(stem.split(".")[0]):
        stem = f"file_{stem}"
    return stem[: CLAIM_FILES.max_name - len(ending)].rstrip("._-") + ending


_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
