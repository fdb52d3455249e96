"""Run the fuzz with the options of the command line, and print a table."""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from fuzz.answers import damaged_answer
from mlmsg import Client, MlmsgError, RefreshingToken, RetryPolicy, Timeouts
from mlmsg.notifications import parse

Call = Callable[[Client, Path], Awaitable[object]]


async def _drain(items: object) -> None:
    async for _ in items:  # type: ignore[attr-defined]
        pass


async def _open(client: Client, _: Path) -> None:
    async with client.attachments.open("a.png", "MLM") as download:
        await download.read()


CALLS: dict[str, Call] = {
    "packs.page": lambda c, _: c.packs.page(1),
    "packs.conversation": lambda c, _: c.packs.conversation(1),
    "packs.send": lambda c, _: c.packs.send(1, "Hola"),
    "messages.get": lambda c, _: c.messages.get("m1"),
    "attachments.upload": lambda c, _: c.attachments.upload(b"x" * 3000, site_id="MLM"),
    "attachments.open": _open,
    "attachments.download": lambda c, to: c.attachments.download("a.png", to, site_id="MLM"),
    "unread.list": lambda c, _: c.unread.list(),
    "unread.page": lambda c, _: c.unread.page(1, 2),
    "claims.get": lambda c, _: c.claims.get(5),
    "claims.messages": lambda c, _: c.claims.messages(5),
    "claims.send": lambda c, _: c.claims.send(5, "Hola", receiver_role="complainant"),
    "claims.download": lambda c, to: c.claims.download(5, "a.png", to),
    "claims.search": lambda c, _: c.claims.search(status="opened"),
    "reasons.list": lambda c, _: c.reasons.list(1),
    "reasons.send": lambda c, _: c.reasons.send(1, "OTHER", text="Hola"),
    "account.me": lambda c, _: c.account.me(),
    "notifications.missed": lambda c, _: _drain(c.notifications.missed(7)),
}


class Server:
    """A server that answers every request with damaged bytes."""

    def __init__(self, seed: int) -> None:
        self.answers = 0
        self._chance = random.Random(seed)  # noqa: S311

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n")
                     if line.startswith(b"content-length:")), 0)  # fmt: skip
                await reader.readexactly(length)
                self.answers += 1
                writer.write(damaged_answer(self._chance))
                await writer.drain()
                if self._chance.random() < 0.5:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


async def fuzz(answers: int, seed: int, folder: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Make calls until the server has given so many answers; return outcomes and violations."""
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in CALLS}
    violations: list[str] = []
    server = Server(seed)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    chance = random.Random(seed + 1)  # noqa: S311
    timeouts = Timeouts(connect=2, read=0.15, write=2, total=3)
    retry = RetryPolicy(attempts=1, max_retry_after=0.0)
    tasks = asyncio.all_tasks()

    async def work(client: Client) -> None:
        while server.answers < answers:
            name = chance.choice(list(CALLS))
            to = folder / f"{chance.randrange(10**12)}.png"
            try:
                await CALLS[name](client, to)
                outcomes[name]["ok"] += 1
            except MlmsgError as error:
                outcomes[name][type(error).__name__] += 1
            except BaseException as error:
                violations.append(f"{name}: {type(error).__name__}: {error}"[:200])
            to.unlink(missing_ok=True)
            raw = damaged_answer(chance)
            try:
                parse(raw.partition(b"\r\n\r\n")[2])
            except MlmsgError:
                pass
            except Exception as error:
                violations.append(f"notifications.parse: {type(error).__name__}: {error}"[:200])

    def client(token: str | RefreshingToken, *, domestic: bool) -> Client:
        return Client(
            token, base_url=url, timeout=timeouts, retry=retry, budget=None, max_connections=16,
            global_selling=not domestic, user_id=9,
        )  # fmt: skip

    tokens = ("a-token", "a-token", RefreshingToken(1, "client-secret", "refresh-token"))
    clients = [client(token, domestic=domestic) for token in tokens for domestic in (False, True)]
    await asyncio.gather(*(work(one) for one in clients for _ in range(16)))
    for one in clients:
        transport = one._session._transport
        if transport is not None and transport._slots._active:
            violations.append(f"{transport._slots._active} slots are held")
        await one.aclose()
    listener.close()
    await asyncio.sleep(0.5)
    left = [task for task in asyncio.all_tasks() - tasks if "serve" not in repr(task)]
    violations += [f"a task is left: {task}"[:200] for task in left if not task.done()]
    violations += [f"a file is left: {path.name}" for path in folder.iterdir()]
    return outcomes, violations


async def main(answers: int, seed: int) -> int:
    """Run, print, and return the exit code."""
    before, started = len(os.listdir("/proc/self/fd")), time.monotonic()  # noqa: PTH208
    with tempfile.TemporaryDirectory() as folder:
        outcomes, violations = await fuzz(answers, seed, Path(folder))
    await asyncio.sleep(0.5)
    after = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    total: Counter[str] = Counter()
    for name, counts in outcomes.items():
        total.update(counts)
        rest = ", ".join(
            f"{kind} {count:,}" for kind, count in counts.most_common() if kind != "ok"
        )
        print(f"{name:<22}{sum(counts.values()):>8,} calls, ok {counts['ok']:>6,}; {rest}")
    print(
        f"{answers:,} answers, {sum(total.values()):,} calls in {time.monotonic() - started:.0f} s"
    )
    print(f"descriptors {before} before, {after} after; {len(violations)} violations")
    print(*violations[:20], sep="\n")
    return int(bool(violations) or after > before + 2)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--answers", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    sys.exit(asyncio.run(main(given.answers, given.seed)))
