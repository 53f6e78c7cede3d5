"""The embedded log: one SQLite file, one process, one writer that commits everything that waits at once."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from chat.rooms import Amendment, Done, Member, Message, Page, Position, Room, Verb, Window
from chat.store import HISTORY, WINDOW, Missing, Unavailable, queries, steps
from chat.store.aging import aging_of
from chat.store.jobs import Order, outcome, tell
from chat.store.rows import Head, before_of, kept
from chat.store.sqlite_file import ask, connected, opened, pages_used, require_place, take_lock
from chat.store.sqlite_writer import Work, Write, Writer
from chat.store.steps import Dialect, Rows, Steps, columns
from chat.store.windows import UNBOUNDED

READERS = 3

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]

WORDS = Dialect(
    heads="SELECT code, epoch, rev FROM room WHERE code IN (SELECT value FROM json_each($1))",
    asked_seats=(
        "SELECT code, number, person, name, mark FROM json_each($3) AS asked "
        "CROSS JOIN room JOIN seat ON seat.room = room.id AND number = asked.value "
        "WHERE code = $1 AND ended IS NULL AND here = $2 ORDER BY asked.key"
    ),
    mark_seats=("UPDATE seat SET here = $1 WHERE room = $2 AND number IN (SELECT value FROM json_each($3))"),
    insert=(
        "INSERT INTO message (room, id, rev, at, author, text, notice, before_author, before_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ),
    new_text="INSERT INTO text (body) VALUES ($1) RETURNING serial",
    expired=queries.EXPIRED,
    closed=queries.CLOSED,
    erase="UPDATE text SET body = $3 WHERE serial = (SELECT text FROM message WHERE room = $1 AND id = $2)",
    rewrite="UPDATE message SET rev = $1, text = $2, edited = $3 WHERE room = $4 AND id = $5",
)


class SQLiteStore:
    """Rooms and messages in the file at `path`.

    Text with lone surrogates cannot be stored: it raises ValueError (UnicodeEncodeError) and changes
    nothing. `clock` is in seconds; `lock_wait` is how long `open` lets another process finish.
    """

    durability: Literal["fsync", "replicated", "os", "memory"] = "fsync"

    def __init__(self, path: str, *, lock_wait: float = 30.0, clock: Callable[[], float] = time.time) -> None:
        self.committed: Callable[[Sequence[Done]], None] = lambda changes: None
        self.doubted: Callable[[], object] = lambda: None
        self.missed: Callable[[], None] = lambda: None
        # One name per file: two links to it must meet at the same lock.
        self._path = os.path.realpath(path)
        self._lock_wait = lock_wait
        self._clock = clock
        self._order = Order()
        self._aging = aging_of(clock)
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
        loop = asyncio.get_running_loop()
        self._readers = Readers(self._path)
        self._writer = Writer(
            db, self._clock, lambda jobs: loop.call_soon_threadsafe(tell, self.committed, jobs)
        )
        self._writer.start()

    async def close(self) -> None:
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None  # whoever calls from now on is refused
        try:
            # Readers first: the writer can only empty the WAL when nobody reads it.
            if readers:
                await asyncio.to_thread(readers.stop)
            if writer:
                await asyncio.to_thread(writer.stop)
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

    async def probe(self) -> None:
        await self._write(lambda db, now: _done(db, steps.probe(now)))

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

    async def agree(self, name: str, value: str) -> str:
        return await self._write(lambda db, now: _done(db, steps.agree(name, value)))

    async def open_room(self, code: str) -> Room:
        return await self._write(lambda db, now: _done(db, steps.open_room(now, code)))

    async def expire(self) -> int:
        if not self._aging.trusted(self._clock()):
            return 0
        return await self._write(lambda db, now: _done(db, steps.expire(WORDS, now)))

    async def find_room(self, code: str) -> Room | None:
        return await self._read(lambda db: _done(db, steps.find_room(code)))

    async def take_seat(self, code: str, person: str, name: str) -> Member:
        return await self._write(lambda db, now: _done(db, steps.take_seat(now, code, person, name)))

    async def find_seat(self, code: str, person: str) -> Member | None:
        return await self._read(lambda db: _done(db, steps.held_seat(code, person)))

    async def seats_of(self, code: str, person: str) -> list[int]:
        return await self._read(lambda db: _done(db, steps.seats_of(code, person)))

    async def rooms_of(self, person: str, limit: int) -> list[str]:
        return await self._read(lambda db: _done(db, steps.rooms_of(person, limit)))

    async def end_seat(self, code: str, person: str, successor: str | None = None) -> Done | None:
        return await self._write(
            lambda db, now: _done(db, steps.end_seat(WORDS, now, code, person, successor))
        )

    async def rename_seat(self, code: str, person: str, name: str) -> Done | None:
        return await self._write(lambda db, now: _done(db, steps.rename_seat(WORDS, now, code, person, name)))

    async def announce(self, code: str, verb: Verb, seats: Iterable[int]) -> Done | None:
        numbers = list(dict.fromkeys(seats))
        return await self._write(lambda db, now: _done(db, steps.announce(WORDS, now, code, verb, numbers)))

    async def here(self, code: str | None = None) -> list[Member]:
        return await self._read(lambda db: _done(db, steps.here(code)))

    async def append(self, code: str, author: int, key: str, body: str) -> Done:
        return await self._write(
            lambda db, now: _append(db, now, code, author, key, body), author=(code, author)
        )

    async def amend(self, code: str, id: int, by: int | None, key: str, change: Amendment) -> Done:
        def work(db: sqlite3.Connection, now: int) -> Done:
            return _done(db, steps.amend(WORDS, now, code, id, by, key, change))

        return await self._write(work, erases=True)

    async def history(
        self, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
    ) -> Page:
        return await self._read(lambda db: _done(db, steps.history(code, before, limit, most)))

    async def changes(
        self, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
    ) -> Window:
        return await self._read(lambda db: _done(db, steps.changes(code, since, window, most)))

    async def heads(self, codes: Sequence[str]) -> dict[str, Position]:
        return await self._read(lambda db: _done(db, steps.heads(WORDS, codes)))

    async def _write(self, work: Work[T], erases: bool = False, author: tuple[str, int] | None = None) -> T:
        """`author`: room and seat whose texts have to be stored in their order, or not at all."""
        if self._writer is None:
            raise Unavailable("The store is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        write = Write(future, work, erases)
        if author:
            self._order.append(author, write)
        self._writer.submit(write)
        result: T = await outcome(write, self.doubted)
        return result

    async def _read(self, query: Query[T]) -> T:
        if self._readers is None:
            raise Unavailable("The store is closed.")
        try:
            return await asyncio.wrap_future(self._readers.pool.submit(self._readers.run, query))
        except sqlite3.Error as error:
            raise Unavailable(f"The store cannot be read: {error}") from error


class Readers:
    """A few threads, each with a connection that can only read and sees one moment per query."""

    def __init__(self, path: str) -> None:
        self.pool = ThreadPoolExecutor(READERS, "chat-reader")
        self._path = path
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []

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


def _done(db: sqlite3.Connection, work: Steps[T]) -> T:
    """The steps' result, every question asked of `db`."""
    rows: Rows | None = None
    try:
        while True:
            sql, *values = next(work) if rows is None else work.send(rows)
            rows = ask(db, sql, *(json.dumps(v) if isinstance(v, list) else v for v in values)).fetchall()
    except StopIteration as end:
        result: T = end.value
        return result


