"""The SQLite file while no server uses it."""

from __future__ import annotations

import os
import sqlite3
import time

from chat.settings import Misconfigured
from chat.store.sqlite.file import connected, opened, require_place, take_lock
from chat.store.sqlite.transaction import SQLiteTransaction
from chat.store.transaction import P, T, Work


class ExclusiveSQLite:
    """It blocks the event loop: nothing else runs there."""

    refusals: tuple[type[Exception], ...] = (sqlite3.IntegrityError,)

    def __init__(self, path: str, exists: bool) -> None:
        self.place = path
        self._path = os.path.realpath(path)
        self._exists = exists
        self._lock = -1
        self._db: sqlite3.Connection

    async def open(self) -> None:
        require_place(self._path)
        if self._exists and not os.path.exists(self._path):
            raise Misconfigured(f"{self._path} does not exist. Name the file of an existing database.")
        self._lock = await take_lock(self._path, 0)
        try:
            self._db = opened(self._path, copying=True)
        except BaseException:
            os.close(self._lock)
            raise

    async def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    async def run(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            now = int(time.time() * 1000)
            result = await work(SQLiteTransaction(self._db, now), *args, **kwargs)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has taken it back itself if the disk is full
                self._db.execute("ROLLBACK")
            raise
        return result

    async def finish(self) -> None:
        self._db.execute("PRAGMA optimize")
        connected(self._path, "ro").close()  # it can be read
