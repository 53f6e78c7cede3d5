"""The embedded log: one SQLite file, one process, one writer that commits everything that waits at once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from chat.model.changes import Change
from chat.store import Durability, Unavailable, queries
from chat.store.appending import Extra, append
from chat.store.sqlite.batches import Text
from chat.store.sqlite.file import connected, opened, pages_used, require_place, take_lock
from chat.store.sqlite.transaction import SQLiteTransaction
from chat.store.sqlite.writer import Write, Writer
from chat.store.transaction import P, Work, run
from chat.store.writes import AuthorOrder, Listeners, PendingWrite

READERS = 3

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]


class SQLiteStore:
    """Rooms and messages in the file at `path`.

    Text with lone surrogates cannot be stored: it raises ValueError (UnicodeEncodeError) and changes
    nothing. `clock` is in seconds; `lock_wait` is how long `open` lets another process finish.
    """

    durability: Durability = "fsync"

    def __init__(self, path: str, *, lock_wait: float = 30.0, clock: Callable[[], float] = time.time) -> None:
        self._listeners = Listeners()
        self.listen = self._listeners.listen
        # One name per file: two links to it must meet at the same lock.
        self._path = os.path.realpath(path)
        self._lock_wait = lock_wait
        self._clock = clock
        self._order = AuthorOrder()
        self._lock = -1
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    async def open(self) -> None:
        require_place(self._path)
        self._lock = await take_lock(self._path, self._lock_wait)
        try:
            db = await asyncio.to_thread(opened, self._path)
        except BaseException:
            self._unlock()
            raise
        self._readers = Readers(self._path)
        self._writer = Writer(db, self._clock, self._listeners.notify)
        self._writer.start()

    async def close(self) -> None:
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None  # calls from now on are refused
        try:
            # Readers first: the writer can only empty the WAL when nobody reads it.
            if readers:
                await asyncio.to_thread(readers.stop)
            if writer:
                await writer.stop()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def waiting(self) -> int:
        return self._writer.waiting if self._writer else 0

    async def ping(self) -> None:
        await self._read(lambda db: db.execute(queries.ANY_ROOM).fetchone())

    async def time(self) -> float:
        return self._clock()

    async def used(self) -> int:
        wal = f"{self._path}-wal"
        return await self._read(pages_used) + (os.path.getsize(wal) if os.path.exists(wal) else 0)

    async def free(self) -> int | None:
        disk = os.statvfs(os.path.dirname(self._path))
        return disk.f_bavail * disk.f_frsize

    async def processes(self) -> int:
        return 1

    def append(
        self, code: str, author: int, key: str, body: str, extra: Extra | None = None
    ) -> PendingWrite[Change]:
        text = Text(code, author, key, body)
        write = Write(lambda tx: run(append(tx, *text, extra)), code, None if extra else text)
        return self._submit(write, author)

    async def read(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._read(lambda db: run(work(SQLiteTransaction(db), *args, **kwargs)))

    snapshot = read  # every reader sees one moment

    async def write(self, code: str | None, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._write(lambda tx: run(work(tx, *args, **kwargs)), code)

    async def _write(self, work: Callable[[SQLiteTransaction], T], code: str | None = None) -> T:
        return await self._submit(Write(work, code))

    def _submit(self, write: Write[T], author: int | None = None) -> PendingWrite[T]:
        """`author` is the seat whose text it is, if it is one."""
        if self._writer is None:
            raise Unavailable("The store is closed.")
        if author is not None:
            self._order.append((write.code or "", author), write)
        self._writer.submit(write)
        return write

    async def _read(self, query: Query[T]) -> T:
        if self._readers is None:
            raise Unavailable("The store is closed.")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[T] = loop.create_future()
        self._readers.pool.submit(self._readers.answer, loop, found, query)
        try:
            return await found
        except sqlite3.Error as error:
            raise Unavailable(f"The store cannot be read: {error}") from error


class Readers:
    """A few threads, each with a connection that can only read and sees one moment per query."""

    def __init__(self, path: str) -> None:
        self.pool = ThreadPoolExecutor(READERS, "chat-reader")
        self._path = path
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []

    def answer(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[T], query: Query[T]) -> None:
        """Run a query for a coroutine. The futures of threads would take three locks and two calls more."""
        try:
            settle = partial(_settle, found, self.run(query), None)
        except Exception as error:
            settle = partial(_settle, found, None, error)
        with suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(settle)

    def run(self, query: Query[T]) -> T:
        db = self._connection()
        db.execute("BEGIN")
        try:
            return query(db)
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._mine, "db", None)
        if db is None:
            db = self._mine.db = connected(self._path, "ro")
            self._all.append(db)
        return db

    def stop(self) -> None:
        self.pool.shutdown(wait=True)
        for db in self._all:
            db.close()


def _settle(found: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if found.done():
        return  # who asked was cancelled
    if error is None:
        found.set_result(result)
    else:
        found.set_exception(error)
