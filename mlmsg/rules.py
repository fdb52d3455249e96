"""The API's limits as data, and the checks over them: files, texts, pages, sites and roles.

The limits are those of the documents "Post-sale messages" and "Messages claims". A value exactly at
the limit is allowed: the server decides in the end, and the client rejects nothing that the server
might accept. A failed check raises a `RuleError` that names the rule, the value found and what is
allowed.
"""

import enum
import re
import unicodedata

import msgspec

from ._arguments import check_id, check_int, closest_hint, shorten
from ._patterns import LazyPattern
from ._sites import SITE_NAMES, closest_site
from .errors import RuleError

__all__ = [
    "CLAIM_FILES",
    "KINDS",
    "POST_SALE_FILES",
    "RECEIVERS",
    "SITES",
    "SNIFF_BYTES",
    "Family",
    "FileKind",
    "FileRules",
    "check_attachment_count",
    "check_login_site",
    "check_page",
    "check_receiver",
    "check_resource",
    "check_role",
    "check_site_id",
    "check_text",
    "check_text_length",
    "kind_of",
    "safe_filename",
]

MiB = 1024 * 1024


class Family(enum.IntEnum):
    """The two families of sellers, whose paths differ."""

    GLOBAL_SELLING = 0
    """Sellers of Global Selling (cross-border trade, site `CBT`): paths under `/marketplace`."""
    DOMESTIC = 1
    """Sellers of one country's site."""


class FileKind(msgspec.Struct, frozen=True):
    """A kind of file, recognised by its name and by its first bytes.

    Attributes:
        name: The common name, such as `"PNG"`.
        extensions: The extensions of its file names, in lower case.
        signature: The pattern that its first bytes match.
    """

    name: str
    extensions: tuple[str, ...]
    signature: LazyPattern[bytes]


SNIFF_BYTES = 1024
"""Bytes from the beginning of a file that show its kind."""

KINDS = (
    FileKind("JPG", (".jpg", ".jpeg"), LazyPattern(rb"\xff\xd8\xff")),
    FileKind("PNG", (".png",), LazyPattern(rb"\x89PNG\r\n\x1a\n")),
    # PDF readers accept the header anywhere in the first kilobyte.
    FileKind("PDF", (".pdf",), LazyPattern(rb"(?s)\A.{0,1019}%PDF-")),
)
"""The kinds of files that a claim accepts."""


def kind_of(head: bytes) -> FileKind | None:
    """Return the kind of a file by its first bytes, or None if it is none of `KINDS`."""
    return next((kind for kind in KINDS if kind.signature.match(head)), None)


class FileRules(msgspec.Struct, frozen=True):
    """The rules for the files of one family of messages.

    Attributes:
        family: The family of messages, as errors name it.
        max_bytes: The largest allowed size.
        max_name: The longest allowed name, in characters.
        name_pattern: The pattern that the whole name must match.
        name_allowed: A description of `name_pattern`.
        max_files: The number of files that a message may have; None if no document says.
        kinds: The accepted kinds of files; empty if no document limits them.
    """

    family: str
    max_bytes: int
    max_name: int
    name_pattern: LazyPattern[str]
    name_allowed: str
    max_files: int | None
    kinds: tuple[FileKind, ...] = ()

    def check_size(self, size: int) -> None:
        """Reject an empty file and a file over `max_bytes`."""
        limit = f"1 to {self.max_bytes} bytes ({self.max_bytes // MiB} MB)"
        if size <= 0:
            raise RuleError(f"size of a {self.family} file", f"{size} bytes (empty)", limit)
        if size > self.max_bytes:
            hint = "Send a smaller file, or a link to it"
            raise RuleError(f"size of a {self.family} file", f"{size} bytes", limit, hint)

    def check_name(self, name: str) -> None:
        """Reject a name that is too long or contains a character that is not allowed."""
        if not isinstance(name, str):
            raise RuleError(f"{self.family} file name", type(name).__name__, "a str")
        if len(name) > self.max_name:
            rule, limit = "length", f"at most {self.max_name} characters"
            found = f"{len(name)} characters ({shorten(name)})"
        elif not self.name_pattern.fullmatch(name):
            rule, limit, found = "characters", self.name_allowed, shorten(name)
        else:
            return
        hint = f"An accepted name: {safe_filename(name)!r}"
        raise RuleError(f"{rule} of a {self.family} file name", found, limit, hint)

    def check_kind(self, name: str, head: bytes) -> None:
        """Reject a file whose name or first bytes show a kind that is not accepted.

        A file whose content does not match its name is rejected too.
        """
        if not self.kinds:
            return
        limit = ", ".join(kind.name for kind in self.kinds)
        named = next((k for k in self.kinds if name.lower().endswith(k.extensions)), None)
        if named is None:
            endings = ", ".join(ending for kind in self.kinds for ending in kind.extensions)
            hint = f"Give it a name that ends in one of {endings}"
            raise RuleError(f"kind of a {self.family} file", shorten(name), limit, hint)
        held = kind_of(head)
        if held is not named:
            found = f"content of {shorten(name)} is " + (held.name if held else "none of them")
            hint = "Rename or convert the file, so that its name matches its content"
            raise RuleError(f"kind of a {self.family} file", found, f"{named.name} content", hint)


