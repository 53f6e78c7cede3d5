"""What is measured of the cluster: two nodes on PostgreSQL and Redis, against one process in the same run.

Both are up together and take turns in short slices, so that what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from postgres import Postgres

from .client import Member, Ticket, connect_all, hang_up
from .deployments import Crowd, Deployment, Traffic, memory, postgres, single, spread
from .parts import SETTLE, Row, until
from .servers import Appender, Meter, Options, appended, database, profiled, seats, sqlite

SENDERS = (1, 10, 100)
COUNT = re.compile(rb'class="count">(\d+)<')
PINGS = 20  # s in which every connection is pinged once: see hypercorn.toml


# h: the stores alone ----------------------------------------------------------------------------------


async def stores(options: Options) -> list[Row]:
    """h: the stores alone, PostgreSQL against SQLite; 1, 10 and 100 senders, and 100 on each of two nodes"""
    with database(options) as path, postgres(options) as (server, url):
        rounds = [await _round(options, sqlite(path), url, n) for n in range(1 if options.quick else 2)]
        runs = {key: _together([told[key] for told in rounds]) for key in rounds[0]}
        rows = list(chain.from_iterable(_stores(runs, senders) for senders in SENDERS))
        two, one = runs["two", 100], runs["sqlite", 100]
        name = "h PostgreSQL, 100 senders on each of two nodes:"
        return [
            *rows,
            Row(f"{name} appends per s", two["rate"], "", one["rate"]),
            Row(f"{name} p99", two["p99"] * 1000, "ms", one["p99"] * 1000),
            await _on_disk(path, server, url, runs),
        ]


Told = dict[tuple[str, int], dict[str, float]]


async def _round(options: Options, lite: str, url: str, number: int) -> Told:
    """Every store with every crowd once, neighbours in time where they are compared."""
    told: Told = {}
    seconds = options.seconds(2.5)
    for senders in SENDERS:
        name = f"{number}.{senders}"
        told["sqlite", senders] = await appended(options, lite, senders, seconds, name)
        told["postgres", senders] = await appended(options, url, senders, seconds, name)
    nodes = [await Appender.ready(options, url, 100, seconds, f"{number}.node{n}") for n in (1, 2)]
    results = await asyncio.gather(*(node.write() for node in nodes))
    told["two", 100] = _beside(results)
    return told


def _beside(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of processes that ran at the same time."""
    worst = {name: max(result[name] for result in results) for name in results[0]}
    return worst | {name: sum(result[name] for result in results) for name in ("rate", "count")}


