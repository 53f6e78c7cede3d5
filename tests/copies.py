"""Stores with something of everything in them, for the tests of copies."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from postgres import the_server

from chat.model.messages import Delete, Edit
from chat.model.rooms import Position
from chat.store import Store, store_for

ROOM = "BCDFGHJK"
OTHER = "22222222"
EMPTY = "33333333"
CODES = [ROOM, OTHER, EMPTY]

Place = Callable[[], str]  # makes URLs of empty stores


@asynccontextmanager
async def opened(url: str) -> Any:
    store = store_for(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fill(url: str, messages: int = 60) -> None:
    dice = random.Random(1)
    async with opened(url) as store:
        await store.get_or_set("key", "fingerprint")
        for code in CODES:
            await store.open_room(code)
        for n, name in enumerate(["Ian", "lan", "Иван", "a\u200db"]):
            for code in (ROOM, OTHER):
                seat = await store.take_seat(code, f"person-{n}", name)
                await store.announce(code, "entered", [seat.number])
        await store.end_seat(ROOM, "person-3")
        texts = ["a\0b\x1a1", "👩‍👩‍👧", "'; DROP", "x" * 5000, "\n"]
        for code in (ROOM, OTHER):
            work = (store.append(code, 1 + n % 3, f"Key {n}", dice.choice(texts)) for n in range(messages))
            for done in await asyncio.gather(*work):
                if dice.random() < 0.2:
                    change = dice.choice([Delete(), Edit("edited")])
                    await store.amend(code, done.message.id, None, f"{done.message.id}", change)


async def everything(store: Store) -> list[Any]:
    """All that the interface tells."""
    people = [f"person-{n}" for n in range(4)]
    epochs = await store.heads(CODES)
    return [
        await store.get_or_set("key", "another fingerprint"),
        *[await store.find_room(code) for code in CODES],
        *[await store.history(code, limit=100_000) for code in CODES],
        *[await store.changes(code, Position(epochs[code].epoch, 1)) for code in (ROOM, OTHER)],
        *[await store.find_seat(code, p) for code in CODES for p in people],
        *[await store.seats_of(code, p) for code in CODES for p in people],
        await store.here(),
        await store.append(ROOM, 1, "Key 0", "repeated"),
    ]


async def contents(url: str) -> list[Any]:
    async with opened(url) as store:
        return await everything(store)


def change(url: str, sql: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
            db.execute(sql)
    else:
        the_server().sql(sql, url.rpartition("/")[2])


def empty_places(folder: Path) -> dict[str, Place]:
    numbers = itertools.count()
    return {
        "sqlite": lambda: f"sqlite:///{folder}/{next(numbers)}.db",
        "postgres": lambda: the_server().database(),
    }