POST_SALE_FILES = FileRules(
    family="post-sale",
    max_bytes=25 * MiB,
    max_name=200,
    # C0 and C1 controls would break the multipart header, lone surrogates cannot be UTF-8.
    name_pattern=LazyPattern(r"[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]+"),
    name_allowed="any characters except /, \\ and control characters",
    max_files=25,
)
"""Post-sale messages: 25 MB, 25 files, names without `/` and `\\`, of 200 characters at most."""

CLAIM_FILES = FileRules(
    family="claim",
    max_bytes=5 * MiB,
    max_name=125,
    name_pattern=LazyPattern(r"[a-zA-Z0-9._-]+"),
    name_allowed="a-z, A-Z, 0-9, '.', '_' and '-'",
    max_files=None,
    kinds=KINDS,
)
"""Claim messages: JPG, PNG and PDF, 5 MB, names of at most 125 characters of `a-zA-Z0-9._-`."""


def check_text(text: str, name: str = "text") -> None:
    """Reject a text that is empty or cannot be encoded as UTF-8."""
    if not isinstance(text, str):
        raise RuleError(f"`{name}` of a message", type(text).__name__, "a str")
    if not text:
        raise RuleError(f"`{name}` of a message", "an empty text", "at least one character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise RuleError(
            f"`{name}` of a message", found, "text that can be encoded as UTF-8"
        ) from None


def check_text_length(text: str, maximum: int | None) -> None:
    """Reject a text that is longer than its thread allows.

    Not verified: how the API counts characters. Here a character is a Unicode code point.
    """
    if maximum is not None and len(text) > maximum:
        hint = "Shorten the text, or split it into several messages"
        limit = f"at most {maximum} characters in this thread"
        raise RuleError("length of `text`", f"{len(text)} characters", limit, hint)


def check_attachment_count(count: int, rules: FileRules = POST_SALE_FILES) -> None:
    """Reject more files than one message may have."""
    if rules.max_files is not None and count > rules.max_files:
        hint = "Send them in several messages"
        rule = f"files per {rules.family} message"
        raise RuleError(rule, str(count), f"at most {rules.max_files}", hint)


def check_page(limit: int, offset: int) -> tuple[int, int]:
    """Return a limit and an offset as ints. Reject a `limit` under 1 and an `offset` under 0."""
    return check_int("`limit` of a page", limit, 1), check_int("`offset` of a page", offset, 0)


SITES = frozenset(SITE_NAMES)
"""The sites of Mercado Libre, one for each country."""

GLOBAL_SELLING_SITE = "CBT"
"""The site of accounts of Global Selling."""


