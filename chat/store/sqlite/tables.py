"""The SQLite file as tables that can be copied."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

from chat.settings import Misconfigured
from chat.store import queries
from chat.store.sqlite.file import connected, opened, require_place, take_lock
from chat.store.sqlite.transaction import execute
from chat.store.tables import MESSAGE, Row, Table, counting, last_key, page

SOURCES = {
    "message": "(SELECT message.*, text.body FROM message LEFT JOIN text ON text.serial = message.text)"
}


class SQLiteTables:
    """It blocks the event loop: nothing else runs there while a store is copied."""

    def __init__(self, path: str, is_source: bool) -> None:
        self.place = path
        self._path = os.path.realpath(path)
        self._is_source = is_source
        self._lock = -1
        self._db: sqlite3.Connection

    async def open(self) -> None:
        require_place(self._path)
        if self._is_source and not os.path.exists(self._path):
            raise Misconfigured(f"{self._path} does not exist. Name the file that is to be copied.")
        self._lock = await take_lock(self._path, 0)
        try:
            self._db = opened(self._path, moving=True)
        except BaseException:
            os.close(self._lock)
            raise

    async def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    async def metadata(self) -> dict[str, str]:
        return dict(self._db.execute(queries.ALL_METADATA).fetchall())

    async def set_metadata(self, name: str, value: str | None) -> None:
        if value is None:
            execute(self._db, queries.FORGET_METADATA, name)
        else:
            execute(self._db, queries.SET_METADATA, name, value)

    async def count(self, table: Table) -> int:
        (number,) = self._db.execute(counting(table)).fetchone()
        return int(number)

    async def last(self, table: Table) -> Row | None:
        row: Row | None = self._db.execute(last_key(table)).fetchone()
        return row

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        sql = page(table, SOURCES.get(table.name, table.name), after)
        return execute(self._db, sql, *(after or ()), limit).fetchall()

    async def put(self, table: Table, rows: Sequence[Row]) -> None:
        columns = [column if column != "body" else "text" for column in table.columns]
        marks = ", ".join("?" for _ in columns)
        sql = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(sql, [self._kept(row) for row in rows] if table is MESSAGE else rows)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _kept(self, row: Row) -> Row:
        """A message's row with its text put where texts are."""
        place = MESSAGE.columns.index("body")
        body = row[place]
        if body is not None:
            body = self._db.execute("INSERT INTO text (body) VALUES (?)", (body,)).lastrowid
        return *row[:place], body, *row[place + 1 :]

    async def finish(self) -> None:
        self._db.execute("PRAGMA optimize")
        connected(self._path, "ro").close()  # it can be read
