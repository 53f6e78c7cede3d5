"""How long others wait while one address sends 1,200 requests at once.

A wait is counted in what the server works meanwhile, in seconds of the processor: what it would last on a
machine that has nothing else to do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from serving import REPO, Server

from . import burst
from .attacker import Seat
from .client import HOST, Sender, connect_all, hang_up
from .parts import Row
from .servers import SECRET, Options, database, seats, sqlite

TALKERS = 10  # so that together they write 40 texts a second within the rates
BETWEEN = 0.025  # s between two samples
QUIET = 1.0  # s before the burst: what is usual
LONGEST_ADDED = 0.25  # s that anybody may make another one wait longer


class Talker(Sender):
    _seen: asyncio.Future[float] | None = None

    async def saw_own(self, now: Callable[[], float]) -> float:
        """Write a text; what `now` says when it has come back."""
        self._own, self._now = self.texts + 1, now
        self._seen = asyncio.get_running_loop().create_future()
        self.say()
        return await self._seen

    def arrived(self, texts: int) -> None:
        super().arrived(texts)
        if self._seen is not None and not self._seen.done() and self.texts >= self._own:
            self._seen.set_result(self._now())


@dataclass(slots=True)
class Waits:
    """How long a visitor waited for each page and text, in seconds of the server's processor."""

    pages: list[float] = field(default_factory=list)
    texts: list[float] = field(default_factory=list)

    def added(self, quiet: Waits) -> tuple[float, float]:
        pairs = (self.pages, quiet.pages), (self.texts, quiet.texts)
        page, text = (max(now, default=60.0) - median(usual) for now, usual in pairs)
        return page, text


async def bursts(options: Options) -> list[Row]:
    """What 1,200 requests of one address add to the waits of others; baseline: the tree of --tree."""
    rows = []
    for kind in burst.KINDS:
        before = await _measured(options, kind, options.tree) if options.tree else None
        after = await _measured(options, kind, REPO)
        remark = f"{after[2]}; before: {before[2]}" if before else after[2]
        for what, ours, theirs in zip(
            ("page", "text"), after[:2], before[:2] if before else (0.0, 0.0), strict=True
        ):
            rows.append(
                Row(
                    f"x 1,200 × {kind}: another's {what}",
                    ours * 1000,
                    "ms",
                    theirs * 1000 if before else None,
                    most=None if before else LONGEST_ADDED * 1000,
                    remark=remark if what == "page" else "",
                )
            )
    return rows


async def _measured(options: Options, kind: str, tree: Path) -> tuple[float, float, str]:
    async with _visited(options, tree) as (server, sample):
        await sample(QUIET / 4, None)
        quiet = await sample(QUIET, None)
        pipe = asyncio.subprocess.PIPE
        hostile = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.burst",
            kind,
            str(server.port),
            cwd=REPO,
            stdin=pipe,
            stdout=pipe,
        )
        assert hostile.stdout
        await hostile.stdout.readline()
        used = _worked(server.pids)
        done = asyncio.create_task(hostile.communicate(b"\n"))
        waits = await sample(QUIET, done)
        used = _worked(server.pids) - used
        result = json.loads((await done)[0])
        page, text = waits.added(quiet)
        answered = " ".join(f"{status} × {n}" for status, n in result["statuses"].items())
        remark = (
            f"CPU {used:.1f} s, {answered}, answered after {result['first']:.2f} to {result['last']:.2f} s"
        )
        return page, text, remark


Sample = Callable[[float, "asyncio.Task[object] | None"], Awaitable[Waits]]


@asynccontextmanager
async def _visited(options: Options, tree: Path) -> AsyncIterator[tuple[Server, Sample]]:
    with database(options) as file:
        (tickets,) = await seats(sqlite(file), 1, TALKERS)
        env = {"CHAT_DATABASE_URL": sqlite(file), "CHAT_SECRET_KEY": SECRET, "PYTHONPATH": str(tree)}
        server = Server(env=env, cwd=tree, config=tree / "hypercorn.toml")
        await asyncio.to_thread(server.start)
        talkers = [Talker(ticket) for ticket in tickets]
        try:
            await connect_all(talkers, server.port)

            async def sample(seconds: float, until: asyncio.Task[object] | None) -> Waits:
                return await _sampled(server, talkers, seconds, until)

            yield server, sample
        finally:
            hang_up(talkers)
            server.kill()


