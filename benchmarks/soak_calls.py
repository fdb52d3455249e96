"""The calls of `soak.py`, one method for each kind, and what is written down of them."""

import asyncio
import hashlib
import itertools
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import msgspec
from soak_server import LARGE, SELLER, Outcome, large_file

from mlmsg import (
    ApiError,
    AttemptEvent,
    ClaimMessage,
    Client,
    MlmsgError,
    OutcomeUnknown,
    TransportError,
)

__all__ = ["CALLS", "KIND", "Mix", "Tally", "WrongAnswerError", "WrongFileError"]

SITE = "MLM"
KB, MB = 1024, 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

LARGE_UPLOADS = 0.01
"""The part of the files going up that has 1 to 5 MB; the others have 1 to 50 KB."""

LARGE_SAVES = 0.06
"""The part of the saves that is of a file of 3 MB."""

TRIES = 5
"""How often a `reconcile` that fails is called again."""


class WrongAnswerError(Exception):
    """An answer that is not what it has to be."""


class WrongFileError(Exception):
    """A file that has other bytes, or is half there."""


@dataclass
class Tally:
    """What became of the calls of one kind."""

    calls: int = 0
    ok: int = 0
    retried: int = 0
    unknown: int = 0
    errors: int = 0
    cancelled: int = 0


KIND: ContextVar[Tally] = ContextVar("KIND")
"""Where the attempts of the present call are counted."""


class Live:
    """The packs, or the claims, in use: each for about a hundred calls, then a new one follows.

    Attributes:
        texts: What is known to stand in each of them.
    """

    def __init__(self, first: int, rng: random.Random) -> None:
        self._fresh = itertools.count(first)
        self._random = rng
        self.texts: dict[int, set[str]] = {next(self._fresh): set() for _ in range(12)}

    def pick(self) -> int:
        """One of them."""
        if self._random.random() < 0.01:
            del self.texts[next(iter(self.texts))]
            self.texts[next(self._fresh)] = set()
        return self._random.choice(list(self.texts))

    def holds(self, number: int, text: str) -> None:
        """Notes that a message stands in one of them from now on."""
        if number in self.texts:
            self.texts[number].add(text)


