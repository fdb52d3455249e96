"""Bound the number of exchanges that run at the same time, without ever causing a deadlock.

An exchange holds a slot from its request to the end of its response. While it waits for code of the
caller (the source of an upload, the reader of a download), its slot is *lent*: that code may call
the same client, and would otherwise wait for a slot that only its own progress can release.

- A nested call borrows the slot of a surrounding exchange, as soon as it is lent and nobody else
  has borrowed it. This is the common case, and the limit holds.
- If every slot is lent and nothing has moved for `STALL_SECONDS`, code of the caller may wait for a
  call of an unrelated task. Then one more slot is opened, for as long as such exchanges last. If
  that does not help, two more are opened, then four, and so on.
"""

import asyncio
from collections import deque
from contextvars import ContextVar

__all__ = ["ConnectionSlots", "Slot"]

STALL_SECONDS = 0.25
"""Seconds after which exchanges that all wait for the caller's code are taken for a deadlock."""


class Slot:
    """The place of one exchange within the limit.

    Attributes:
        parent: The slot of the surrounding exchange, of any client, or None.
        lender: The slot that this one is borrowed from. None: it counts against the limit.
        borrower: The slot that is borrowed from this one, or None.
        is_held: True from `acquire` to `release`.
        is_lent: True while code of the caller is waited for.
        was_lent: True after the first `lend`.
    """

    __slots__ = ("_slots", "borrower", "is_held", "is_lent", "lender", "parent", "was_lent")

    def __init__(self, slots: "ConnectionSlots", parent: "Slot | None") -> None:
        self._slots = slots
        self.parent = parent
        self.lender: Slot | None = None
        self.borrower: Slot | None = None
        self.is_held = self.is_lent = self.was_lent = False

    def lend(self) -> None:
        """Let nested calls use the slot: code of the caller is waited for."""
        if self.is_held and not self.is_lent:
            self._slots.lend(self)

    def take_back(self) -> None:
        """Use the slot again. Never waits."""
        if self.is_lent:
            self._slots.take_back(self)

    def release(self) -> None:
        """Leave the place to the next exchange."""
        if self.is_held:
            self._slots.release(self)

    def find_lender(self) -> "Slot | None":
        """Return the nearest surrounding slot of the same client, if it can be borrowed."""
        outer = self.parent
        while outer is not None and not (outer.is_held and outer._slots is self._slots):  # noqa: SLF001
            outer = outer.parent
        return outer if outer is not None and outer.is_lent and outer.borrower is None else None


_current: ContextVar[Slot | None] = ContextVar("mlmsg_slot", default=None)
"""The slot of the last exchange that began in this context. Tasks and threads inherit it."""


class ConnectionSlots:
    """A first-in, first-out limit on exchanges.

    Args:
        limit: Slots; 1 or more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._extra = 0  # slots opened after stalls
        self._stalls = 0  # stalls since the last exchange ended
        self._counted = 0  # held slots that are not borrowed
        self._active = 0  # held slots that are not lent
        self._lenders = 0  # held slots that were lent at least once
        self._waiting: deque[tuple[Slot, asyncio.Future[None]]] = deque()
        self._stall_timer: asyncio.TimerHandle | None = None

    async def acquire(self) -> Slot:
        """Wait for a slot and hold it."""
        slot = self.begin()
        if not slot.is_held:
            await self.wait(slot)
        return slot

    def begin(self) -> Slot:
        """Return the slot of a new exchange. If it is not held, `wait` for it before its use."""
        parent = _current.get()
        while parent is not None and not parent.is_held:
            parent = parent.parent
        slot = Slot(self, parent)
        if not self._waiting and self._counted < self._limit + self._extra:
            slot.is_held = True  # as `_hold` does
            self._active += 1
            self._counted += 1
        elif lender := slot.find_lender():
            slot.lender, lender.borrower = lender, slot
            self._hold(slot)
        _current.set(slot)
        return slot

    def admit_all(self) -> None:
        """Hand a slot to everyone who waits, so that all of them see that the client is closed."""
        while self._waiting:
            self._admit(*self._waiting.popleft())
        self._watch_for_stall()

    def lend(self, slot: Slot) -> None:
        """Mark a slot as lent."""
        slot.is_lent = True
        self._active -= 1
        if not slot.was_lent:
            slot.was_lent = True
            self._lenders += 1
        if self._waiting:
            self._lend_to_waiting(slot)
            self._watch_for_stall()

    def take_back(self, slot: Slot) -> None:
        """Mark a slot as in use."""
        slot.is_lent = False
        self._active += 1
        if self._stall_timer is not None:
            self._watch_for_stall()

    def release(self, slot: Slot) -> None:
        """Free a slot, and admit those who wait."""
        self._active -= not slot.is_lent
        self._lenders -= slot.was_lent
        self._extra = min(self._extra, self._lenders)
        self._stalls = 0
        slot.is_held = slot.is_lent = False
        heir, slot.borrower = slot.borrower, None  # it goes on in the place of this slot
        if heir is not None:
            heir.lender = slot.lender
        if slot.lender is not None:
            slot.lender.borrower = heir
            self._lend_to_waiting(slot.lender)
        elif heir is None:
            self._counted -= 1
        while self._waiting and self._has_room():
            self._admit(*self._waiting.popleft())
        if self._waiting or self._stall_timer is not None:
            self._watch_for_stall()

    def _lend_to_waiting(self, lender: Slot) -> None:
        """Let a nested call borrow the slot that came before the slot was lent, or free again.

        A thread that reads ahead calls while the exchange still sends the bytes before.
        """
        for entry in self._waiting:
            slot, admitted = entry
            if slot.find_lender() is lender:
                self._waiting.remove(entry)
                slot.lender, lender.borrower = lender, slot
                self._admit(slot, admitted)
                return

    def _has_room(self) -> bool:
        return self._counted < self._limit + self._extra

    def _hold(self, slot: Slot) -> None:
        slot.is_held = True
        self._active += 1
        self._counted += slot.lender is None

    async def wait(self, slot: Slot) -> None:
        """Wait until the slot is held."""
        admitted = asyncio.get_running_loop().create_future()
        entry = slot, admitted
        self._waiting.append(entry)
        self._watch_for_stall()
        try:
            await admitted
        except BaseException:
            if slot.is_held:  # it was admitted just before the cancellation
                slot.release()
            else:
                self._waiting.remove(entry)
                self._watch_for_stall()
            raise

    def _admit(self, slot: Slot, admitted: asyncio.Future[None]) -> None:
        self._hold(slot)
        if not admitted.done():  # otherwise it was cancelled, and will release the slot
            admitted.set_result(None)

    def _watch_for_stall(self) -> None:
        """Start the timer if all exchanges wait for the caller's code. Otherwise stop it."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._waiting and self._active == 0:
            loop = asyncio.get_running_loop()
            self._stall_timer = loop.call_later(STALL_SECONDS, self._end_stall)

    def _end_stall(self) -> None:
        self._stall_timer = None
        for _ in range(min(2**self._stalls, len(self._waiting))):
            self._extra += 1
            # The newest call is the likeliest one that code of the caller waits for.
            self._admit(*self._waiting.pop())
        self._stalls += 1
        self._watch_for_stall()