def check_site_id(site_id: str | None) -> str:
    """Return the site's id. Reject a missing one, and `CBT`, which no file belongs to."""
    if isinstance(site_id, str) and site_id.upper() in SITES:
        return site_id.upper()
    limit = "a site such as 'MLM', 'MLB', 'MCO' or 'MLC'"
    raise RuleError("`site_id` for a file", shorten(site_id), limit, _site_hint(site_id))


def check_login_site(site_id: str) -> str:
    """Return the id of an account's site: that of a country, or `CBT` for Global Selling."""
    if isinstance(site_id, str) and site_id.upper() in SITES | {GLOBAL_SELLING_SITE}:
        return site_id.upper()
    limit = "a site such as 'MLM' or 'MLB', or 'CBT' for Global Selling"
    is_text = isinstance(site_id, str) and site_id.strip() != ""
    hint = _closest_hint(site_id) if is_text else "Pass site_id=, the site of the account"
    raise RuleError("`site_id` of an account", shorten(site_id), limit, hint)


def _site_hint(site_id: object) -> str:
    if not isinstance(site_id, str) or not site_id.strip():
        return "Pass site_id=, the site of the order; files need it"
    if site_id.strip().upper() == GLOBAL_SELLING_SITE:
        return "Pass the site of the order, not of the seller's account"
    return _closest_hint(site_id)


def _closest_hint(site_id: str) -> str:
    closest = closest_site(site_id)
    return f"Did you mean {closest!r}?" if closest else f"The sites: {', '.join(sorted(SITES))}"


def check_role(role: str | None) -> None:
    """Reject a role that the API does not know: it would answer as if no role were given."""
    if role not in ("buyer", "seller", None):  # a set would hash any object
        raise RuleError("`role` of unread messages", shorten(role), "'seller', 'buyer' or None")


RECEIVERS = {
    "complainant": "send_message_to_complainant",
    "respondent": "send_message_to_respondent",
    "mediator": "send_message_to_mediator",
}
"""Roles that can receive a claim message, and their actions (Messages claims, "Actions")."""


def check_receiver(role: str, name: str = "receiver_role") -> str:
    """Return the action that a message to this role needs. The senders have the same roles."""
    if not isinstance(role, str) or role not in RECEIVERS:
        allowed, hint = ", ".join(map(repr, RECEIVERS)), closest_hint(role, RECEIVERS)
        raise RuleError(f"`{name}`", shorten(role), allowed, hint)
    return RECEIVERS[role]


def check_resource(resource: str) -> tuple[str, ...]:
    """Return the segments of an unread resource. Reject any other path."""
    limit = "a path such as '/packs/1234/sellers/2345'"
    if not isinstance(resource, str):
        raise RuleError("`resource` of unread messages", shorten(resource), limit)
    names = resource.removeprefix("/").split("/")
    if len(names) not in {2, 4} or names[0] not in {"packs", "orders"}:
        raise RuleError("`resource` of unread messages", shorten(resource), limit)
    return tuple(check_id("resource", name) for name in names)


def safe_filename(name: str) -> str:
    """Return a name that both families accept and that is safe to create in a folder.

    Accents are removed, other characters become `_`, and the extension stays. The result has 1 to
    125 of the characters `a-zA-Z0-9._-`, begins with a letter or digit, and is not a Windows device
    name (`CON`). Applying the function to its own result changes nothing.
    """
    if not isinstance(name, str):
        raise RuleError("`name` of a file", shorten(name), "a str")
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[^a-zA-Z0-9._-]+", "_", plain)
    # One step may create what an earlier one removes: `aux_` loses its end and becomes a device.
    while (normalized := _normalize_once(plain)) != plain:
        plain = normalized
    return plain


def _normalize_once(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or not re.fullmatch(r"[a-zA-Z0-9]{1,16}", extension):
        stem, extension = name, ""
    ending = f".{extension}" if extension else ""
    stem = stem.strip("._-") or "file"
    if _DEVICES.fullmatch(stem.split(".")[0]):
        stem = f"file_{stem}"
    return stem[: CLAIM_FILES.max_name - len(ending)].rstrip("._-") + ending


_DEVICES = LazyPattern(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])")
