"""Find the message of a send whose response was lost.

The API has no idempotency key. A message is recognized by what is known of its send: the text, the
files, the receiver and the time. A message that belongs to another send is never returned, so that
two lost sends of the same text are not both found in one message.
"""

import time
import unicodedata
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

from .errors import OutcomeUnknown
from .models import ClaimMessage, ClaimModeration, ClaimSent, Message, Moderation, Sent

__all__ = ["Fingerprint", "SendReconciler", "SendRecord", "claim_fingerprint", "pack_fingerprint"]

M = TypeVar("M", Message, ClaimMessage)
S = TypeVar("S", Sent, ClaimSent)

STORE_DELAY = 300.0
"""Seconds after the failure during which the server may still store the message."""

SYNCED_CLOCK_TOLERANCE = 5.0
"""Seconds by which the clocks may differ if a response had a `Date` header."""

CLOCK_TOLERANCE = 60.0
"""Seconds by which the clocks may differ if no response had a `Date` header."""

MIN_CUT_LENGTH = 20
"""Characters of the shortest text that is taken for a cut one."""

MAX_REMEMBERED = 10_000
"""Messages that are remembered as belonging to a send."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The values of a message that can be compared.

    Attributes:
        name: A value that no other message of the thread has.
        text: The text.
        files: The ids of the files.
        dates: The times of creation and receipt, as far as they are known.
        ours: False if the sender or the receiver shows that the message is not ours.
        is_hidden: True if moderation may have changed the text.
    """

    name: Hashable
    text: str | None
    files: frozenset[str | None]
    dates: tuple[datetime | None, ...]
    ours: bool = True
    is_hidden: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SendRecord:
    """The values of a send that its message must have.

    Attributes:
        thread: The thread, and the receiver within it.
        text: The text.
        files: The ids of the files.
        started: The time of the start, by our clock, in seconds since the epoch.
        ended: The time of the response or of the failure.
    """

    thread: str
    text: str
    files: frozenset[str]
    started: float
    ended: float

    def matches(self, fingerprint: Fingerprint, clock_offset: float, tolerance: float) -> bool:
        """Return True if this may be the message. One without dates may be of any time.

        Args:
            fingerprint: The message.
            clock_offset: Seconds by which the server's clock is ahead of ours.
            tolerance: Seconds by which `clock_offset` may be wrong.
        """
        return self._fits(fingerprint, clock_offset, tolerance) and _is_same_text(
            fingerprint.text, self.text
        )

    def is_doubtful(self, fingerprint: Fingerprint, clock_offset: float, tolerance: float) -> bool:
        """Return True if only the text differs, and the server may have changed or cut it."""
        if not self._fits(fingerprint, clock_offset, tolerance):
            return False
        stored, sent = comparable(fingerprint.text or ""), comparable(self.text)
        is_cut = len(stored) >= MIN_CUT_LENGTH and sent.startswith(stored)
        return fingerprint.is_hidden or is_cut

    def _fits(self, fingerprint: Fingerprint, clock_offset: float, tolerance: float) -> bool:
        """Return True if sender, time and files are those of this send."""
        dates = [date.timestamp() - clock_offset for date in fingerprint.dates if date is not None]
        since, until = self.started - tolerance, self.ended + tolerance + STORE_DELAY
        in_time = not dates or any(since <= date <= until for date in dates)
        return fingerprint.ours and in_time and fingerprint.files == self.files

    def overlaps(self, other: "SendRecord") -> bool:
        """Return True if the message of one send could be the message of the other."""
        near = (
            self.started - CLOCK_TOLERANCE <= other.ended + STORE_DELAY
            and other.started - CLOCK_TOLERANCE <= self.ended + STORE_DELAY
        )
        alike = self.thread == other.thread and self.files == other.files
        return near and alike and _is_same_text(self.text, other.text)