class Mix:
    """The calls, one method for each kind, and the ledger of what they were told.

    Attributes:
        tallies: The counts by kind of call.
        reconciled: The counts of the searches for lost sends.
        attempts: How many attempts were made.
        failed: How many of them had no answer, a 429 or a 5xx.
        saved: The folder for what comes down.
        ledger: The file of outcomes; not in memory, which is measured.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.tallies: dict[str, Tally] = {kind: Tally() for kind in CALLS}
        self.reconciled = Tally()
        self.attempts = self.failed = 0
        self.saved = folder / "saved"
        self.saved.mkdir()
        self.ledger = (folder / "ledger").open("wb")
        self._noise = self.random.randbytes(5 * MB + 64 * KB)
        self._number = itertools.count()
        self._packs = Live(2000010000000000, self.random)
        self._claims = Live(5300000000, self.random)
        self._sent: deque[str] = deque(maxlen=50)
        self._claim_files: deque[tuple[int, str, str]] = deque(maxlen=30)
        self._large = LARGE, hashlib.sha256(large_file()).hexdigest()
        self._files: deque[tuple[str, str]] = deque([self._large], maxlen=50)
        self._given = folder / "given.bin"
        self._given.write_bytes(self._noise[: 20 * KB])

    # What is written down of a call

    def heard(self, event: AttemptEvent) -> None:
        """Counts the attempts."""
        self.attempts += 1
        no_success = event.status is None or event.status == 429 or event.status >= 500
        self.failed += no_success and event.verdict != "cancel"
        if event.verdict == "retry" and event.operation != "auth.refresh":
            KIND.get().retried += 1

    def write(self, *outcome: *Outcome) -> None:
        """One more line of the ledger."""
        self.ledger.write(msgspec.json.encode(outcome) + b"\n")

    async def _delivered(self, send: Callable[[str], Awaitable[object]]) -> str:
        """Sends a text that no other send has, and writes down what the caller is told."""
        text = f"Mensaje {next(self._number)}, ¡gracias!"
        outcome, found = "cancelled", "-"
        try:
            await send(text)
            outcome = "ok"
        except OutcomeUnknown as error:
            outcome = "unknown"
            found = await self._reconciled(error, text)
            raise
        except (MlmsgError, OSError):
            outcome = "error"
            raise
        finally:
            self.write(text, outcome, found)
        return text

    async def _reconciled(self, error: OutcomeUnknown, text: str) -> str:
        tally = self.reconciled
        KIND.set(tally)
        for _ in range(TRIES):
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

    # What goes up

    def _data(self) -> tuple[bytes, str]:
        size = self.random.randint(1 * KB, 50 * KB)
        if self.random.random() < LARGE_UPLOADS:
            size = self.random.randint(1 * MB, 5 * MB - KB)
        start = self.random.randrange(64 * KB)
        data = self._noise[start : start + size]
        return data, hashlib.sha256(data).hexdigest()

    def _stored(self, name: str, sha256: str) -> None:
        self.write(name, "stored", sha256)
        self._files.append((name, sha256))

    async def send(self, client: Client) -> None:
        """A message to a buyer."""
        pack = self._packs.pick()

        async def send(text: str) -> None:
            sent = await client.packs.send(pack, text, text_translated="Thanks!")
            if sent.id is not None:
                self._sent.append(sent.id)

        self._packs.holds(pack, await self._delivered(send))

    async def send_files(self, client: Client) -> None:
        """A message with files that are uploaded on the way."""
        pack = self._packs.pick()
        files = [self._data() for _ in range(self.random.randint(1, 3))]

        async def send(text: str) -> None:
            data = [one for one, _ in files]
            sent = await client.packs.send(pack, text, files=data, site_id=SITE)
            if sent.message is not None:
                for known, (_, sha256) in zip(sent.message.attachments, files, strict=True):
                    self._stored(str(known.filename), sha256)

        self._packs.holds(pack, await self._delivered(send))

    async def send_refused(self, client: Client) -> None:
        """A message that the API refuses: it names a file that was never uploaded."""
        pack = self._packs.pick()
        await self._delivered(lambda text: client.packs.send(pack, text, attachments=["none"]))

    async def claim_send(self, client: Client) -> None:
        """A message to the complainant of a claim, now and then with a file."""
        claim = self._claims.pick()
        data, _ = self._data()
        files = [PNG + data] if self.random.random() < 0.2 else []

        async def send(text: str) -> None:
            await client.claims.send(claim, text, receiver_role="complainant", files=files)

        self._claims.holds(claim, await self._delivered(send))

    async def upload(self, client: Client) -> None:
        """A file, from each kind of source."""
        data, sha256 = self._data()
        upload, name = client.attachments.upload, "factura ñ.bin"
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

    async def claim_upload(self, client: Client) -> None:
        """A file of a claim."""
        claim, data = self._claims.pick(), PNG + self._data()[0]
        stored = await client.claims.upload(claim, data, filename="foto.png")
        sha256 = hashlib.sha256(data).hexdigest()
        self.write(stored.file_name, "stored", sha256)
        self._claim_files.append((claim, stored.file_name, sha256))

    # What comes down

    async def download(self, client: Client) -> None:
        """A file, streamed."""
        name, sha256 = self.random.choice(self._files)
        async with client.attachments.open(name, SITE) as download:
            digest = hashlib.sha256()
            async for chunk in download:
                digest.update(chunk)
        _check_file(digest.hexdigest() == sha256, "another file was streamed")

    async def save(self, client: Client) -> None:
        """A file, saved; cancelled or not, it is whole or not there."""
        large = self.random.random() < LARGE_SAVES
        name, sha256 = self._large if large else self.random.choice(self._files)
        target = self.saved / f"{next(self._number)}.bin"
        try:
            saved = await client.attachments.download(name, target, site_id=SITE)
            _check_file(saved.sha256 == sha256, "another file was saved")
            _check_file(_taken(target) == sha256, "the file is not what was saved")
        finally:
            _check_file(_taken(target) in {sha256, None}, "half a file was left")

    async def copy(self, client: Client) -> None:
        """A file, from one attachment to another."""
        name, sha256 = self.random.choice(self._files)
        async with client.attachments.open(name, SITE) as download:
            stored = await client.attachments.upload(download, site_id=SITE)
        self._stored(stored.id, sha256)

    async def claim_download(self, client: Client) -> None:
        """A file of a claim, after what is known of it."""
        if not self._claim_files:
            await self.claim_upload(client)
        claim, name, sha256 = self.random.choice(self._claim_files)
        known = await client.claims.attachment(claim, name)
        async with client.claims.open(claim, name) as download:
            data = await download.read()
        _check_file(known.size == len(data), "the file has another size")
        _check_file(hashlib.sha256(data).hexdigest() == sha256, "another file was read")

    # What is only read

    async def page(self, client: Client) -> None:
        """A page of a thread."""
        page = await client.packs.page(self._packs.pick(), limit=5)
        _check(0 < len(page.messages) <= 5, "a page without messages")

    async def conversation(self, client: Client) -> None:
        """A whole thread, while others write in it."""
        pack = self._packs.pick()
        known = set(self._packs.texts[pack])
        thread = await client.packs.conversation(pack, page_size=10)
        _whole([message.id for message in thread.messages])
        _check(known <= {message.text for message in thread.messages}, "a message is missing")

    async def message(self, client: Client) -> None:
        """One message."""
        if not self._sent:
            page = await client.packs.page(self._packs.pick(), limit=1)
            self._sent.append(page.messages[0].id)
        name = self.random.choice(self._sent)
        message = await client.messages.get(name)
        _check(message.id == name, "another message")

    async def unread(self, client: Client) -> None:
        """What was not read, in each way, and marking it."""
        pack, ways = self._packs.pick(), client.unread
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
                    _whole([message.id async for message in messages])

    async def claim(self, client: Client) -> None:
        """A claim and its messages."""
        claim = self._claims.pick()
        known = set(self._claims.texts[claim])
        details = await client.claims.get(claim)
        messages = await client.claims.messages(claim)
        _check(len(details.players) == 2, "a claim without its players")
        _check(known <= {message.message for message in messages}, "a message is missing")


CALLS: dict[str, tuple[float, Callable[[Mix, Client], Awaitable[None]]]] = {
    "send": (16, Mix.send),
    "send with files": (6, Mix.send_files),
    "send, refused": (2, Mix.send_refused),
    "upload": (10, Mix.upload),
    "download": (9, Mix.download),
    "save": (8, Mix.save),
    "copy": (4, Mix.copy),
    "page": (12, Mix.page),
    "conversation": (6, Mix.conversation),
    "message": (8, Mix.message),
    "unread": (7, Mix.unread),
    "claim": (5, Mix.claim),
    "claim send": (7, Mix.claim_send),
    "claim upload": (3, Mix.claim_upload),
    "claim download": (3, Mix.claim_download),
}
"""How many of a hundred calls are of each kind, about, and what they do."""


def _check(right: object, otherwise: str) -> None:
    if not right:
        raise WrongAnswerError(otherwise)


def _check_file(right: object, otherwise: str) -> None:
    if not right:
        raise WrongFileError(otherwise)


def _whole(ids: list[str]) -> None:
    """Checks that a walk gave something, and nothing twice."""
    _check(len(ids) >= 2, "a thread without its first messages")
    _check(len(set(ids)) == len(ids), "a message came twice")


def _taken(path: Path) -> str | None:
    """The SHA-256 of a file, which is removed; None if it is not there."""
    if not path.exists():
        return None
    data = path.read_bytes()
    path.unlink()
    return hashlib.sha256(data).hexdigest()


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 64 * KB):
        yield data[start : start + 64 * KB]
