"""The two that are compared: one process on SQLite, and two nodes on PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from postgres import Postgres, running
from redis_server import RedisServer

from .client import Member, Sender, Ticket, Timed, connect_all, hang_up, total
from .servers import Chat, Options, database, seats, sqlite

NODES = 2


@contextmanager
def postgres(options: Options) -> Iterator[tuple[Postgres, str]]:
    """A server that writes through to the disk, and the URL of a database there."""
    with running(options.folder) as server:
        yield server, server.database()


@dataclass(slots=True)
class Deployment:
    """Running servers, and who may come in."""

    chats: list[Chat]
    tickets: list[list[Ticket]]
    redis: RedisServer | None = None

    def cpu(self) -> float:
        """Of the nodes alone: Redis and PostgreSQL have their own."""
        return sum(chat.cpu() for chat in self.chats)

    def rss(self) -> int:
        return sum(chat.rss() for chat in self.chats)


@asynccontextmanager
async def single(options: Options, rooms: int, people: int) -> AsyncIterator[Deployment]:
    with database(options) as path:
        tickets = await seats(sqlite(path), rooms, people)
        with Chat(options, sqlite(path)) as chat:
            yield Deployment([chat], tickets)


@asynccontextmanager
async def spread(options: Options, rooms: int, people: int) -> AsyncIterator[Deployment]:
    with ExitStack() as stack:
        _, url = stack.enter_context(postgres(options))
        redis = stack.enter_context(RedisServer(Path(stack.enter_context(TemporaryDirectory()))))
        tickets = await seats(url, rooms, people)
        nodes = [stack.enter_context(Chat(options, url, redis=redis.url)) for _ in range(NODES)]
        yield Deployment(nodes, tickets, redis)


@dataclass(slots=True)
class Crowd:
    """Everybody of a deployment, neighbours in a room on different nodes; the first of each room writes."""

    at: list[list[Member]]  # by node
    timed: bool  # the reader notes the time; it has to be `write` that sends
    senders: list[Sender] = field(default_factory=list)
    sent: list[array[float]] = field(default_factory=list)  # by room
    near: array[float] = field(
        default_factory=lambda: array("d")
    )  # s from sending to a member on the same node
    far: array[float] = field(default_factory=lambda: array("d"))  # … on another

    @classmethod
    async def gathered(cls, deployment: Deployment, timed: bool) -> Crowd:
        crowd = cls([[] for _ in deployment.chats], timed)
        for number, room in enumerate(deployment.tickets):
            crowd._place(number, room)
        for chat, members in zip(deployment.chats, crowd.at, strict=True):
            await connect_all(members, chat.port)
        return crowd

    def _place(self, number: int, room: Sequence[Ticket]) -> None:
        nodes, sent = len(self.at), array("d")
        sender = Sender(room[0])
        self.senders.append(sender)
        self.sent.append(sent)
        self.at[number % nodes].append(sender)
        for n, ticket in enumerate(room[1:], 1):
            took = self.far if n % nodes else self.near
            member = Timed(ticket, sent, took.append) if self.timed else Member(ticket)
            self.at[(number + n) % nodes].append(member)

    @property
    def members(self) -> list[Member]:
        return [member for members in self.at for member in members]

    async def write(self, rate: float, seconds: float) -> int:
        """So many texts a second, the rooms in turn; how many deliveries are due."""
        start, texts = time.perf_counter(), round(rate * seconds)
        for number in range(texts):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            room = number % len(self.senders)
            self.sent[room].append(time.perf_counter())
            self.senders[room].say()
        return texts * (len(self.members) // len(self.senders))

    def delivered(self) -> int:
        return total(self.members)

    def hang_up(self) -> None:
        hang_up(self.members)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What Redis did, so far or in a stretch of time."""

    publications: float = 0
    commands: float = 0
    received: float = 0  # bytes
    sent: float = 0  # bytes
    cpu: float = 0  # s

    @classmethod
    def now(cls, redis: RedisServer) -> Traffic:
        info = redis.ask("INFO", "everything")
        commands = {name: told["calls"] for name, told in info.items() if name.startswith("cmdstat_")}
        return cls(
            commands.get("cmdstat_spublish", 0),
            sum(commands.values()),
            info["total_net_input_bytes"],
            info["total_net_output_bytes"],
            info["used_cpu_sys"] + info["used_cpu_user"],
        )

    def since(self, before: Traffic) -> Traffic:
        return Traffic(*(getattr(self, name) - getattr(before, name) for name in self.__slots__))

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def memory(redis: RedisServer) -> int:
    """Bytes in use, what its clients' buffers take left out."""
    info = redis.ask("INFO", "memory")
    return int(info["used_memory"] - info["mem_clients_normal"])