def _append(db: sqlite3.Connection, now: int, code: str, author: int, key: str, body: str) -> Done:
    # One question instead of four: this decides how many messages a second there can be.
    sql = (
        "SELECT room.id, once.message, seat.name, seat.mark, message.author, message.at FROM room "
        "LEFT JOIN once ON once.room = room.id AND once.author = :author AND once.key = :key "
        "LEFT JOIN seat ON seat.room = room.id AND seat.number = :author AND seat.ended IS NULL "
        "LEFT JOIN message ON message.room = room.id "
        "AND message.id = (SELECT max(id) FROM message WHERE room = room.id) "
        "WHERE room.code = :code"
    )
    row = db.execute(sql, {"code": code, "author": author, "key": key}).fetchone()
    if row is None:
        raise Missing(f"There is no room {code}.")
    room, repeats, name, mark, before_author, before_at = row
    if repeats and (done := _done(db, steps.repeated(code, author, key))):
        return done
    if name is None:
        raise Missing(f"Nobody holds seat {author}.")
    before = before_of(before_author, before_at)
    head = Head(*ask(db, queries.RISE_BY_TEXT, room).fetchone())
    message = Message(head.rev, head.rev, now, author, name, mark, body, before=before)
    text = db.execute("INSERT INTO text (body) VALUES (?)", (kept(body),)).lastrowid
    ask(db, WORDS.insert, *columns(room, message, text))
    ask(db, queries.REMEMBER, room, author, key, message.id, head.rev, now)
    return Done(code, message, head.position)
