"""The server that is measured, what it is measured against, and what they use of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import calls
from serving import REPO, Server, free_port

from chat.model.members import Member
from chat.model.rooms import Position
from chat.store import store_for
from chat.visitors import Identities

from .client import HOST, Ticket

SECRET = "a secret of the benchmark alone"
MEASURED = "measured_app:create_app()"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and how thoroughly."""

    python: Path
    worker_class: str
    quick: bool
    folder: Path | None
    profile: Path | None
    tree: Path | None = None

    def seconds(self, full: float) -> float:
        return full / 3 if self.quick else full

    def some(self, full: int) -> int:
        return full // 5 if self.quick else full


class Chat(Server):
    """The real command: alone on a database, or a node beside others."""

    def __init__(
        self,
        options: Options,
        url: str,
        port: int | None = None,
        redis: str = "",
        *,
        app: str = "chat.app:create_app()",
        tree: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        env = {
            **env,
            "CHAT_DATABASE_URL": url,
            "CHAT_REDIS_URL": redis,
            "CHAT_SECRET_KEY": SECRET,
            "CHAT_RATE_LIMIT": "off",
            "PYTHONPATH": f"{tree or REPO}:{Path(__file__).parent}",
        }
        place = tree or REPO
        worker = ("--worker-class", options.worker_class)
        super().__init__(app, env=env, port=port, options=worker, cwd=place, config=place / "hypercorn.toml")
        self._command[0] = str(options.python.with_name("hypercorn"))

    def cpu(self) -> float:
        return sum(map(cpu, self.pids))

    def objects(self) -> int:
        """How many its garbage collector looks at; its app is MEASURED."""
        said = self.log.count("objects=")
        os.kill(self.workers[0], signal.SIGUSR2)
        self.wait_for_log("objects=", count=said + 1)
        return int(self.log.rpartition("objects=")[2].split()[0])


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used, all its threads together."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass(frozen=True, slots=True)
class Use:
    """What a stretch of time brought and cost."""

    wall: float
    cpu: float
    client: float  # of it, the client's

    @property
    def busy(self) -> str:
        return f"server {self.cpu / self.wall:.0%}, client {self.client / self.wall:.0%} of a core"


class Meter:
    def __init__(self, cpu: Callable[[], float]) -> None:
        self._cpu = cpu
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), self._cpu(), time.process_time()

    def read(self) -> Use:
        now = self._now()
        return Use(*(after - before for after, before in zip(now, self._start, strict=True)))


@contextmanager
def database(options: Options) -> Iterator[Path]:
    """A place for a database, on a disk and not in memory."""
    with TemporaryDirectory(prefix="chat-bench-", dir=options.folder) as folder:
        yield Path(folder) / "chat.db"


def sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


async def seats(url: str, rooms: int, members: int, first: int = 0) -> list[list[Ticket]]:
    """Rooms full of people, straight into the store; each may come in with their ticket."""
    store, identities = store_for(url), Identities(SECRET)
    await store.open()
    with_room = [
        f"{number:08d}".translate(str.maketrans("01", "BC")) for number in range(first, first + rooms)
    ]
    await asyncio.gather(*(calls.open_room(store, code) for code in with_room))

    async def seat(code: str, number: int) -> Member:
        return await calls.take_seat(store, code, identities.new(), f"Member {number}")

    taken = [await asyncio.gather(*(seat(code, n) for n in range(members))) for code in with_room]
    heads = await calls.heads(store, with_room)
    await store.close()
    return [[ticket(identities, member, heads[member.code]) for member in room] for room in taken]


def ticket(identities: Identities, member: Member, head: Position) -> Ticket:
    return Ticket(member.code, identities.sign(member.person), head.epoch, head.rev)


@asynccontextmanager
async def baseline(options: Options, name: str, *args: str) -> AsyncIterator[tuple[int, Callable[[], float]]]:
    """Another server of this package in a process of its own: its port and its processor time."""
    port = free_port()
    command = [str(options.python), "-m", f"tests.bench.{name}", str(port), *args]
    process = subprocess.Popen(command, cwd=REPO, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        await answers(port, process)
        yield port, lambda: cpu(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


async def answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with closing(socket.socket()) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if process.poll() is not None:
            break
        await asyncio.sleep(0.05)
    raise RuntimeError("the baseline did not start: are the packages of the extra `bench` installed?")


@contextmanager
def profiled(options: Options, chat: Chat | None, name: str) -> Iterator[None]:
    """With --profile: py-spy watches the server's worker meanwhile."""
    if options.profile is None or chat is None:
        yield
        return
    out = options.profile / f"{name}-{options.worker_class}.txt"
    spy = Path(sys.executable).with_name("py-spy")
    command = [str(spy), "record", "-r", "200", "-f", "raw", "-o", str(out), "-p", str(chat.workers[0])]
    watcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.wait(20)


class Appender:
    """A process that does nothing but write to a store: see appends.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def ready(cls, options: Options, url: str, senders: int, seconds: float, name: str) -> Appender:
        words = ("-m", "tests.bench.appends", url, str(seconds), str(senders), name, options.worker_class)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            options.python, *words, cwd=REPO, stdin=pipe, stdout=pipe
        )
        assert process.stdout
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the store at {url} cannot be written")
        return cls(process)

    async def write(self) -> dict[str, float]:
        result: dict[str, float] = json.loads((await self._process.communicate(b"\n"))[0])
        return result


async def appended(
    options: Options, url: str, senders: int, seconds: float, name: str = "x"
) -> dict[str, float]:
    """What one process alone writes."""
    return await (await Appender.ready(options, url, senders, seconds, name)).write()
