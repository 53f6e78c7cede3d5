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
from unittest.mock import patch

import calls
from postgres import the_server

from chat.model.drafts import Note
from chat.model.messages import Amendment, Delete, Edit
from chat.model.rooms import Position
from chat.store import NO_ROOM, Store, drafts, store_for

ROOM = "BCDFGHJK"
OTHER = "22222222"
EMPTY = "33333333"
CODES = [ROOM, OTHER, EMPTY]
BEGUN = "hello", "x" * 8192, "日本語 👩‍👩‍👧\n", "two"
CHANGES: list[Amendment] = [Delete(), Edit("edited")]

Place = Callable[[], str]  # makes URLs of empty stores


@asynccontextmanager
async def opened(url: str) -> Any:
    store = store_for(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def begun(code: str) -> list[Note]:
    return [Note(code, n % 3 + 1, f"page-{n}", text) for n, text in enumerate(BEGUN)]


async def fill(url: str, messages: int = 60) -> None:
    dice = random.Random(1)
    async with opened(url) as store:
        await calls.get_or_set(store, "key", "fingerprint")
        for code in CODES:
            await calls.open_room(store, code)
        for n, name in enumerate(["Ian", "lan", "Иван", "a\u200db"]):
            for code in (ROOM, OTHER):
                seat = await calls.take_seat(store, code, f"person-{n}", name)
                await calls.announce(store, code, "entered", [seat.number])
        with patch("chat.model.notices.FOLD_AGE", -1):  # as if it were later
            await calls.end_seat(store, ROOM, "person-3")
        texts = ["a\0b\x1a1", "👩‍👩‍👧", "'; DROP", "x" * 5000, "\n"]
        for code in (ROOM, OTHER):
            work = (store.append(code, 1 + n % 3, f"Key {n}", dice.choice(texts)) for n in range(messages))
            await store.write(NO_ROOM, drafts.save, begun(code))
            for done in await asyncio.gather(*work):
                if dice.random() < 0.2:
                    change = dice.choice(CHANGES)
                    await calls.amend(store, code, done.message.id, change)


async def everything(store: Store) -> list[Any]:
    """All that the interface tells."""
    people = [f"person-{n}" for n in range(4)]
    epochs = await calls.heads(store, CODES)
    return [
        await calls.get_or_set(store, "key", "another fingerprint"),
        *[await calls.find_room(store, code) for code in CODES],
        *[await calls.history(store, code, limit=100_000) for code in CODES],
        *[await calls.changes(store, code, Position(epochs[code].epoch, 1)) for code in (ROOM, OTHER)],
        *[await calls.earlier_texts(store, ROOM, id) for id in range(epochs[ROOM].rev + 1)],
        *[await calls.find_seat(store, code, p) for code in CODES for p in people],
        *[await calls.seats_of(store, code, p) for code in CODES for p in people],
        await calls.present(store),
        *[await store.read(drafts.drafts_of, code, seat) for code in CODES for seat in range(1, 4)],
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


class Interrupted(Exception): ...


def after(lines: int) -> Callable[[str], None]:
    """Interrupts once that many lines were said, unless it is the last one."""
    said = itertools.count(1)

    def say(line: str) -> None:
        if next(said) == lines and not line.startswith("All is well"):
            raise Interrupted(line)

    return say
