"""The calls of the soak, one method for each kind, and the ledger of their outcomes.

Both families of sellers make the same calls. They differ only in what a send may say beside its
text.
"""

import asyncio
import hashlib
import itertools
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypedDict

import msgspec

from mlmsg import (
    ApiError,
    AttemptEvent,
    ClaimMessage,
    Client,
    MlmsgError,
    OutcomeUnknown,
    TransportError,
)
from mlmsg.rules import Family
from soak.proofs import Outcome
from soak.server import BUYER, FIRST_PACK, FIRST_SILENT_PACK, LARGE, SELLER, large_file

__all__ = [
    "CALLS",
    "KIND",
    "Caller",
    "Mix",
    "Tally",
    "WrongAnswerError",
    "WrongFileError",
    "add_up",
]

SITE = "MLM"
KB, MB = 1024, 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

LARGE_UPLOADS = 0.01
"""The share of uploads of 1 to 5 MB; the others have 1 to 50 KB."""

LARGE_SAVES = 0.06
"""The share of saved files of 3 MB."""

NAMED_RECIPIENTS = 0.5
"""The share of domestic sends with `to=`. The others read the thread to find the recipient."""

RECONCILE_ATTEMPTS = 5
"""Calls of a `reconcile` that fails, before it is given up."""


class Caller(NamedTuple):
    """A client, and the family of its seller."""

    client: Client
    family: Family


class SendArguments(TypedDict, total=False):
    """The arguments of `packs.send` that only one family may pass."""

    text_translated: str
    to: int


class WrongAnswerError(Exception):
    """An unexpected response."""


class WrongFileError(Exception):
    """A file with the wrong bytes, or an incomplete one."""


@dataclass
class Tally:
    """The counts of the calls of one kind, by their outcome."""

    calls: int = 0
    ok: int = 0
    retried: int = 0
    unknown: int = 0
    errors: int = 0
    cancelled: int = 0


def add_up(tallies: Iterable[Tally]) -> Tally:
    """Return the sums of all counts."""
    rows = [astuple(tally) for tally in tallies]
    return Tally(*map(sum, zip(*rows, strict=True)))


KIND: ContextVar[Tally] = ContextVar("KIND")
"""The tally of the current call, in which its retries are counted."""


class Rotation:
    """The packs, or the claims, in use; each is replaced after about a hundred calls.

    Attributes:
        texts: The texts that each one is known to contain.
    """

    def __init__(self, first: int, rng: random.Random) -> None:
        self._fresh = itertools.count(first)
        self._random = rng
        self.texts: dict[int, set[str]] = {next(self._fresh): set() for _ in range(12)}

    def pick(self) -> int:
        """Return a random id, and now and then replace the oldest."""
        if self._random.random() < 0.01:
            del self.texts[next(iter(self.texts))]
            self.texts[next(self._fresh)] = set()
        return self._random.choice(list(self.texts))

    def add_text(self, number: int, text: str) -> None:
        """Record that a thread contains a text from now on."""
        if number in self.texts:
            self.texts[number].add(text)


