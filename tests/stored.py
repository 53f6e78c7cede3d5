"""All rows that a store has, to be compared: whether anything was changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from chat.context import Context
from chat.store import Store
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Transaction

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
TABLES_OF_POSTGRES = (
    "SELECT table_name::text FROM information_schema.tables "
    "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
)
OF_NOBODY = {"metadata"}  # written now and then to see whether the store answers

Rows = dict[str, list[Sequence[Any]]]


async def stored(store: Store) -> Rows:
    async def read(tx: Transaction) -> Rows:
        tables = await tx.fetch(TABLES if isinstance(store, SQLiteStore) else TABLES_OF_POSTGRES)
        names = {str(name) for (name,) in tables} - OF_NOBODY
        return {name: sorted(map(tuple, await tx.fetch(f"SELECT * FROM {name}")), key=repr) for name in names}

    return await store.snapshot(read)


@asynccontextmanager
async def nothing_stored(chats: Iterable[Context]) -> AsyncIterator[None]:
    """The store of these nodes has the same rows at the end, also of what waits to be stored there."""
    nodes = list(chats)
    for chat in nodes:
        await chat.reading.save()
    before = await stored(nodes[0].store)
    assert sum(map(len, before.values())) > 3
    yield
    for chat in nodes:
        chat.reading.gather(list(chat.reading._focused))
        await chat.reading.save()
    assert await stored(nodes[0].store) == before