async def _sampled(
    server: Server, talkers: list[Talker], seconds: float, until: asyncio.Task[object] | None
) -> Waits:
    waits, worked = Waits(), partial(_worked, server.pids)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_read_on(server.port, waits.pages, over, worked))
        group.create_task(_talk_on(talkers, waits.texts, over, worked))
        if until is not None:
            await asyncio.wait([until])
        await asyncio.sleep(seconds)
        over.set()
    return waits


def _worked(pids: list[int]) -> float:
    """Seconds of processor time that the server has used, exactly."""
    files = (file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


async def _read_on(port: int, waits: list[float], over: asyncio.Event, now: Callable[[], float]) -> None:
    while not over.is_set():
        start = now()
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(burst.request("GET", port, "/", "Connection: close"))
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        waits.append(now() - start)
        writer.close()
        await asyncio.sleep(BETWEEN)


async def _talk_on(
    talkers: list[Talker], waits: list[float], over: asyncio.Event, now: Callable[[], float]
) -> None:
    """Each in turn writes a text and waits until it is there."""
    turn = 0
    while not over.is_set():
        talker = talkers[turn % len(talkers)]
        turn += 1
        start = now()
        waits.append(await talker.saw_own(now) - start)
        await asyncio.sleep(BETWEEN)


PEOPLE = 300  # who come in at once, as many as the rate of joins allows
FILES = ("chat.css", "vendor/htmx.min.js", "vendor/hx-ws.min.js", "icon.svg")


async def school(options: Options) -> list[Row]:
    """How long 300 people behind one address take to come in at once; baseline: the tree of --tree."""
    before = await _came_in(options, options.tree) if options.tree else None
    after = await _came_in(options, REPO)
    title = f"x {PEOPLE} people of one address come in:"
    rows = []
    for index, (what, unit) in enumerate(
        (("the last has the room", "s"), ("half have it", "s"), ("CPU", "s"))
    ):
        base = before[index] if before else None
        rows.append(Row(f"{title} {what}", after[index], unit, base, most=1.1 if before else None))
    return rows


async def _came_in(options: Options, tree: Path) -> tuple[float, float, float]:
    """Seconds until the last and the median person has the room with its files and socket; processor time."""
    with database(options) as file:
        env = {"CHAT_DATABASE_URL": sqlite(file), "CHAT_SECRET_KEY": SECRET, "PYTHONPATH": str(tree)}
        server = Server(env=env, cwd=tree, config=tree / "hypercorn.toml")
        await asyncio.to_thread(server.start)
        try:
            host = await asyncio.to_thread(Seat, server.port)
            worked, start = _worked(server.pids), time.perf_counter()
            people = (_follow(server.port, host.room, n) for n in range(PEOPLE))
            ends = sorted(end - start for end in await asyncio.gather(*people))
            return ends[-1], median(ends), _worked(server.pids) - worked
        finally:
            server.kill()


async def _follow(port: int, room: str, number: int) -> float:
    """When the person has all of the room."""
    await asyncio.sleep(number / PEOPLE / 2)
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(burst.SOURCE, 0))

    async def ask(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
        writer.write(burst.request(method, port, path, *headers, body=body))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 303", b"HTTP/1.1 101")), head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
        await reader.readexactly(int(length or 0))
        return head

    await ask("GET", room)
    head = await ask("POST", room, body=b"name=Pupil+%d" % number)
    cookie = "Cookie: " + head.partition(b"set-cookie: ")[2].partition(b";")[0].decode()
    await ask("GET", room, cookie)
    for file in FILES:
        await ask("GET", f"/static/x/{file}")
    await ask("GET", f"{room}/live", cookie, *burst.UPGRADE)
    writer.close()
    return time.perf_counter()
