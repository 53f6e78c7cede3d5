"""What it costs to tell people on pages of one room what is unread in another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import calls

from chat.store import store_for
from chat.visitors import Identities

from .client import Member, Sender, Ticket, connect_all, hang_up
from .parts import SETTLE, Row
from .servers import SECRET, Chat, Options, database, sqlite, ticket
from .talk import Side, in_turns

PEOPLE, WINDOW = 200, 20
ROOMS = BUSY, QUIET, ALONE = "BCDFGHJK", "CDFGHJKM", "DFGHJKMN"


async def elsewhere(options: Options) -> list[Row]:
    """y: a room of 200, one sender with 20 texts on their way, and all of them have a page in another room"""
    async with _side(options, True) as there, _side(options, False) as alone:
        await in_turns((there, alone), WINDOW, options.seconds(16))
    name = f"y deliveries per CPU s, {PEOPLE} people with a page elsewhere"
    return [Row(name, there.rate, "", alone.rate, least=0.9, remark="compared to as many pages of others")]


async def _tickets(url: str) -> list[list[Ticket]]:
    """Of the same people in two rooms, and of others in a third one."""
    store, identities = store_for(url), Identities(SECRET)
    await store.open()
    await asyncio.gather(*(calls.open_room(store, code) for code in ROOMS))
    people, others = ([identities.new() for _ in range(PEOPLE)] for _ in range(2))
    seats = [
        [await calls.take_seat(store, code, person, f"Member {n}") for n, person in enumerate(some)]
        for code, some in ((BUSY, people), (QUIET, people), (ALONE, others))
    ]
    heads = await calls.heads(store, ROOMS)
    await store.close()
    return [[ticket(identities, member, heads[member.code]) for member in room] for room in seats]


@asynccontextmanager
async def _side(options: Options, there: bool) -> AsyncIterator[Side]:
    with database(options) as path:
        busy, quiet, strangers = await _tickets(sqlite(path))
        with Chat(options, sqlite(path)) as chat:
            sender = Sender(busy[0])
            members = [sender, *map(Member, busy[1:])]
            pages = [*members, *map(Member, quiet if there else strangers)]
            await connect_all(pages, chat.port)
            await asyncio.sleep(SETTLE)
            yield Side(chat.port, chat.cpu, [sender], members)
            hang_up(pages)


PARTS = {"y": elsewhere}
