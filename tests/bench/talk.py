"""The way of a message in small rooms and in one large room, in turns with what it is compared to."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from .client import BODY, Member, Sender, Ticket, connect_all, framed, hang_up, total
from .parts import SETTLE, Row, serving
from .servers import Meter, Options, Use, baseline

KEYS = itertools.count()


class Bot(Sender):
    """A client of its own: every text has a key of its own, and none is counted."""

    def _message(self, number: int) -> bytes:
        return framed(json.dumps({"key": f"bot {next(KEYS)}", "body": BODY}).encode())


class Weighed(Member):
    """Counts the bytes that come."""

    weight = 0

    def data_received(self, data: bytes) -> None:
        self.weight += len(data)
        super().data_received(data)


@dataclass(slots=True)
class Side:
    """One of two servers with the same load."""

    port: int
    cpu: Callable[[], float]
    senders: Sequence[Sender]
    members: Sequence[Member]
    deliveries: int = 0
    used: float = 0.0
    wall: float = 0.0

    def forget(self) -> None:
        self.deliveries, self.used, self.wall = 0, 0.0, 0.0

    @property
    def rate(self) -> float:
        return self.deliveries / self.used

    async def talk(self, window: int, seconds: float) -> None:
        """Every sender keeps `window` texts on their way for a while."""
        for sender in self.senders:
            sender.keep(window)
        await asyncio.sleep(0.4)
        before, meter = total(self.members), Meter(self.cpu)
        await asyncio.sleep(seconds)
        use = meter.read()
        self.deliveries += total(self.members) - before
        self.used, self.wall = self.used + use.cpu, self.wall + use.wall
        for sender in self.senders:
            sender.keep(0)
        await asyncio.sleep(0.7)


async def in_turns(sides: Sequence[Side], window: int, seconds: float, turns: int = 4) -> None:
    """A busy neighbour disturbs both alike, and each is the first in every other turn."""
    for side in sides:
        side.forget()
    for turn in range(turns):
        for side in reversed(sides) if turn % 2 else sides:
            await side.talk(window, seconds / turns)


@asynccontextmanager
async def _sides(
    options: Options,
    other: str,
    args: Sequence[str],
    rooms: int,
    people: int,
    senders: int,
    kind: type[Sender],
) -> AsyncIterator[tuple[Side, Side]]:
    """The chat and what it is compared to, in the rooms of each so many who write."""
    async with AsyncExitStack() as stack:
        chat, tickets = await stack.enter_async_context(serving(options, rooms, people))
        port, cpu = await stack.enter_async_context(baseline(options, other, *args))
        others = [[Ticket(str(room))] * people for room in range(rooms)]
        sides = []
        for at, meter, where in ((chat.port, chat.cpu, tickets), (port, cpu, others)):
            who = [kind(ticket) for room in where for ticket in room[:senders]]
            members = [*who, *(Member(ticket) for room in where for ticket in room[senders:])]
            await connect_all(members, at)
            stack.callback(hang_up, members)
            sides.append(Side(at, meter, who, members))
        await asyncio.sleep(SETTLE)
        yield sides[0], sides[1]


async def many_rooms(options: Options) -> list[Row]:
    """c: 400 rooms of 5, a sender in each, with 1 and with 10 texts on their way, under one key and many"""
    rooms, people, seconds, rows = options.some(400), 5, options.seconds(6), []
    for kind, key, targets in ((Sender, "", {1: 1.0, 10: 1.5}), (Bot, ", fresh keys", {1: 0.8})):
        async with _sides(options, "starlette_app", (), rooms, people, 1, kind) as (ours, theirs):
            for window, least in targets.items():
                await in_turns((ours, theirs), window, seconds)
                name = f"c {rooms} rooms × {people}{key}, window {window}:"
                rows.append(Row(f"{name} deliveries per CPU s", ours.rate, "", theirs.rate, least))
                per_s, others = (side.deliveries / side.wall / people for side in (ours, theirs))
                rows.append(Row(f"{name} messages per s", per_s, "", others))
    return rows


async def one_room(options: Options) -> list[Row]:
    """m: one room of 200: a page, a bot with fresh keys, twenty who talk; beside raw sockets"""
    people, seconds, rows = 200, options.seconds(6), []
    loads = (("a page", Sender, 1, 20, 2.0), ("a bot", Bot, 1, 20, 1.5), ("twenty talk", Sender, 20, 1, 2.3))
    size = await _weight(options)
    for name, kind, senders, window, least in loads:
        async with _sides(options, "raw", (str(round(size)),), 1, people, senders, kind) as sides:
            await in_turns(sides, window, seconds)
            title = f"m {name}, 1 room × {people}: deliveries per CPU s"
            rows.append(Row(title, sides[0].rate, "", sides[1].rate, least))
    return [*rows, Row("m bytes on the wire, a text of 60 to each", size, "", len(BODY))]


async def _weight(options: Options) -> float:
    """Bytes that each reader gets for a text, frames and all, those of presence left out."""
    async with serving(options, 1, 2) as (chat, tickets):
        sender, reader = Sender(tickets[0][0]), Weighed(tickets[0][1])
        await connect_all([sender, reader], chat.port)
        await asyncio.sleep(SETTLE)
        sender.keep(1)
        await asyncio.sleep(0.5)
        texts, weight = reader.texts, reader.weight
        await asyncio.sleep(1)
        result = (reader.weight - weight) / (reader.texts - texts)
        hang_up([sender, reader])
    return result


async def small_talk(options: Options) -> list[Row]:
    """n: 400 rooms of 5 in which 300 texts a second come as they do, each alone; beside Starlette"""
    rooms, people, seconds = options.some(400), 5, options.seconds(12)
    async with _sides(options, "starlette_app", (), rooms, people, 1, Sender) as sides:
        results = [await _poisson(side, people, rooms * 0.75, seconds) for side in sides]
    (latency, use), (other_latency, _) = results
    each, others = (use.cpu / len(took) * 1e6 * people for took, use in results)
    return [
        Row(f"n {rooms} rooms, each text alone: CPU of Starlette's", others, "µs", each, 0.6),
        Row("n p99 from sender to member", latency[int(len(latency) * 0.99)] * 1000, "ms", most=20),
        Row("n longest", latency[-1] * 1000, "ms", other_latency[-1] * 1000, remark=use.busy),
    ]


async def _poisson(side: Side, people: int, rate: float, seconds: float) -> tuple[list[float], Use]:
    """Latencies, and what it cost. A room has one text on its way at a time, so that each is known."""
    took, dice = array("d"), random.Random(1)
    sent: dict[Sender, float] = {}
    rooms = len(side.senders)
    readers = side.members[rooms:]
    for number, sender in enumerate(side.senders):
        for member in readers[number * (people - 1) : (number + 1) * (people - 1)]:
            member.arrived = lambda texts, sender=sender: took.append(time.perf_counter() - sent[sender])  # type: ignore[method-assign, misc]
    meter, due = Meter(side.cpu), time.perf_counter()
    end = due + seconds
    while due < end:
        due += dice.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sender = dice.choice(side.senders)
        if sender.outstanding <= 0:
            sent[sender] = time.perf_counter()
            sender.say()
    await asyncio.sleep(0.3)
    use = meter.read()
    return sorted(took), use


PARTS = {"c": many_rooms, "m": one_room, "n": small_talk}