def _together(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of several rounds."""
    mean = {name: sum(result[name] for result in results) / len(results) for name in results[0]}
    return mean | {"count": sum(result["count"] for result in results)}


def _stores(runs: Told, senders: int) -> list[Row]:
    ours, lite = runs["postgres", senders], runs["sqlite", senders]
    name = f"h PostgreSQL, {senders} {'sender' if senders == 1 else 'senders'}:"
    p50 = f"p50 {ours['p50'] * 1000:.1f} ms, SQLite {lite['p50'] * 1000:.1f} ms"
    rows = [
        Row(f"{name} appends per s", ours["rate"], "", lite["rate"]),
        Row(f"{name} p99", ours["p99"] * 1000, "ms", lite["p99"] * 1000, remark=p50),
        Row(f"{name} node CPU per append", ours["cpu"] * 1e6, "µs", lite["cpu"] * 1e6),
    ]
    if senders == 100:
        rows.append(Row(f"{name} appends per s, the target", ours["rate"], "", least=3000))
    return rows


async def _on_disk(path: Path, server: Postgres, url: str, runs: Told) -> Row:
    """Bytes that a message of sixty characters takes, its one-time key with it."""
    theirs = sum(told["count"] for (store, _), told in runs.items() if store == "sqlite")
    ours = sum(told["count"] for (store, _), told in runs.items() if store != "sqlite")
    size = await asyncio.to_thread(_size, server, url)
    return Row("h bytes on disk per message", size / ours, "", path.stat().st_size / theirs)


def _size(server: Postgres, url: str) -> int:
    tables = "('room'), ('seat'), ('message'), ('idempotency_key')"
    sizes = f"SELECT sum(pg_total_relation_size(name::regclass)) FROM (VALUES {tables}) AS own (name)"
    return int(server.sql(sizes, url.rpartition("/")[2]))


# i, j: the way of a message ----------------------------------------------------------------------------


@dataclass(slots=True)
class Sum:
    """What one of the two deployments did and cost in all its slices."""

    deliveries: int = 0
    messages: float = 0
    wall: float = 0
    cpu: float = 0
    client: float = 0
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def each(self) -> float:
        """µs of the nodes' processor time per delivery."""
        return self.cpu / self.deliveries * 1e6

    @property
    def busy(self) -> str:
        return f"nodes {self.cpu / self.wall:.0%}, client {self.client / self.wall:.0%} of a core"


Slice = Callable[[Crowd], Awaitable[None]]


@asynccontextmanager
async def _both(
    options: Options, rooms: int, people: int, timed: bool
) -> AsyncIterator[list[tuple[Deployment, Crowd]]]:
    """One process, then two nodes; the same rooms and people in each."""
    async with AsyncExitStack() as stack:
        pair = []
        for kind in (single, spread):
            deployment = await stack.enter_async_context(kind(options, rooms, people))
            crowd = await Crowd.gathered(deployment, timed)
            stack.callback(crowd.hang_up)
            pair.append((deployment, crowd))
        await asyncio.sleep(SETTLE)
        yield pair


async def _in_turns(pair: Sequence[tuple[Deployment, Crowd]], turns: int, work: Slice) -> list[Sum]:
    sums = [Sum() for _ in pair]
    for _ in range(turns):
        for (deployment, crowd), total in zip(pair, sums, strict=True):
            await _measured(deployment, crowd, total, work)
    return sums


async def _measured(deployment: Deployment, crowd: Crowd, total: Sum, work: Slice) -> None:
    redis = deployment.redis
    before = Traffic.now(redis) if redis else Traffic()
    deliveries, meter = crowd.delivered(), Meter(deployment.cpu)
    await work(crowd)
    use, delivered = meter.read(), crowd.delivered() - deliveries
    total.deliveries += delivered
    total.messages += delivered / (len(crowd.members) / len(crowd.senders))
    total.wall, total.cpu, total.client = (
        total.wall + use.wall,
        total.cpu + use.cpu,
        total.client + use.client,
    )
    if redis:
        total.traffic += Traffic.now(redis).since(before)


async def across(options: Options) -> list[Row]:
    """i: 100 texts a second to rooms of 10 and of 100, 10 to a room of 1,000, half of each on another node"""
    return [
        *await _across(options, options.some(50), 10, 100),
        *await _across(options, 5, 100, 100),
        *await _across(options, 1, options.some(1000), 10),
    ]


async def _across(options: Options, rooms: int, people: int, pace: int) -> list[Row]:
    seconds = options.seconds(3)
    missing = 0

    async def paced(crowd: Crowd) -> None:
        nonlocal missing
        goal = crowd.delivered() + await crowd.write(pace, seconds)
        await until(lambda: crowd.delivered() >= goal, 5)
        missing += goal - crowd.delivered()

    async with _both(options, rooms, people, timed=True) as pair:
        (_, alone), (deployment, crowd) = pair
        with profiled(options, deployment.chats[0], f"i{people}"):
            one, two = await _in_turns(pair, 3, paced)
        idle = await asyncio.gather(*(_idle(deployment, options.seconds(6)) for deployment, _ in pair))
    name = f"i {rooms} rooms × {people}, {pace} a second:"
    ours, base = sorted(crowd.far), sorted(alone.near)
    near = _at(sorted(crowd.near), 0.99)
    return [
        Row(f"{name} p50 to another node", _at(ours, 0.5), "ms", _at(base, 0.5)),
        Row(f"{name} p99 to another node", _at(ours, 0.99), "ms", _at(base, 0.99)),
        Row(f"{name} p99 to another node, against its own", _at(ours, 0.99), "ms", near),
        Row(
            f"{name} p99 to another node, the target",
            _at(ours, 0.99),
            "ms",
            most=50,
            remark=f"{missing} missing",
        ),
        Row(f"{name} node CPU per delivery", two.each, "µs", one.each, most=1.1, remark=two.busy),
        Row(f"{name} node CPU while nobody writes", idle[1] * 100, "% of a core", idle[0] * 100),
        *_traffic(name, two),
    ]


def _at(latency: Sequence[float], share: float) -> float:
    """A percentile, in ms."""
    return latency[int(len(latency) * share)] * 1000


async def _idle(deployment: Deployment, seconds: float) -> float:
    meter = Meter(deployment.cpu)
    await asyncio.sleep(seconds)
    use = meter.read()
    return use.cpu / use.wall


def _traffic(name: str, two: Sum) -> list[Row]:
    told, messages = two.traffic, two.messages
    hints, others = told.publications / two.wall, (told.commands - told.publications) / two.wall
    return [
        Row(f"{name} publications per message", told.publications / messages),
        Row(
            f"{name} Redis bytes per message",
            (told.received + told.sent) / messages,
            remark=f"{told.received / messages:.0f} in, {told.sent / messages:.0f} out",
        ),
        Row(
            f"{name} Redis CPU",
            told.cpu / two.wall * 100,
            "% of a core",
            remark=f"{hints:.0f} publications, {others:.0f} other commands a second",
        ),
    ]


async def saturated(options: Options) -> list[Row]:
    """j: 200 rooms of 6 on two nodes, a sender in each, with 1 and with 10 texts on their way"""
    rooms, people, seconds = options.some(200), 6, options.seconds(3)
    rows = []
    async with _both(options, rooms, people, timed=False) as pair:
        for window in (1, 10):

            async def flood(crowd: Crowd, window: int = window) -> None:
                for sender in crowd.senders:
                    sender.keep(window)
                await asyncio.sleep(seconds)
                for sender in crowd.senders:
                    sender.keep(0)
                await _silence(crowd)

            with profiled(options, pair[1][0].chats[0], f"j{window}"):
                one, two = await _in_turns(pair, 2, flood)
            name = f"j {rooms} rooms × {people}, window {window}:"
            rate, other = two.messages / two.wall, one.messages / one.wall
            rows += [
                Row(f"{name} messages per s", rate, "", other, remark=two.busy),
                Row(f"{name} node CPU per delivery", two.each, "µs", one.each),
                *_traffic(name, two),
            ]
    return rows


async def _silence(crowd: Crowd) -> None:
    """Until what was sent has arrived everywhere."""
    people = len(crowd.members) // len(crowd.senders)

    def silent() -> bool:
        texts = sum(sender.texts for sender in crowd.senders)
        return not any(s.outstanding for s in crowd.senders) and crowd.delivered() == texts * people

    await until(silent, 10)


# k: presence -------------------------------------------------------------------------------------------


class Watcher(Member):
    """Notes how many people the roster shows."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket)
        self.people = 0
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen = self._seen[-64:] + data
        if counts := COUNT.findall(self._seen):
            self.people = int(counts[-1])
        super().data_received(data)


async def presence(options: Options) -> list[Row]:
    """k: 3,000 people in one room come in; on two nodes, of which one dies, against one process"""
    people = options.some(3000)
    async with single(options, 1, people) as one, spread(options, 1, people) as two:
        assert two.redis
        empty = memory(two.redis)
        alone, ours = await _entered(one, people), await _entered(two, people)
        await asyncio.sleep(SETTLE)
        size = memory(two.redis) - empty
        await asyncio.gather(_stay(one, alone), _stay(two, ours))
        gone, node, start = len(ours.at[1]), two.chats[1], time.perf_counter()
        await asyncio.to_thread(node.kill)
        left = await until(lambda: ours.watchers[0].people == people - gone, 30)
        took = time.perf_counter() - start
        hang_up(chain.from_iterable(alone.at + ours.at))
    told, come, wall = ours.traffic, ours.coming, ours.wall
    name = f"k {people} people:"
    busy = f"Redis {come.cpu / ours.shown:.0%} of a core, {come.commands / ours.shown:.0f} commands a second"
    rate = f"{ours.connections:.0f} connections a second, one process {alone.connections:.0f}"
    return [
        Row(f"{name} all came in, and every roster shows all", ours.shown, "s", alone.shown, remark=rate),
        Row(f"{name} the last came in, until every roster shows all", ours.late, "s", alone.late),
        Row(f"{name} CPU to come in", ours.spent, "s", alone.spent),
        Row(f"{name} Redis bytes for each to come in", (come.received + come.sent) / people, remark=busy),
        Row(f"{name} node CPU while they stay", ours.idle * 100, "% of a core", alone.idle * 100),
        Row(f"{name} Redis memory of each", size / people, "bytes"),
        Row(f"{name} Redis commands a second while they stay", told.commands / wall),
        Row(f"{name} Redis CPU while they stay", told.cpu / wall * 100, "% of a core"),
        Row(
            f"{name} a node is killed: its people are gone after",
            took,
            "s",
            most=16,
            remark="" if left else f"NOT GONE: {ours.watchers[0].people} of {people - gone}",
        ),
    ]


@dataclass(slots=True)
class Entry:
    """How a crowd came in, and what it costs to have it."""

    at: list[list[Member]]
    watchers: list[Watcher]
    connections: float = 0  # a second
    shown: float = 0  # s from the first to come until every roster shows all
    late: float = 0  # s of it, after the last had come
    spent: float = 0  # s of processor time
    coming: Traffic = field(default_factory=Traffic)  # meanwhile
    idle: float = 0  # cores
    wall: float = 0  # s of the idle stretch
    traffic: Traffic = field(default_factory=Traffic)


async def _entered(deployment: Deployment, people: int) -> Entry:
    at: dict[int, list[Member]] = defaultdict(list)
    nodes = len(deployment.chats)
    for n, ticket in enumerate(deployment.tickets[0]):
        at[n % nodes].append(Watcher(ticket) if n < nodes else Member(ticket))
    watchers = [member for n in range(nodes) for member in at[n][:1] if isinstance(member, Watcher)]
    entry = Entry([at[n] for n in range(nodes)], watchers)
    before = Traffic.now(deployment.redis) if deployment.redis else Traffic()
    start, used = time.perf_counter(), deployment.cpu()
    pairs = zip(deployment.chats, entry.at, strict=True)
    await asyncio.gather(*(connect_all(members, chat.port) for chat, members in pairs))
    came = time.perf_counter()
    if not await until(lambda: all(watcher.people == people for watcher in watchers), 40):
        raise TimeoutError(f"the rosters show {[watcher.people for watcher in watchers]} of {people}")
    now = time.perf_counter()
    entry.connections, entry.shown, entry.late = people / (came - start), now - start, now - came
    entry.spent = deployment.cpu() - used
    if deployment.redis:
        entry.coming = Traffic.now(deployment.redis).since(before)
    return entry


async def _stay(deployment: Deployment, entry: Entry) -> None:
    before = Traffic.now(deployment.redis) if deployment.redis else Traffic()
    start = time.perf_counter()
    entry.idle = await _idle(deployment, PINGS)
    entry.wall = time.perf_counter() - start
    if deployment.redis:
        entry.traffic = Traffic.now(deployment.redis).since(before)


# l: idle rooms ------------------------------------------------------------------------------------------


async def idle_rooms(options: Options) -> list[Row]:
    """l: 1,000 rooms of one idle member against one room of 1,000; and what a room takes of each store"""
    many = options.some(1000)
    async with spread(options, many, 1) as two:
        assert two.redis
        apart, remembered = await _occupied(two), memory(two.redis)
        remembered -= await _emptied(two)
    async with spread(options, 1, many) as two:
        shared = await _occupied(two)
    lite, ours = await _stored(options, many)
    name = f"l {many} idle rooms of one:"
    return [
        Row(f"{name} node memory of each, its connection with it", apart / 1024, "KiB", shared / 1024),
        Row(f"{name} node memory of each, its connection apart", (apart - shared) / 1024, "KiB"),
        Row(f"{name} Redis memory of each", remembered / many, "bytes"),
        Row(f"{name} bytes on disk of each, PostgreSQL against SQLite", ours / many, "", lite / many),
    ]


async def _occupied(deployment: Deployment) -> float:
    """Bytes of node memory that each more connection takes; everybody stays connected."""
    tickets = list(chain.from_iterable(deployment.tickets))
    members = [Member(ticket) for ticket in tickets]
    nodes = len(deployment.chats)
    warm = nodes * 10
    for chat, n in zip(deployment.chats, range(nodes), strict=True):
        await connect_all(members[n:warm:nodes], chat.port)
    await asyncio.sleep(SETTLE / 2)
    before = deployment.rss()
    for chat, n in zip(deployment.chats, range(nodes), strict=True):
        await connect_all(members[warm + n :: nodes], chat.port)
    await asyncio.sleep(SETTLE)
    return (deployment.rss() - before) / (len(members) - warm)


async def _emptied(deployment: Deployment) -> int:
    """Redis's memory once it has forgotten everything."""
    assert deployment.redis
    deployment.redis.ask("FLUSHALL")
    return memory(deployment.redis)


async def _stored(options: Options, rooms: int) -> tuple[int, int]:
    """Bytes of that many more rooms of one in SQLite and in PostgreSQL."""
    with database(options) as path, postgres(options) as (server, url):
        sizes = []
        for first, count in ((0, 10), (10, rooms)):
            await seats(sqlite(path), count, 1, first)
            await seats(url, count, 1, first)
            sizes.append((path.stat().st_size, await asyncio.to_thread(_size, server, url)))
    (lite, ours), (lite_then, ours_then) = sizes
    return lite_then - lite, ours_then - ours


PARTS = {
    "h": stores,
    "i": across,
    "j": saturated,
    "k": presence,
    "l": idle_rooms,
}