class SendReconciler(Generic[M]):
    """Remember the messages of answered sends, and search for those of lost sends."""

    def __init__(self, clock_offset: Callable[[], float | None]) -> None:
        self._clock_offset = clock_offset
        self._accounted: dict[Hashable, SendRecord | None] = {}
        self._nameless: deque[SendRecord] = deque(maxlen=MAX_REMEMBERED)

    async def track(
        self,
        sending: Awaitable[S],
        thread: str,
        text: str,
        files: Iterable[str],
        messages: Callable[[], AsyncGenerator[M, None]],
        fingerprint: Callable[[M], Fingerprint],
    ) -> S:
        """Await `sending` and return its result. Let its `OutcomeUnknown` search in `messages`."""
        started, known = time.time(), frozenset(files)
        try:
            sent = await sending
        except OutcomeUnknown as error:
            record = SendRecord(thread, text, known, started, time.time())
            error.with_reconciler(partial(self._find, record, messages, fingerprint))
            raise
        # The id in the response to a claim message does not occur in the list of messages.
        if isinstance(sent, Sent) and sent.id is not None:
            self._account(sent.id, None)
        else:
            self._nameless.append(SendRecord(thread, text, known, started, time.time()))
        return sent

    def _account(self, name: Hashable, record: SendRecord | None) -> None:
        """Remember that a message belongs to `record`, or to a send that was answered (None)."""
        self._accounted[name] = record
        if len(self._accounted) > MAX_REMEMBERED:
            del self._accounted[next(iter(self._accounted))]

    async def _find(
        self,
        record: SendRecord,
        thread: Callable[[], AsyncGenerator[M, None]],
        fingerprint: Callable[[M], Fingerprint],
    ) -> M | None:
        is_doubtful = False
        # So many similar messages belong to sends that were answered without an id.
        others = sum(other.overlaps(record) for other in self._nameless)
        async with aclosing(thread()) as messages:
            async for message in messages:
                offset = self._clock_offset()
                seen = fingerprint(message)
                clock = (
                    offset or 0.0,
                    CLOCK_TOLERANCE if offset is None else SYNCED_CLOCK_TOLERANCE,
                )
                if self._accounted.get(seen.name, record) is not record:
                    continue
                if not record.matches(seen, *clock):
                    is_doubtful |= record.is_doubtful(seen, *clock)
                    continue
                if others and seen.name not in self._accounted:
                    others -= 1
                    continue
                self._account(seen.name, record)
                return message
        if is_doubtful:
            text = "the thread has a message of that time whose text was changed, cut or hidden"
            unknown = OutcomeUnknown(text)
            raise unknown.with_reconciler(partial(self._find, record, thread, fingerprint))
        return None


def pack_fingerprint(message: Message) -> Fingerprint:
    """Return the values of a pack's message that can be compared."""
    date = message.message_date
    resources = message.message_resources or ()
    sellers = {owner.id for owner in resources if (owner.name or "").startswith("seller")}
    sender = message.from_.user_id if message.from_ else None
    return Fingerprint(
        name=message.id,
        text=message.text,
        files=frozenset(file.filename for file in message.attachments),
        dates=(date.created, date.received) if date else (),
        ours=not sellers or sender is None or str(sender) in sellers,
        is_hidden=_is_hidden(message.status, message.text, message.message_moderation),
    )


def claim_fingerprint(message: ClaimMessage, to: str) -> Fingerprint:
    """Return the values of a claim message that can be compared. Newer responses have a `hash`."""
    return Fingerprint(
        name=message.hash or (message.date_created, message.sender_role, message.message),
        text=message.message,
        files=frozenset(file.filename for file in message.attachments or ()),
        dates=(message.date_created, message.message_date),
        ours=message.receiver_role in {to, None} and message.sender_role != to,
        is_hidden=_is_hidden(message.status, message.message, message.message_moderation),
    )


def comparable(text: str) -> str:
    """Return a text without what servers change: Unicode form, HTML escapes, invisible characters.

    White space is left out: servers trim it, change line ends, and may drop control characters.
    """
    text = unicodedata.normalize("NFKC", text)
    for _ in range(4):  # a server may escape what another one has escaped already
        from html import unescape  # noqa: PLC0415  (few programs need its large table)

        text = unicodedata.normalize("NFKC", unescape(text))
    return "".join("".join(c for c in text if not _is_invisible(c)).split())


def _is_invisible(character: str) -> bool:
    """Return True for zero-width, control and formatting characters, and variation selectors."""
    if character.isspace():
        return False
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return is_selector or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _is_same_text(stored: str | None, sent: str) -> bool:
    return stored is not None and comparable(stored) == comparable(sent)


def _is_hidden(
    status: str | None, text: str | None, moderation: Moderation | ClaimModeration | None
) -> bool:
    """Return True if moderation may have replaced or removed the text."""
    verdict = (moderation.status or "").lower() if moderation else ""
    return not text or (status or "").lower() in _HIDING or verdict in _HIDING


_HIDING = frozenset({"moderated", "rejected", "blocked", "in_moderation"})
