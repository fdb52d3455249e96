"""Find the message of a send whose response was lost.

The API has no idempotency key. A message is recognized by what is known of its send: the text, the
files, the receiver and the time. A message that belongs to another send is never returned, so that
two lost sends of the same text are not both found in one message.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

import msgspec

from ._stored_text import Likeness, comparable, compare_texts
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

MAX_REMEMBERED = 10_000
"""Messages that are remembered as belonging to a send."""


class Fingerprint(msgspec.Struct, frozen=True):
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


class SendRecord(msgspec.Struct, frozen=True, eq=False):
    """The values of a send that its message must have.

    Attributes:
        thread: The thread, and the receiver within it.
        text: The text; None if it is unknown, because the API fills a template.
        files: The ids of the files.
        started: The time of the start, by our clock, in seconds since the epoch.
        ended: The time of the response or of the failure; infinity while the send is running.
    """

    thread: str
    text: str | None
    files: frozenset[str]
    started: float
    ended: float

    def judge(self, fingerprint: Fingerprint, clock_offset: float, tolerance: float) -> Likeness:
        """Return how sure it is that this is the message. One without dates may be of any time.

        Args:
            fingerprint: The message.
            clock_offset: Seconds by which the server's clock is ahead of ours.
            tolerance: Seconds by which `clock_offset` may be wrong.
        """
        dates = [date.timestamp() - clock_offset for date in fingerprint.dates if date is not None]
        since, until = self.started - tolerance, self.ended + tolerance + STORE_DELAY
        in_time = not dates or any(since <= date <= until for date in dates)
        # A server may withhold files. A file that was not sent belongs to another message.
        has_foreign_file = any(name not in self.files for name in fingerprint.files if name)
        if not (fingerprint.ours and in_time) or has_foreign_file:
            return Likeness.OTHER
        if self.text is None:
            return Likeness.DOUBTFUL
        likeness = compare_texts(fingerprint.text or "", self.text)
        if fingerprint.is_hidden:
            likeness = max(likeness, Likeness.DOUBTFUL)
        is_whole = fingerprint.files == self.files
        return likeness if is_whole else min(likeness, Likeness.DOUBTFUL)

    def overlaps(self, other: "SendRecord") -> bool:
        """Return True if the message of one send could be the message of the other."""
        near = (
            self.started - CLOCK_TOLERANCE <= other.ended + STORE_DELAY
            and other.started - CLOCK_TOLERANCE <= self.ended + STORE_DELAY
        )
        alike = self.thread == other.thread and self.files == other.files
        if self.text is None or other.text is None:
            return False
        return near and alike and comparable(self.text) == comparable(other.text)


class SendReconciler(Generic[M]):
    """Remember the messages of answered sends, and search for those of lost sends."""

    def __init__(self, clock_offset: Callable[[], float | None]) -> None:
        self._clock_offset = clock_offset
        self._accounted: dict[Hashable, SendRecord | None] = {}
        self._nameless: deque[SendRecord] = deque(maxlen=MAX_REMEMBERED)
        self._running: set[SendRecord] = set()

    async def track(
        self,
        sending: Awaitable[S],
        thread: str,
        text: str | None,
        files: Iterable[str],
        messages: Callable[[], AsyncGenerator[M, None]],
        fingerprint: Callable[[M], Fingerprint],
    ) -> S:
        """Await `sending` and return its result. Let its `OutcomeUnknown` search in `messages`.

        A cancelled send has it as its cause. `text` is None if it is unknown.
        """
        record = SendRecord(thread, text, frozenset(files), time.time(), math.inf)
        self._running.add(record)
        try:
            sent = await sending
        except (OutcomeUnknown, asyncio.CancelledError) as error:
            if (unknown := OutcomeUnknown.find_in(error)) is not None:
                lost = msgspec.structs.replace(record, ended=time.time())
                unknown.with_reconciler(partial(self._find, lost, messages, fingerprint))
            raise
        finally:
            self._running.remove(record)
        # The id in the response to a claim message does not occur in the list of messages.
        if isinstance(sent, Sent) and sent.id is not None:
            self._account(sent.id, None)
        else:
            self._nameless.append(msgspec.structs.replace(record, ended=time.time()))
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
        doubt: OutcomeUnknown | None = None
        left_to_others = 0
        async with aclosing(thread()) as messages:
            async for message in messages:
                seen = fingerprint(message)
                if self._accounted.get(seen.name, record) is not record:
                    continue
                likeness = record.judge(seen, *self._clock())
                if likeness is Likeness.SAME:
                    owner = self._owner(seen, record, left_to_others)
                    if owner is record:
                        self._account(seen.name, record)
                        return message
                    left_to_others += 1
                    if owner in self._running:
                        doubt = OutcomeUnknown(_RUNNING)
                elif likeness is Likeness.DOUBTFUL and not self._belongs_to_answered(seen, record):
                    reason = _TEMPLATE if record.text is None else _CHANGED
                    doubt = doubt or OutcomeUnknown(reason, advice=_READ_THREAD)
        if doubt is not None:
            raise doubt.with_reconciler(partial(self._find, record, thread, fingerprint))
        return None

    def _clock(self) -> tuple[float, float]:
        """Return the seconds by which the server's clock is ahead, and the error of that value."""
        offset = self._clock_offset()
        return (0.0, CLOCK_TOLERANCE) if offset is None else (offset, SYNCED_CLOCK_TOLERANCE)

    def _owner(self, seen: Fingerprint, record: SendRecord, left_to_others: int) -> SendRecord:
        """Return the send that a message with the text of `record` is left to.

        Sends of the same text that were answered without an id, or are still running, have a
        message each. Only what is left after them belongs to `record`.
        """
        if seen.name in self._accounted:  # an earlier search found it for `record`
            return record
        others = [other for other in (*self._nameless, *self._running) if other.overlaps(record)]
        return others[left_to_others] if left_to_others < len(others) else record

    def _belongs_to_answered(self, seen: Fingerprint, record: SendRecord) -> bool:
        """Return True if it is the message of a send to the thread that was answered without an id.

        In another thread, the same text is another message.
        """
        clock = self._clock()
        others = (other for other in self._nameless if other.thread == record.thread)
        return any(other.judge(seen, *clock) is Likeness.SAME for other in others)


_CHANGED = "the thread has a message of that time whose text was changed, cut or hidden"
_TEMPLATE = "the thread has a message of that time, and the text that the API made is unknown"
_READ_THREAD = "Read the thread, or ask the buyer, before sending again"
_RUNNING = "another send of the same text is not answered yet, and the message may be its own"


def pack_fingerprint(message: Message) -> Fingerprint:
    """Return the values of a pack's message that can be compared."""
    date = message.message_date
    sender = message.from_.user_id if message.from_ else None
    return Fingerprint(
        name=message.id,
        text=message.text,
        files=frozenset(file.filename for file in message.attachments),
        dates=(date.created, date.received) if date else (),
        ours=sender is None or message.seller_id in (sender, None),
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


def _is_hidden(
    status: str | None, text: str | None, moderation: Moderation | ClaimModeration | None
) -> bool:
    """Return True if moderation may have replaced or removed the text."""
    verdict = (moderation.status or "").lower() if moderation else ""
    return not text or (status or "").lower() in _HIDING or verdict in _HIDING


_HIDING = frozenset({"moderated", "rejected", "blocked", "in_moderation"})
