"""Which message of a thread a send of ours became, when its answer was lost.

The API gives a send no name to know it again by. What is compared is what we know of it: the text,
the files, who it is for, and when it was sent. A message that is known to be another send's is not
taken for it, so that two lost sends of the same text are not both found in one message.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

from .errors import OutcomeUnknown
from .models import ClaimMessage, ClaimSent, Message, Sent

__all__ = ["Fingerprint", "SendReconciler", "SendRecord", "claim_fingerprint", "pack_fingerprint"]

M = TypeVar("M", Message, ClaimMessage)
S = TypeVar("S", Sent, ClaimSent)

STORE_DELAY = 300.0
"""Seconds after the failure in which the server may still come to store the message."""

SYNCED_CLOCK_TOLERANCE = 5.0
"""Seconds by which our clock and the server's may differ, where an answer told the server's."""

CLOCK_TOLERANCE = 60.0
"""The same where none did."""

MAX_REMEMBERED = 10_000
"""Messages that are remembered as accounted for."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What of a message can be compared.

    Attributes:
        name: What tells it apart from every other one.
        text: Its text.
        files: The ids of its files.
        dates: Its times of being written and taken in, as far as they are known.
        ours: Whether it may be ours, by who sent it and to whom.
    """

    name: Hashable
    text: str | None
    files: frozenset[str | None]
    dates: tuple[datetime | None, ...]
    ours: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class SendRecord:
    """What the message of a send has to fingerprint like.

    Attributes:
        thread: Which thread it went to, and to whom in it.
        text: Its text.
        files: The ids of its files.
        begun: When it was sent, by our clock, in seconds since the epoch.
        ended: When it was answered, or its answer was given up.
    """

    thread: str
    text: str
    files: frozenset[str]
    begun: float
    ended: float

    def matches(self, fingerprint: Fingerprint, ahead: float, apart: float) -> bool:
        """Whether it may be that message; one without any date may be of any time.

        Args:
            fingerprint: The message.
            ahead: Seconds that the server's clock is ahead of ours.
            apart: Seconds by which that may be wrong.
        """
        dates = [date.timestamp() - ahead for date in fingerprint.dates if date is not None]
        since, until = self.begun - apart, self.ended + apart + STORE_DELAY
        in_time = not dates or any(since <= date <= until for date in dates)
        return (
            fingerprint.ours
            and in_time
            and _same(fingerprint.text, self.text)
            and fingerprint.files == self.files
        )

    def overlaps(self, other: "SendRecord") -> bool:
        """Whether the message of the one could be taken for that of the other."""
        near = (
            self.begun - CLOCK_TOLERANCE <= other.ended + STORE_DELAY
            and other.begun - CLOCK_TOLERANCE <= self.ended + STORE_DELAY
        )
        alike = self.thread == other.thread and self.files == other.files
        return near and alike and _same(self.text, other.text)


class SendReconciler(Generic[M]):
    """The sends of one group of operations: the messages that are accounted for, and the search."""

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
        """What `sending` answers; its `OutcomeUnknown` can search through `messages`."""
        begun, known = time.time(), frozenset(files)
        try:
            sent = await sending
        except OutcomeUnknown as error:
            record = SendRecord(thread, text, known, begun, time.time())
            error.with_reconciler(partial(self._find, record, messages, fingerprint))
            raise
        # What a claim's answer calls an id is no name of its message.
        if isinstance(sent, Sent) and sent.id is not None:
            self._account(sent.id, None)
        else:
            self._nameless.append(SendRecord(thread, text, known, begun, time.time()))
        return sent

    def _account(self, name: Hashable, record: SendRecord | None) -> None:
        """Remembers whose message that is: a send's that was answered, or the one of `record`."""
        self._accounted[name] = record
        if len(self._accounted) > MAX_REMEMBERED:
            del self._accounted[next(iter(self._accounted))]

    async def _find(
        self,
        record: SendRecord,
        thread: Callable[[], AsyncGenerator[M, None]],
        fingerprint: Callable[[M], Fingerprint],
    ) -> M | None:
        # As many messages like it are those of sends that were answered, but not with a name.
        others = sum(one.overlaps(record) for one in self._nameless)
        async with aclosing(thread()) as messages:
            async for message in messages:
                ahead = self._clock_offset()
                seen = fingerprint(message)
                matches = record.matches(
                    seen, ahead or 0.0, CLOCK_TOLERANCE if ahead is None else SYNCED_CLOCK_TOLERANCE
                )
                if not matches or self._accounted.get(seen.name, record) is not record:
                    continue
                if others and seen.name not in self._accounted:
                    others -= 1
                    continue
                self._account(seen.name, record)
                return message
        return None


def pack_fingerprint(message: Message) -> Fingerprint:
    """What of a pack's message can be compared."""
    date = message.message_date
    resources = message.message_resources or ()
    sellers = {one.id for one in resources if (one.name or "").startswith("seller")}
    sender = message.from_.user_id if message.from_ else None
    return Fingerprint(
        name=message.id,
        text=message.text,
        files=frozenset(one.filename for one in message.attachments),
        dates=(date.created, date.received) if date else (),
        ours=not sellers or sender is None or str(sender) in sellers,
    )


def claim_fingerprint(message: ClaimMessage, to: str) -> Fingerprint:
    """What of a claim's message can be compared; newer answers name it by its `hash`."""
    return Fingerprint(
        name=message.hash or (message.date_created, message.sender_role, message.message),
        text=message.message,
        files=frozenset(one.filename for one in message.attachments or ()),
        dates=(message.date_created, message.message_date),
        ours=message.receiver_role in {to, None},
    )


def _same(one: str | None, other: str) -> bool:
    """Whether they say the same; servers trim, and write line ends in their own way."""
    return one is not None and one.split() == other.split()
