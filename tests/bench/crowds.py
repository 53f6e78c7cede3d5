"""What many open pages cost the server that does nothing for them, and what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain

from .client import Member, Ticket, connect_all, hang_up
from .parts import SETTLE, Row
from .servers import MEASURED, Chat, Meter, Options, database, seats, sqlite

PEOPLE = 30  # of a room
ROUNDS = 3
GRACE = 13.0  # s until those who went are announced
KIB, MIB = 1024, 1024 * 1024


async def idle(options: Options) -> list[Row]:
    """d: 3,000 connections that do nothing"""
    async with _serving(options) as (chat, tickets):
        members = list(map(Member, tickets))
        await connect_all(members[:1], chat.port)
        before, objects = chat.rss(), chat.objects()
        took = await connect_all(members[1:], chat.port)
        await asyncio.sleep(SETTLE)
        rss, meter = chat.rss(), Meter(chat.cpu)
        await asyncio.sleep(options.seconds(6))
        use, more = meter.read(), len(members) - 1
        objects = chat.objects() - objects
        hang_up(members)
    joins = f"{len(members) / took:.0f} connections a second"
    each = f"of each of {len(members)} idle connections"
    return [
        Row(f"d memory {each}", (rss - before) / more / KIB, "KiB", most=30, remark=joins),
        Row(f"d objects {each}", objects / more, "", most=120, remark="that the garbage collector looks at"),
        Row("d CPU of the idle server", use.cpu / use.wall * 100, "% of a core"),
    ]


async def rounds(options: Options) -> list[Row]:
    """o: three rounds of 3,000 who come and go"""
    after: list[tuple[int, int]] = []
    async with _serving(options) as (chat, tickets):
        for _ in range(ROUNDS):
            members = list(map(Member, tickets))
            await connect_all(members, chat.port)
            await asyncio.sleep(SETTLE)
            hang_up(members)
            await asyncio.sleep(GRACE)
            objects = chat.objects()  # after a collection
            after.append((chat.rss(), objects))
    (first, objects), (last, more) = after[0], after[-1]
    crowd = f"{ROUNDS} rounds of {len(tickets)} who come and go"
    remark = "; ".join(f"{rss / MIB:.0f} MiB" for rss, _ in after)
    left = (more - objects) / (ROUNDS - 1) / len(tickets)
    return [
        Row(f"o memory after {crowd}", last / MIB, "MiB", first / MIB, most=1.05, remark=remark),
        Row("o objects that each leaves behind", left, "", most=1),
    ]


@asynccontextmanager
async def _serving(options: Options) -> AsyncIterator[tuple[Chat, Sequence[Ticket]]]:
    with database(options) as path:
        tickets = await seats(sqlite(path), options.some(100), PEOPLE)
        with Chat(options, sqlite(path), app=MEASURED) as chat:
            yield chat, list(chain.from_iterable(tickets))


PARTS = {"d": idle, "o": rounds}
