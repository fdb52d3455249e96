"""Ids of the threads to mirror: check them, and turn them into `ThreadId`s."""

from collections.abc import AsyncIterable, Iterable
from types import UnionType
from typing import NamedTuple, SupportsIndex, TypeAlias

from mlmsg._arguments import check_id
from mlmsg.errors import RuleError
from mlmsg.models import Claim, PackRef
from mlmsg.rules import check_site_id

from .report import ThreadId, ThreadKind

__all__ = ["Id", "Ids", "Thread", "check_ids", "check_sites", "thread_of"]

Id: TypeAlias = int | str | SupportsIndex | PackRef | Claim
"""The id of a pack or a claim, a `PackRef` of a pack, or a `Claim`."""

Ids: TypeAlias = Iterable[Id] | AsyncIterable[Id]
"""Ids of packs or claims. They are drawn one at a time: there may be millions."""


class Thread(NamedTuple):
    """A thread to mirror.

    Attributes:
        id: The pack or claim.
        site_id: The site of the files whose messages name none. None for a claim, and for a pack
            whose site is unknown.
    """

    id: ThreadId
    site_id: str | None


def check_ids(name: str, ids: object, kinds: type | UnionType) -> None:
    """Reject what is not an iterable of ids, such as a single str.

    The elements of a list, a tuple or a set are checked here. Those of any other iterable are
    checked when they are drawn: there may be no end of them.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, kinds):
        raise RuleError(f"`{name}`", f"one {type(ids).__name__}", "an iterable of ids")
    if isinstance(ids, list | tuple | set | frozenset):
        for value in ids:
            _id_of("claim" if name == "claims" else "pack", value)


def check_sites(site_id: str | None, packs: object) -> None:
    """Check the site of the packs. It may be left out if each pack names its own."""
    if site_id is not None:
        check_site_id(site_id)
    elif isinstance(packs, list | tuple | set | frozenset):
        for value in packs:
            check_site_id(value.site_id if isinstance(value, PackRef) else None)


def thread_of(kind: ThreadKind, value: Id, site_id: str | None) -> Thread:
    """Return the thread of an id, a `PackRef` or a `Claim`.

    Raises:
        RuleError: The value cannot be an id, or it is the bare id of a pack, without any site.
    """
    id_ = ThreadId(kind, _id_of(kind, value))
    if kind == "claim":
        return Thread(id_, None)
    if not isinstance(value, PackRef):
        return Thread(id_, check_site_id(site_id))
    try:
        return Thread(id_, check_site_id(value.site_id))
    except RuleError:  # a site that stores no files, such as `CBT`; the messages may name theirs
        return Thread(id_, site_id)


def _id_of(kind: ThreadKind, value: Id) -> str:
    """Return an id as text. A malformed str is not rejected here: it costs only its own thread."""
    if isinstance(value, PackRef) and kind == "pack":
        return str(value.pack_id)
    if isinstance(value, Claim) and kind == "claim":
        value = value.id or ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, PackRef | Claim):
        raise RuleError(f"an id of `{kind}s`", type(value).__name__, f"the id of a {kind}")
    return check_id(f"{kind}s", value)