class Mix:
    """The calls, one method for each kind, and the ledger of their outcomes.

    Attributes:
        tallies: The counts by kind of call and family of seller.
        reconciled: The counts of the searches for lost sends.
        attempts: The number of attempts.
        failed: The number of attempts without a response, or with a 429 or a 5xx.
        asked_accounts: The number of successful requests for the account of a client's token.
        saved: The folder for downloads.
        ledger: The file of outcomes; not a list, because memory is measured.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.tallies = {key: Tally() for key in product(CALLS, Family)}
        self.reconciled = Tally()
        self.attempts = self.failed = self.asked_accounts = 0
        self.saved = folder / "saved"
        self.saved.mkdir()
        self.ledger = (folder / "ledger").open("wb")
        self._noise = self.random.randbytes(5 * MB + 64 * KB)
        self._number = itertools.count()
        self._packs = Rotation(FIRST_PACK, self.random)
        self._silent_packs = Rotation(FIRST_SILENT_PACK, self.random)
        self._claims = Rotation(5300000000, self.random)
        self._sent: deque[str] = deque(maxlen=50)
        self._claim_files: deque[tuple[int, str, str]] = deque(maxlen=30)
        self._large = LARGE, hashlib.sha256(large_file()).hexdigest()
        self._files: deque[tuple[str, str]] = deque([self._large], maxlen=50)
        self._given = folder / "given.bin"
        self._given.write_bytes(self._noise[: 20 * KB])

    def of_kind(self, kind: str) -> Tally:
        """Return the counts of one kind of call, of both families."""
        return add_up(self.tallies[kind, family] for family in Family)

    # --- records --------------------------------------------------------------------------

    def count_attempt(self, event: AttemptEvent) -> None:
        """Count an attempt."""
        self.attempts += 1
        no_success = event.status is None or event.status == 429 or event.status >= 500
        self.failed += no_success and event.verdict != "cancel"
        self.asked_accounts += event.operation == "account.me" and event.verdict == "accept"
        if event.verdict == "retry" and event.operation != "auth.refresh":
            KIND.get().retried += 1

    def record(self, *outcome: *Outcome) -> None:
        """Write one line to the ledger."""
        self.ledger.write(msgspec.json.encode(outcome) + b"\n")

    async def _send(self, send: Callable[[str], Awaitable[object]]) -> str:
        """Send a unique text, and record the outcome that the caller sees."""
        text = f"Mensaje {next(self._number)}, ¡gracias!"
        outcome, found = "cancelled", "-"
        try:
            await send(text)
            outcome = "ok"
        except OutcomeUnknown as error:
            outcome = "unknown"
            found = await self._reconcile(error, text)
            raise
        except (MlmsgError, OSError):
            outcome = "error"
            raise
        finally:
            self.record(text, outcome, found)
        return text

    async def _reconcile(self, error: OutcomeUnknown, text: str) -> str:
        tally = self.reconciled
        KIND.set(tally)
        for _ in range(RECONCILE_ATTEMPTS):
            tally.calls += 1
            try:
                message = await error.reconcile()
            except (ApiError, TransportError):
                tally.errors += 1
            except asyncio.CancelledError:
                tally.cancelled += 1
                raise
            else:
                tally.ok += 1
                if message is None:
                    return "missing"
                own = message.message if isinstance(message, ClaimMessage) else message.text
                _check(own == text, "another message was found")
                return "found"
        return "undecided"

    # --- writes ---------------------------------------------------------------------------

    def _make_data(self) -> tuple[bytes, str]:
        size = self.random.randint(1 * KB, 50 * KB)
        if self.random.random() < LARGE_UPLOADS:
            size = self.random.randint(1 * MB, 5 * MB - KB)
        start = self.random.randrange(64 * KB)
        data = self._noise[start : start + size]
        return data, hashlib.sha256(data).hexdigest()

    def _arguments(self, caller: Caller) -> SendArguments:
        if caller.family is Family.GLOBAL_SELLING:
            return {"text_translated": "Thanks!"}
        return {"to": BUYER} if self.random.random() < NAMED_RECIPIENTS else {}

    def _stored(self, name: str, sha256: str) -> None:
        self.record(name, "stored", sha256)
        self._files.append((name, sha256))

    async def send(self, caller: Caller) -> None:
        """Send a message to a buyer."""
        pack, arguments = self._packs.pick(), self._arguments(caller)

        async def send(text: str) -> None:
            sent = await caller.client.packs.send(pack, text, **arguments)
            if sent.id is not None:
                self._sent.append(sent.id)

        self._packs.add_text(pack, await self._send(send))

    async def send_files(self, caller: Caller) -> None:
        """Send a message with files that are uploaded first."""
        pack, arguments = self._packs.pick(), self._arguments(caller)
        files = [self._make_data() for _ in range(self.random.randint(1, 3))]

        async def send(text: str) -> None:
            data = [one for one, _ in files]
            send = caller.client.packs.send
            sent = await send(pack, text, files=data, site_id=SITE, **arguments)
            if sent.message is not None:
                for known, (_, sha256) in zip(sent.message.attachments, files, strict=True):
                    self._stored(str(known.filename), sha256)

        self._packs.add_text(pack, await self._send(send))

    async def send_rejected(self, caller: Caller) -> None:
        """Send a message that the API rejects: it names a file that was never uploaded."""
        pack, arguments, send = (
            self._packs.pick(),
            self._arguments(caller),
            caller.client.packs.send,
        )
        await self._send(lambda text: send(pack, text, attachments=["none"], **arguments))

    async def send_by_reason(self, caller: Caller) -> None:
        """Start a conversation with a reason, after its options and their caps were read."""
        pack, reasons = self._silent_packs.pick(), caller.client.reasons
        options, caps = await reasons.list(pack), await reasons.caps(pack)
        (option,) = (one for one in options if one.id == "OTHER" and one.usable)
        _check(caps[option.id] > 0, "a usable option without a cap")
        text = await self._send(lambda text: reasons.send(pack, option, text=text))
        page = await caller.client.packs.page(pack)
        _check(text in {message.text for message in page.messages}, "a message is missing")

    async def claim_send(self, caller: Caller) -> None:
        """Send a message to the complainant of a claim, now and then with a file."""
        claim = self._claims.pick()
        data, _ = self._make_data()
        files = [PNG + data] if self.random.random() < 0.2 else []

        async def send(text: str) -> None:
            await caller.client.claims.send(claim, text, receiver_role="complainant", files=files)

        self._claims.add_text(claim, await self._send(send))

    async def upload(self, caller: Caller) -> None:
        """Upload a file from a random kind of source."""
        data, sha256 = self._make_data()
        upload, name = caller.client.attachments.upload, "factura ñ.bin"
        kind = self.random.randrange(5)
        if kind == 0:
            stored = await upload(_pieces(data), site_id=SITE, filename=name)
        elif kind == 1:
            stored = await upload(_pieces(data), site_id=SITE, filename=name, length=len(data))
        elif kind == 2:
            stored = await upload(self._given, site_id=SITE)
            sha256 = hashlib.sha256(self._noise[: 20 * KB]).hexdigest()
        else:
            stored = await upload(data, site_id=SITE, filename=name)
        self._stored(stored.id, sha256)

    async def claim_upload(self, caller: Caller) -> None:
        """Upload a file of a claim."""
        claim, data = self._claims.pick(), PNG + self._make_data()[0]
        stored = await caller.client.claims.upload(claim, data, filename="foto.png")
        sha256 = hashlib.sha256(data).hexdigest()
        self.record(stored.file_name, "stored", sha256)
        self._claim_files.append((claim, stored.file_name, sha256))

    # --- downloads ------------------------------------------------------------------------

    async def download(self, caller: Caller) -> None:
        """Stream a file."""
        name, sha256 = self.random.choice(self._files)
        async with caller.client.attachments.open(name, SITE) as download:
            digest = hashlib.sha256()
            async for chunk in download:
                digest.update(chunk)
        _check_file(digest.hexdigest() == sha256, "another file was streamed")

    async def save(self, caller: Caller) -> None:
        """Save a file; cancelled or not, it is complete or absent."""
        large = self.random.random() < LARGE_SAVES
        name, sha256 = self._large if large else self.random.choice(self._files)
        target = self.saved / f"{next(self._number)}.bin"
        try:
            saved = await caller.client.attachments.download(name, target, site_id=SITE)
            _check_file(saved.sha256 == sha256, "another file was saved")
            _check_file(_remove_and_hash(target) == sha256, "the file is not what was saved")
        finally:
            _check_file(_remove_and_hash(target) in {sha256, None}, "half a file was left")

    async def copy(self, caller: Caller) -> None:
        """Copy a file from one attachment to another."""
        name, sha256 = self.random.choice(self._files)
        async with caller.client.attachments.open(name, SITE) as download:
            stored = await caller.client.attachments.upload(download, site_id=SITE)
        self._stored(stored.id, sha256)

    async def claim_download(self, caller: Caller) -> None:
        """Read a file of a claim, after its description."""
        if not self._claim_files:
            await self.claim_upload(caller)
        claim, name, sha256 = self.random.choice(self._claim_files)
        known = await caller.client.claims.attachment(claim, name)
        async with caller.client.claims.open(claim, name) as download:
            data = await download.read()
        _check_file(known.size == len(data), "the file has another size")
        _check_file(hashlib.sha256(data).hexdigest() == sha256, "another file was read")

    # --- reads ----------------------------------------------------------------------------

    async def page(self, caller: Caller) -> None:
        """Read a page of a thread."""
        page = await caller.client.packs.page(self._packs.pick(), limit=5)
        _check(0 < len(page.messages) <= 5, "a page without messages")

    async def conversation(self, caller: Caller) -> None:
        """Read a whole thread while other calls write to it."""
        pack = self._packs.pick()
        known = set(self._packs.texts[pack])
        thread = await caller.client.packs.conversation(pack, page_size=10)
        _check_ids([message.id for message in thread.messages])
        _check(known <= {message.text for message in thread.messages}, "a message is missing")

    async def message(self, caller: Caller) -> None:
        """Read one message."""
        if not self._sent:
            page = await caller.client.packs.page(self._packs.pick(), limit=1)
            self._sent.append(page.messages[0].id)
        name = self.random.choice(self._sent)
        message = await caller.client.messages.get(name)
        _check(message.id == name, "another message")

    async def unread(self, caller: Caller) -> None:
        """List unread messages in each way, or mark them as read."""
        pack, ways = self._packs.pick(), caller.client.unread
        match self.random.randrange(5):
            case 0:
                await ways.list()
            case 1:
                await ways.get(f"/packs/{pack}/sellers/{SELLER}")
            case 2:
                await ways.page(pack, SELLER, limit=5)
            case 3:
                await ways.mark_as_read(pack, SELLER)
            case _:
                async with aclosing(ways.messages(pack, SELLER, page_size=10)) as messages:
                    _check_ids([message.id async for message in messages])

    async def claim(self, caller: Caller) -> None:
        """Read a claim and its messages."""
        claim = self._claims.pick()
        known = set(self._claims.texts[claim])
        details = await caller.client.claims.get(claim)
        messages = await caller.client.claims.messages(claim)
        _check(len(details.players) == 2, "a claim without its players")
        _check(known <= {message.message for message in messages}, "a message is missing")

    async def search(self, caller: Caller) -> None:
        """Search the claims of the seller."""
        page = await caller.client.claims.search(status="opened", limit=30)
        _check(len({claim.id for claim in page.claims}) == len(page.claims), "a claim came twice")


CALLS: dict[str, tuple[float, Callable[[Mix, Caller], Awaitable[None]]]] = {
    "send": (16, Mix.send),
    "send with files": (6, Mix.send_files),
    "send, rejected": (2, Mix.send_rejected),
    "send by reason": (4, Mix.send_by_reason),
    "upload": (10, Mix.upload),
    "download": (9, Mix.download),
    "save": (8, Mix.save),
    "copy": (4, Mix.copy),
    "page": (12, Mix.page),
    "conversation": (6, Mix.conversation),
    "message": (8, Mix.message),
    "unread": (7, Mix.unread),
    "claim": (5, Mix.claim),
    "claim search": (2, Mix.search),
    "claim send": (7, Mix.claim_send),
    "claim upload": (3, Mix.claim_upload),
    "claim download": (3, Mix.claim_download),
}
"""The weight of each kind of call, and its method."""


def _check(holds: object, otherwise: str) -> None:
    if not holds:
        raise WrongAnswerError(otherwise)


def _check_file(holds: object, otherwise: str) -> None:
    if not holds:
        raise WrongFileError(otherwise)


def _check_ids(ids: list[str]) -> None:
    """Check that a walk yielded messages, and none twice."""
    _check(len(ids) >= 2, "a thread without its first messages")
    _check(len(set(ids)) == len(ids), "a message came twice")


def _remove_and_hash(path: Path) -> str | None:
    """Remove a file and return its SHA-256, or None if there is no file."""
    if not path.exists():
        return None
    data = path.read_bytes()
    path.unlink()
    return hashlib.sha256(data).hexdigest()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 64 * KB):
        yield data[start : start + 64 * KB]
