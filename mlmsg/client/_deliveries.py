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

from mlmsg._session import Session
from mlmsg.errors import OutcomeUnknown
from mlmsg.models import ClaimMessage, ClaimSent, Message, Sent

__all__ = ["Deliveries", "Look", "Trace", "claim_look", "pack_look"]

M = TypeVar("M", Message, ClaimMessage)
S = TypeVar("S", Sent, ClaimSent)

LATE = 300.0
"""Seconds after the failure in which the server may still come to store the message."""

CLOSE = 5.0
"""Seconds by which our clock and the server's may differ, where an answer told the server's."""

FAR = 60.0
"""The same where none did."""

MANY = 10_000
"""Messages that are remembered as accounted for."""


@dataclass(frozen=True, slots=True)
class Look:
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
class Trace:
    """What the message of a send has to look like.

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

    def fits(self, look: Look, ahead: float, apart: float) -> bool:
        """Whether it may be that message; one without any date may be of any time.

        Args:
            look: The message.
            ahead: Seconds that the server's clock is ahead of ours.
            apart: Seconds by which that may be wrong.
        """
        dates = [date.timestamp() - ahead for date in look.dates if date is not None]
        since, until = self.begun - apart, self.ended + apart + LATE
        in_time = not dates or any(since <= date <= until for date in dates)
        return look.ours and in_time and _same(look.text, self.text) and look.files == self.files

    def resembles(self, other: "Trace") -> bool:
        """Whether the message of the one could be taken for that of the other."""
        near = self.begun - FAR <= other.ended + LATE and other.begun - FAR <= self.ended + LATE
        alike = self.thread == other.thread and self.files == other.files
        return near and alike and _same(self.text, other.text)


class Deliveries(Generic[M]):
    """The sends of one group of operations: the messages that are accounted for, and the search."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._accounted: dict[Hashable, Trace | None] = {}
        self._nameless: deque[Trace] = deque(maxlen=MANY)

    async def watch(
        self,
        sending: Awaitable[S],
        thread: str,
        text: str,
        files: Iterable[str],
        messages: Callable[[], AsyncGenerator[M, None]],
        look: Callable[[M], Look],
    ) -> S:
        """What `sending` answers; its `OutcomeUnknown` can search through `messages`."""
        begun, known = time.time(), frozenset(files)
        try:
            sent = await sending
        except OutcomeUnknown as error:
            trace = Trace(thread, text, known, begun, time.time())
            error.reconciled_by(partial(self._found, trace, messages, look))
            raise
        # What a claim's answer calls an id is no name of its message.
        if isinstance(sent, Sent) and sent.id is not None:
            self._account(sent.id, None)
        else:
            self._nameless.append(Trace(thread, text, known, begun, time.time()))
        return sent

    def _account(self, name: Hashable, trace: Trace | None) -> None:
        """Remembers whose message that is: a send's that was answered, or the one of `trace`."""
        self._accounted[name] = trace
        if len(self._accounted) > MANY:
            del self._accounted[next(iter(self._accounted))]

    async def _found(
        self,
        trace: Trace,
        thread: Callable[[], AsyncGenerator[M, None]],
        look: Callable[[M], Look],
    ) -> M | None:
        # As many messages like it are those of sends that were answered, but not with a name.
        others = sum(one.resembles(trace) for one in self._nameless)
        async with aclosing(thread()) as messages:
            async for message in messages:
                ahead = self._session.server_ahead()
                seen = look(message)
                fits = trace.fits(seen, ahead or 0.0, FAR if ahead is None else CLOSE)
                if not fits or self._accounted.get(seen.name, trace) is not trace:
                    continue
                if others and seen.name not in self._accounted:
                    others -= 1
                    continue
                self._account(seen.name, trace)
                return message
        return None


def pack_look(message: Message) -> Look:
    """What of a pack's message can be compared."""
    date = message.message_date
    resources = message.message_resources or ()
    sellers = {one.id for one in resources if (one.name or "").startswith("seller")}
    sender = message.from_.user_id if message.from_ else None
    return Look(
        name=message.id,
        text=message.text,
        files=frozenset(one.filename for one in message.attachments),
        dates=(date.created, date.received) if date else (),
        ours=not sellers or sender is None or str(sender) in sellers,
    )


def claim_look(message: ClaimMessage, to: str) -> Look:
    """What of a claim's message can be compared; newer answers name it by its `hash`."""
    return Look(
        name=message.hash or (message.date_created, message.sender_role, message.message),
        text=message.message,
        files=frozenset(one.filename for one in message.attachments or ()),
        dates=(message.date_created, message.message_date),
        ours=message.receiver_role in {to, None},
    )


def _same(one: str | None, other: str) -> bool:
    """Whether they say the same; servers trim, and write line ends in their own way."""
    return one is not None and one.split() == other.split()
