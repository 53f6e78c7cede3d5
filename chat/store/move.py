"""`move-store`: a whole store copied into another, whatever database either of them is."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from chat.settings import Misconfigured
from chat.store import split_scheme
from chat.store.metadata import COPYING, HISTORY, IDENTITY
from chat.store.tables import ROOM, TABLES, Row, Table, Tables

CHUNK = 2000  # rows that share a commit
OWN = {IDENTITY, COPYING, HISTORY, "schema", "oldest"}  # metadata of one store only

Say = Callable[[str], object]


class NotMoved(Exception):
    """Why the copy is not complete, and what to do."""


async def move(source_url: str, target_url: str, say: Say) -> None:
    """Copy everything and check it; after an interruption, go on. Raises NotMoved, Misconfigured.

    The source keeps everything it has, and until all is copied and checked no server starts on the target.
    """
    source, target = tables_for(source_url, is_source=True), tables_for(target_url, is_source=False)
    try:
        async with opened(source), opened(target):
            await _begin(source, target, say)
            for table in TABLES:
                await _copy(source, target, table, say)
            await _copy_metadata(source, target)
            await _check(source, target, say)
            await source.finish()
            await target.finish()
            await target.set_metadata(COPYING, None)
    except (NotMoved, Misconfigured):
        raise
    except Exception as error:
        raise NotMoved(f"Interrupted: {error}. Run the same command again to go on from there.") from error
    say(
        f"All is well: {target.place} holds what {source.place} holds. "
        "Set CHAT_DATABASE_URL to it on every node. The old store was left as it was. "
        "People stay who they are as long as CHAT_SECRET_KEY stays what it was: if it was not set, it is in "
        "the .key file beside the SQLite file."
    )


async def forget(url: str, name: str) -> None:
    """Forget what a store knows of itself under a name; it is one that nobody uses. Raises Misconfigured."""
    tables = tables_for(url, is_source=True)
    async with opened(tables):
        await tables.set_metadata(name, None)
        await tables.finish()


def tables_for(url: str, is_source: bool) -> Tables:
    """The tables that a store's URL names. Raises Misconfigured."""
    scheme, rest = split_scheme(url)
    if scheme == "sqlite":
        from chat.store.sqlite.tables import SQLiteTables

        return SQLiteTables(rest.removeprefix("/"), is_source)
    if scheme in {"postgresql", "postgres"}:
        try:
            from chat.store.postgres.tables import PostgresTables
        except ModuleNotFoundError as error:
            raise Misconfigured(
                f"PostgreSQL needs {error.name}. Install it: pip install '.[cluster]'"
            ) from error

        return PostgresTables(url, is_source)
    raise Misconfigured(
        f"{scheme!r} is an unknown kind of database. "
        "Use sqlite:///chat.db or postgresql://user:password@host/database"
    )


@asynccontextmanager
async def opened(tables: Tables) -> AsyncIterator[None]:
    await tables.open()
    try:
        yield
    finally:
        await tables.close()


async def _begin(source: Tables, target: Tables, say: Say) -> None:
    """Mark the target as the unfinished copy that it is, or will be."""
    ours, theirs = await source.metadata(), await target.metadata()
    if COPYING in ours:
        raise NotMoved(f"{source.place} is an unfinished copy itself. Finish that first.")
    identity = ours.get(IDENTITY)
    if identity is None:
        await source.set_metadata(IDENTITY, identity := secrets.token_hex(16))
    begun = theirs.get(COPYING)
    if begun == identity:
        say(f"Going on with the copy that {target.place} has already begun.")
    elif begun:
        raise NotMoved(f"{target.place} holds an unfinished copy of another store. Name an empty database.")
    elif await target.count(ROOM):
        raise NotMoved(f"{target.place} is not empty. Name an empty database; this one was left as it was.")
    else:
        await target.set_metadata(COPYING, identity)


async def _copy(source: Tables, target: Tables, table: Table, say: Say) -> None:
    total, done = await source.count(table), await target.count(table)
    after = await target.last(table)
    while rows := await source.rows(table, after, CHUNK):
        await target.put(table, rows)
        after = rows[-1][: len(table.key)]
        done += len(rows)
        say(f"{table.name}: {done} of {total}")


async def _copy_metadata(source: Tables, target: Tables) -> None:
    for name, value in (await source.metadata()).items():
        if name not in OWN:
            await target.set_metadata(name, value)


class Digest(NamedTuple):
    """What a room has in a table, in short."""

    room: int
    rows: int
    hash: str


async def _check(source: Tables, target: Tables, say: Say) -> None:
    """Compare both, room by room. Raises NotMoved."""
    for table in TABLES:
        ours, theirs = _digests(source, table), _digests(target, table)
        rooms = rows = 0
        while True:
            one, other = await anext(ours, None), await anext(theirs, None)
            if one != other:
                raise NotMoved(_difference(source, target, table, one, other))
            if one is None:
                break
            rooms, rows = rooms + 1, rows + one.rows
        say(f"{table.name}: {rows} checked, of {rooms} rooms")


def _difference(
    source: Tables, target: Tables, table: Table, one: Digest | None, other: Digest | None
) -> str:
    room = min(d.room for d in (one, other) if d)
    counts = [d.rows if d and d.room == room else 0 for d in (one, other)]
    return (
        f"{table.name}, room number {room}: {counts[0]} rows in {source.place} are not the {counts[1]} in "
        f"{target.place}. Was one of them used since the copy was begun? Empty the second and start again."
    )


async def _digests(tables: Tables, table: Table) -> AsyncIterator[Digest]:
    """A digest for each room that has rows, in the order of rooms."""
    room, count, hash = -1, 0, hashlib.sha256()
    async for row in _all(tables, table):
        if row[0] != room:
            if count:
                yield Digest(room, count, hash.hexdigest())
            room, count, hash = row[0], 0, hashlib.sha256()
        count += 1
        hash.update(repr(row).encode())
    if count:
        yield Digest(room, count, hash.hexdigest())


async def _all(tables: Tables, table: Table) -> AsyncIterator[Row]:
    after: Row | None = None
    while rows := await tables.rows(table, after, CHUNK):
        for row in rows:
            yield row
        after = rows[-1][: len(table.key)]
