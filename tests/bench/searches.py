"""How long a search takes, and what the index of words costs, on both databases."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import asyncpg
import calls
from postgres import Postgres

from chat.features.search import BUDGET, PAGE, find
from chat.model.members import Member
from chat.model.search import Query, parse_query
from chat.store import Store, store_for
from chat.store.search import FOREVER, span_of
from chat.store.word_index import index_rooms
from chat.turns import Turn

from .deployments import postgres
from .parts import Row
from .servers import Options, cpu, database, sqlite

ROOMS = 200
PEOPLE = 20  # of each
MENTIONING = 20
EVERY = 20_000  # ms between messages
CHARACTERS = "日月火水木金土山川田人口車門雨花草虫貝足手目耳心力刀糸竹米羽"
QUESTIONS = {
    "a common word": ('"w0"', '"w3"'),
    "a rare word": ('"w17{n}"', '"rare{n}"'),
    "two words": ('"w12" "w40"', '"w5" "w900"'),
    "a phrase": ('"w1 w2"', '"w30 w8"'),
    "two letters of a word": ("ra", "hi"),
    "the beginnings of two words": ("w12 w40", "rare1 w17", "w1 w2 rar"),
    "the beginning of a name": ("from:mem", "from:member1 w30"),
    "my own": ("from:me", "from:me w3"),
    "what mentions me": ("mentions:me", "mentions:me w1"),
    "Chinese characters": ("日月", "竹米羽", "花"),
    "who and when": ("from:member7", "from:member3 before:2026-11-01 w1"),
    "a link": ("has:link", "has:link w2"),
    "nothing at all": ('"nowhere{n}"', '"日日日日"'),
}


async def searches(options: Options) -> list[Row]:
    """s: searches in 200 rooms of a million messages, on both databases"""
    with database(options) as path, postgres(options) as (server, url):
        rows = await _searched(options, sqlite(path), 20, path)
        return [*rows, *await _searched(options, url, 50, server=server)]


async def _searched(
    options: Options, url: str, most: float, path: Path | None = None, server: Postgres | None = None
) -> list[Row]:
    name = "s SQLite" if path else "s PostgreSQL"
    messages = options.some(1_000_000)
    store = store_for(url)
    await store.open()
    members = await _people(store)
    await _fill(path, url, members, messages)
    before, used = await store.used(), time.process_time()
    await index_rooms(store, rest=0)
    used, size = time.process_time() - used, await store.used() - before
    server_used = _used_by(server)
    took = {
        question: await _asked(store, members, texts, options.some(100))
        for question, texts in QUESTIONS.items()
    }
    server_used = _used_by(server) - server_used
    await store.close()
    everything = [*itertools.chain.from_iterable(took.values())]
    walls, cpus = ([getattr(one, what) for one in everything] for what in ("wall", "cpu"))
    remark = f"PostgreSQL's own, mean: {server_used / len(cpus) * 1000:.2f} ms" if server else ""
    rows = [Row(f"{name}: {what}", _p95([one.wall for one in all]), "ms") for what, all in took.items()]
    return [
        Row(f"{name}: p95 of a search in {messages:,} messages", _p95(walls), "ms", most=most),
        Row(f"{name}: p95 of its CPU", _p95(cpus), "ms", most=most, remark=remark),
        *rows,
        Row(f"{name}: CPU to index a message", used / messages * 1e6, "µs"),
        Row(f"{name}: bytes of the index per message", size / messages),
    ]


class Took(NamedTuple):
    """s of a search; the processor time is that of the process which asks."""

    wall: float
    cpu: float


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)] * 1000


def _used_by(server: Postgres | None) -> float:
    return sum(map(cpu, server.pids())) if server else 0.0


async def _people(store: Store) -> list[Member]:
    """One of each room. Rooms are of very different sizes: see `_room`."""
    codes = [f"{number:08d}".translate(str.maketrans("01", "BC")) for number in range(ROOMS)]
    for code in codes:
        await calls.open_room(store, code)
    for number, code in itertools.product(range(1, PEOPLE), codes):
        await calls.take_seat(store, code, f"{code} {number}", f"Member{number}")
    return [await calls.take_seat(store, code, f"{code} 1", "Member1") for code in codes]


async def _asked(store: Store, members: Sequence[Member], texts: Sequence[str], times: int) -> list[Took]:
    chance, took = random.Random(7), []
    for number in range(times):
        member = members[_room(chance)]
        query = parse_query(texts[number % len(texts)].format(n=number))
        assert query
        start, used = time.perf_counter(), time.process_time()
        await _first_page(store, member, query)
        took.append(Took(time.perf_counter() - start, time.process_time() - used))
    return took


async def _first_page(store: Store, member: Member, query: Query) -> None:
    span = await store.read(span_of, member, 0, FOREVER)
    await find(store, member, query, span, PAGE + 1, Turn(BUDGET))


def _room(chance: random.Random) -> int:
    """The larger ones more often: the first has a twentieth of all messages, the last hardly any."""
    return min(int(ROOMS * chance.random() ** 2.2), ROOMS - 1)


def _written(messages: int) -> Iterator[tuple[int, int, int, str]]:
    """Room, id, author and text of each message; words are as often as in a language."""
    chance, last = random.Random(1), [0] * ROOMS
    for number in range(messages):
        room = _room(chance)
        last[room] += 1
        words = [f"w{int(30_000 ** chance.random()) - 1}" for _ in range(10)]
        if number % 10 == 0:
            words = ["".join(chance.choices(CHARACTERS, k=20))]
        elif number % 97 == 0:
            words += [f"rare{number}", "https://example.org/" + words[0]]
        yield room + 1, last[room], chance.randrange(1, PEOPLE), " ".join(words)


async def _fill(path: Path | None, url: str, members: Sequence[Member], messages: int) -> None:
    start = int(time.time() * 1000) - messages * EVERY // ROOMS
    rows = (
        (n, room, id + 1000, id + 1000, start + n * EVERY // ROOMS, author, text, _meta(n))
        for n, (room, id, author, text) in enumerate(_written(messages), 1)
    )
    if path:
        await asyncio.to_thread(_fill_sqlite, path, rows)
    else:
        await _fill_postgres(url, rows)


Rows = Iterator[tuple[int, int, int, int, int, int, str, str | None]]


def _meta(number: int) -> str | None:
    """One in twenty mentions somebody, and one in twenty of these the one who asks."""
    seat = number // MENTIONING % PEOPLE + 1
    return json.dumps({"mentions": [seat]}) if number % MENTIONING == 0 else None


def _fill_sqlite(path: Path, rows: Rows) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for n, room, id, rev, at, author, text, meta in rows:
            db.execute("INSERT INTO text (serial, body) VALUES (?, ?)", (n, text))
            db.execute(
                "INSERT INTO message (room, id, rev, at, author, text, meta) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (room, id, rev, at, author, n, meta),
            )
        db.execute(f"UPDATE room SET rev = {NEWEST}")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


NEWEST = "(SELECT coalesce(max(id), 1000) FROM message WHERE message.room = room.id)"


async def _fill_postgres(url: str, rows: Rows) -> None:
    db = await asyncpg.connect(url)
    columns = ["room", "id", "rev", "at", "author", "body", "meta"]
    await db.copy_records_to_table("message", records=(row[1:] for row in rows), columns=columns)
    await db.execute(f"UPDATE room SET rev = {NEWEST}")
    await db.execute("VACUUM ANALYZE")
    await db.close()


PARTS = {"s": searches}
