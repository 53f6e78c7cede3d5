"""The embedded log: one SQLite file, one process, one writer that commits everything that waits at once."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, NamedTuple, TypeVar

from chat.names import looks
from chat.rooms import (
    Amendment,
    Before,
    Done,
    Edit,
    Member,
    Message,
    Notice,
    Page,
    Position,
    Room,
    Verb,
    Window,
    folded,
    new_epoch,
)
from chat.settings import Misconfigured
from chat.store import HISTORY, WINDOW, Missing, Resync, Taken, Unavailable, Unknown

MIGRATIONS = ("schema.sql",)  # files beside this one; the n-th leads to schema version n
BATCH = 256  # writes that share one commit
QUEUE = 5000  # writes that may wait
READERS = 3
KEY_AGE = 72 * 3600 * 1000  # ms; the promise is 48 hours
PRUNE_EVERY = 60 * 1000  # ms
PRUNE_PORTION = 500  # keys; more than a batch can add
WIPE_EVERY = 1.0  # s, at most
CHECK_SIZE = 256 * 2**20  # bytes: a larger file takes too long to check at every start
LARGEST = 2**63 - 1
NOBODY = 0  # as the author of a key; seats count from 1
PROGRAM = 0x63686174  # as in schema.sql
PRAGMAS = (
    "busy_timeout = 5000",
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on the disk before anybody hears of it
    "foreign_keys = ON",
    "secure_delete = ON",  # deleted text is overwritten, not only unlinked
    "cache_size = -65536",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 67108864",
)

log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection, int], T]  # given the time in ms
Query = Callable[[sqlite3.Connection], T]


class SQLiteStore:
    """Rooms and messages in the file at `path`.

    Text with lone surrogates cannot be stored: it raises ValueError (UnicodeEncodeError) and changes
    nothing. `clock` is in seconds; `lock_wait` is how long `open` lets another process finish.
    """

    durability: Literal["fsync", "replicated", "os", "memory"] = "fsync"

    def __init__(self, path: str, *, lock_wait: float = 30.0, clock: Callable[[], float] = time.time) -> None:
        self.committed: Callable[[Sequence[Done]], None] = lambda changes: None
        # One name per file: two links to it must meet at the same lock.
        self._path = os.path.realpath(path)
        self._lock_wait = lock_wait
        self._clock = clock
        self._lock = -1
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    async def open(self) -> None:
        _require_place(self._path)
        self._lock = await _take_lock(self._path, self._lock_wait)
        try:
            db = await asyncio.to_thread(_opened, self._path)
        except BaseException:
            self._unlock()
            raise
        loop = asyncio.get_running_loop()
        self._readers = Readers(self._path)
        self._writer = Writer(db, self._clock, lambda jobs: loop.call_soon_threadsafe(self._tell, jobs))
        self._writer.start()

    def _tell(self, jobs: Sequence[Job]) -> None:
        changes = [j.result for j in jobs if isinstance(j.result, Done) and not j.result.duplicate]
        try:
            if changes:
                self.committed(changes)
        except Exception:
            log.exception("%d stored changes could not be passed on", len(changes))
        for job in jobs:
            job.resolve()

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

    async def ping(self) -> None:
        await self._read(lambda db: db.execute("SELECT id FROM room LIMIT 1").fetchone())

    async def open_room(self, code: str) -> Room:
        return await self._write(lambda db, now: _open_room(db, now, code))

    async def find_room(self, code: str) -> Room | None:
        return await self._read(lambda db: _find_room(db, code))

    async def take_seat(self, code: str, person: str, name: str) -> Member:
        return await self._write(lambda db, now: _take_seat(db, now, code, person, name))

    async def find_seat(self, code: str, person: str) -> Member | None:
        return await self._read(lambda db: _held_seat(db, code, person))

    async def seats_of(self, code: str, person: str) -> list[int]:
        return await self._read(lambda db: _seats_of(db, code, person))

    async def end_seat(self, code: str, person: str) -> Done | None:
        return await self._write(lambda db, now: _end_seat(db, now, code, person))

    async def announce(self, code: str, verb: Verb, seats: Iterable[int]) -> Done | None:
        numbers = list(dict.fromkeys(seats))
        return await self._write(lambda db, now: _announce(db, now, code, verb, numbers))

    async def here(self, code: str | None = None) -> list[Member]:
        return await self._read(lambda db: _here(db, code))

    async def append(self, code: str, author: int, key: str, body: str) -> Done:
        return await self._write(lambda db, now: _append(db, now, code, author, key, body))

    async def amend(self, code: str, id: int, by: int | None, key: str, change: Amendment) -> Done:
        return await self._write(lambda db, now: _amend(db, now, code, id, by, key, change), erases=True)

    async def history(self, code: str, before: int | None = None, limit: int = HISTORY) -> Page:
        return await self._read(lambda db: _history(db, code, before, limit))

    async def changes(self, code: str, since: Position, window: int = WINDOW) -> Window:
        return await self._read(lambda db: _changes(db, code, since, window))

    async def heads(self, codes: Sequence[str]) -> dict[str, Position]:
        asked = json.dumps(list(codes))
        return await self._read(lambda db: _heads(db, asked))

    async def _write(self, work: Work[T], erases: bool = False) -> T:
        if self._writer is None:
            raise Unavailable("The store is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(work, future, erases))
        return await future

    async def _read(self, query: Query[T]) -> T:
        if self._readers is None:
            raise Unavailable("The store is closed.")
        try:
            return await asyncio.wrap_future(self._readers.pool.submit(self._readers.run, query))
        except sqlite3.Error as error:
            raise Unavailable(f"The store cannot be read: {error}") from error


@dataclass(slots=True, eq=False)
class Job:
    """A write on its way: made and resolved in the event loop, done in the writer's thread."""

    work: Work[Any]
    future: asyncio.Future[Any]
    erases: bool
    result: Any = None
    error: Exception | None = None

    def run(self, db: sqlite3.Connection, now: int) -> bool:
        """Do the work within a transaction; False if that is spoiled and must be rolled back."""
        self.result = self.error = None
        written = db.total_changes
        try:
            self.result = self.work(db, now)
        except Exception as error:
            self.error = _refusal(error)
            return db.total_changes == written and db.in_transaction
        return True

    def fail(self, error: Exception) -> None:
        self.result, self.error = None, error

    def resolve(self) -> None:
        if self.future.done():  # its caller was cancelled
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def _refusal(error: Exception) -> Exception:
    """What to tell the caller whose own work, and nobody else's, failed with `error`."""
    if isinstance(error, OverflowError):
        return Missing("There is no such number.")
    if isinstance(error, sqlite3.Error):
        log.error("A write failed: %s", error)
        return Unavailable(f"The store cannot write: {error}")
    return error


class Writer:
    """The one thread that writes: it commits together whatever was waiting, in the order of arrival.

    No artificial delay: while one commit waits for the disk, the next batch gathers.
    """

    def __init__(
        self, db: sqlite3.Connection, clock: Callable[[], float], tell: Callable[[Sequence[Job]], object]
    ) -> None:
        self._db = db
        self._clock = clock
        self._tell = tell
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="chat-writer", daemon=True)
        self._stopping = False
        self._wipe_due = True  # a killed process may have left deleted text in the WAL
        self._wipe_after = 0.0
        self._prune_due = 0

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        if self._queue.qsize() >= QUEUE:
            raise Unavailable(f"{QUEUE} writes are waiting already.")
        self._queue.put(job)

    def stop(self) -> None:
        """Finish what was submitted and close the file."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        with closing(self._db):
            while not self._stopping:
                if batch := self._gather():
                    self._commit(batch)
                    self._tell_all(batch)
                self._tidy()

    def _gather(self) -> list[Job]:
        batch: list[Job] = []
        try:
            waiting = self._queue.get(timeout=WIPE_EVERY if self._wipe_due else None)
            while waiting:
                batch.append(waiting)
                if len(batch) == BATCH:
                    return batch
                waiting = self._queue.get_nowait()
            self._stopping = True
        except Empty:
            pass
        return batch

    def _commit(self, batch: Sequence[Job]) -> None:
        """Write the batch in one transaction.

        Savepoints would cost more than they save: a job that is refused has written nothing yet, and the
        rare one that fails later sends each of its batch into a transaction of its own.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if all(job.run(self._db, self._now()) for job in batch):
                self._db.execute("COMMIT")
                self._wipe_due |= any(job.erases for job in batch)
            else:
                self._roll_back()
                for job in batch if len(batch) > 1 else ():
                    self._commit([job])
        except Exception as error:
            log.error("%d writes failed: %s", len(batch), error)
            failure = _failure(error)
            for job in batch:
                job.fail(failure(f"The store cannot write: {error}"))
            self._roll_back()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("A failed transaction could not be rolled back")

    def _tell_all(self, batch: Sequence[Job]) -> None:
        try:
            self._tell(batch)
        except RuntimeError:
            log.warning("The event loop ended before %d writes were told", len(batch))

    def _tidy(self) -> None:
        """Housekeeping that nobody waits for."""
        try:
            if self._wipe_due and time.monotonic() >= self._wipe_after:
                self._wipe()
            if self._now() >= self._prune_due:
                self._prune()
        except Exception as error:
            log.warning("Housekeeping failed and will be tried again: %s", error)
            self._roll_back()

    def _wipe(self) -> None:
        """Empty the WAL: it still holds the text that was deleted from the tables."""
        self._wipe_after = time.monotonic() + WIPE_EVERY
        self._db.execute("PRAGMA busy_timeout = 0")  # rather later than let writers wait for a reader
        try:
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._wipe_due = bool(busy)
        finally:
            self._db.execute("PRAGMA busy_timeout = 5000")

    def _prune(self) -> None:
        now = self._now()
        old = "SELECT room, author, key FROM once WHERE at < ? ORDER BY at LIMIT ?"
        self._db.execute("BEGIN IMMEDIATE")
        keys = self._db.execute(old, (now - KEY_AGE, PRUNE_PORTION)).fetchall()
        self._db.executemany("DELETE FROM once WHERE room = ? AND author = ? AND key = ?", keys)
        self._db.execute("COMMIT")
        self._prune_due = now if len(keys) == PRUNE_PORTION else now + PRUNE_EVERY

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _failure(error: Exception) -> type[Unknown | Unavailable]:
    """Unknown if the disk failed: SQLite took the writes back, yet a crash now might bring them to light."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return Unknown if code == sqlite3.SQLITE_IOERR else Unavailable


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
            db = self._mine.db = _connected(self._path, "ro")
            self._all.append(db)
        return db

    def stop(self) -> None:
        self.pool.shutdown(wait=True)
        for db in self._all:
            db.close()


def _require_place(path: str) -> None:
    if sqlite3.sqlite_version_info < (3, 40):
        raise Misconfigured(f"SQLite {sqlite3.sqlite_version} is too old: use a Python with 3.40 or newer.")
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise Misconfigured(
            f"CHAT_DATABASE_URL: the directory {parent} does not exist. Make it, or name another place."
        )
    if os.path.isdir(path):
        raise Misconfigured(f"CHAT_DATABASE_URL: {path} is a directory. Name a file in it.")


async def _take_lock(path: str, wait: float) -> int:
    """The lock that says whose file this is; the kernel lets go of it even after kill -9."""
    lock = _opened_lock(path)
    deadline = time.monotonic() + wait
    try:
        while not _locked(lock, path):
            if time.monotonic() >= deadline:
                raise Misconfigured(
                    f"CHAT_DATABASE_URL: {path} is in use by another server process. One SQLite file serves "
                    "one process: stop the other, set workers = 1 in hypercorn.toml, or give this one a "
                    "database of its own."
                )
            await asyncio.sleep(0.05)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _opened_lock(path: str) -> int:
    try:
        return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _locked(lock: int, path: str) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    return True


def _unusable(path: str, error: Exception) -> Misconfigured:
    return Misconfigured(
        f"CHAT_DATABASE_URL: {path} cannot be used: {error}. Check that the file and its directory belong "
        "to the server's user and that the disk is a local one with space left."
    )


def _opened(path: str) -> sqlite3.Connection:
    """The writer's connection to a file that is checked and up to date."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # messages are nobody else's to read
        # Only read until it is known to be sound and ours: closing a writing connection changes the file.
        with closing(_connected(path, "ro")) as db:
            _check(db, path)
        return _prepared(_connected(path, "rw"))
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error


def _connected(path: str, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # each is used by one thread, and closed by another
        timeout=5.0,
    )
    db.execute("PRAGMA temp_store = MEMORY")
    if mode == "ro":
        db.execute("PRAGMA query_only = ON")
    return db


def _check(db: sqlite3.Connection, path: str) -> None:
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (program,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        small = os.path.getsize(path) <= CHECK_SIZE
        sound = not small or db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise _refused(path, "is not a SQLite database. Name another file") from error
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        sound, version, program, tables = False, 0, PROGRAM, 0
    if not sound:
        raise _refused(path, "is damaged. Restore a back-up, or name another file to begin anew")
    if version > len(MIGRATIONS):
        raise _refused(
            path,
            f"was written by a newer release (its schema is {version}, this one knows {len(MIGRATIONS)}). "
            "Install that release again, or restore a back-up",
        )
    if tables and program != PROGRAM:
        raise _refused(path, "belongs to another program. Name another file")


def _refused(path: str, why: str) -> Misconfigured:
    return Misconfigured(f"CHAT_DATABASE_URL: {path} {why}; this one was left as it was.")


def _prepared(db: sqlite3.Connection) -> sqlite3.Connection:
    try:
        for setting in PRAGMAS:
            db.execute(f"PRAGMA {setting}").fetchall()
        if db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raise sqlite3.OperationalError("this file system cannot hold a write-ahead log")
        _migrate(db)
        looks("")  # reads the table of look-alikes now rather than while others wait
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for number, name in enumerate(MIGRATIONS[version:], version + 1):
        script = Path(__file__).with_name(name).read_text("utf-8")
        db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _open_room(db: sqlite3.Connection, now: int, code: str) -> Room:
    if _find_room(db, code):
        raise Taken(code)
    room = Room(code, new_epoch(), now)
    db.execute("INSERT INTO room (code, epoch, opened) VALUES (?, ?, ?)", (code, room.epoch, now))
    return room


def _find_room(db: sqlite3.Connection, code: str) -> Room | None:
    row = db.execute("SELECT code, epoch, opened FROM room WHERE code = ?", (code,)).fetchone()
    return Room(*row) if row else None


class Head(NamedTuple):
    """A room's row and how far its log goes."""

    room: int
    epoch: str
    rev: int

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.rev)


def _head(db: sqlite3.Connection, code: str) -> Head:
    row = db.execute("SELECT id, epoch, rev FROM room WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise Missing(f"There is no room {code}.")
    return Head(*row)


def _risen(db: sqlite3.Connection, room: int) -> Head:
    """The head one rev further on: each accepted change takes exactly one."""
    sql = "UPDATE room SET rev = rev + 1 WHERE id = ? RETURNING id, epoch, rev"
    return Head(*db.execute(sql, (room,)).fetchone())


def _take_seat(db: sqlite3.Connection, now: int, code: str, person: str, name: str) -> Member:
    room = _head(db, code).room
    if held := _held_seat(db, code, person):
        return held
    former = "UPDATE seat SET ended = NULL WHERE room = ? AND person = ? AND name = ? RETURNING number, mark"
    row = db.execute(former, (room, person, name)).fetchone()
    number, mark = row or _new_seat(db, now, room, person, name)
    return Member(code, number, person, name, mark)


def _new_seat(db: sqlite3.Connection, now: int, room: int, person: str, name: str) -> tuple[int, int]:
    twins = (
        "SELECT 1 + coalesce(max(mark), 0) FROM seat "
        "WHERE room = ? AND person <> ? AND (folded = ? OR shape = ?)"
    )
    insert = (
        "INSERT INTO seat (room, number, person, name, mark, folded, shape, taken) "
        "VALUES (?, (SELECT 1 + coalesce(max(number), 0) FROM seat WHERE room = ?), ?, ?, ?, ?, ?, ?) "
        "RETURNING number, mark"
    )
    (mark,) = db.execute(twins, (room, person, *looks(name))).fetchone()
    row: tuple[int, int] = db.execute(insert, (room, room, person, name, mark, *looks(name), now)).fetchone()
    return row


def _held_seat(db: sqlite3.Connection, code: str, person: str) -> Member | None:
    sql = (
        "SELECT code, number, person, name, mark FROM seat JOIN room ON room.id = seat.room "
        "WHERE code = ? AND person = ? AND ended IS NULL"
    )
    row = db.execute(sql, (code, person)).fetchone()
    return Member(*row) if row else None


def _seats_of(db: sqlite3.Connection, code: str, person: str) -> list[int]:
    sql = (
        "SELECT number FROM seat JOIN room ON room.id = seat.room "
        "WHERE code = ? AND person = ? ORDER BY number"
    )
    return [number for (number,) in db.execute(sql, (code, person))]


def _end_seat(db: sqlite3.Connection, now: int, code: str, person: str) -> Done | None:
    member = _held_seat(db, code, person)
    if member is None:
        return None
    room = _head(db, code).room
    end = "UPDATE seat SET ended = ?, here = 0 WHERE room = ? AND number = ?"
    db.execute(end, (now, room, member.number))
    return _notify(db, now, code, "left", [member], ended=True)


def _announce(db: sqlite3.Connection, now: int, code: str, verb: Verb, numbers: Sequence[int]) -> Done | None:
    here = verb == "entered"
    sql = (
        "SELECT code, number, person, name, mark FROM json_each(?) AS asked "
        "CROSS JOIN room JOIN seat ON seat.room = room.id AND number = asked.value "
        "WHERE code = ? AND ended IS NULL AND here = ? ORDER BY asked.key"
    )
    members = [Member(*row) for row in db.execute(sql, (json.dumps(numbers), code, not here))]
    if not members:
        return None
    room = _head(db, code).room
    mark = "UPDATE seat SET here = ? WHERE room = ? AND number = ?"
    db.executemany(mark, [(here, room, member.number) for member in members])
    return _notify(db, now, code, verb, members, ended=False)


def _notify(
    db: sqlite3.Connection, now: int, code: str, verb: Verb, members: Sequence[Member], ended: bool
) -> Done:
    """Tell the room in a new notice or, where that is its newest message, in the last one."""
    head = _risen(db, _head(db, code).room)
    last = _newest(db, head.room)
    at = max(now, last.at) if last else now
    notice, replaces = folded(last, verb, members, at, ended)
    if last and replaces:
        message = replace(last, rev=head.rev, notice=notice)
        sql = "UPDATE message SET rev = ?, notice = ? WHERE room = ? AND id = ?"
        db.execute(sql, (head.rev, _packed(notice), head.room, last.id))
    else:
        before = Before(last.author, last.at) if last else None
        message = Message(
            head.rev, head.rev, at, None, "", 1, "", kind="notice", notice=notice, before=before
        )
        _insert(db, head.room, message)
    return Done(code, message, head.position)


def _newest(db: sqlite3.Connection, room: int) -> Message | None:
    row = db.execute("SELECT * FROM entry WHERE room = ? ORDER BY id DESC LIMIT 1", (room,)).fetchone()
    return _message(row) if row else None


def _message(row: tuple[Any, ...]) -> Message:
    _, id, rev, at, author, name, mark, body, edited, notice, before_author, before_at = row
    before = None if before_at is None else Before(before_author, before_at)
    if notice:
        return Message(id, rev, at, None, "", 1, "", kind="notice", notice=_unpacked(notice), before=before)
    return Message(id, rev, at, author, name, mark, body, edited=edited, before=before)


def _packed(notice: Notice) -> str:
    return json.dumps([notice.verb, notice.names, notice.count, notice.ended], ensure_ascii=False)


def _unpacked(text: str) -> Notice:
    verb, names, count, ended = json.loads(text)
    return Notice(verb, tuple(names), count, tuple(ended))


def _insert(db: sqlite3.Connection, room: int, message: Message) -> None:
    db.execute(
        "INSERT INTO message (room, id, rev, at, author, text, notice, before_author, before_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            room,
            message.id,
            message.rev,
            message.at,
            message.author,
            None if message.notice else _kept(db, message.body),
            message.notice and _packed(message.notice),
            *(message.before or (None, None)),
        ),
    )


def _kept(db: sqlite3.Connection, body: str | None) -> int | None:
    return db.execute("INSERT INTO text (body) VALUES (?)", (body,)).lastrowid


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
    if repeats and (done := _repeated(db, code, author, key)):
        return done
    if name is None:
        raise Missing(f"Nobody holds seat {author}.")
    before = None if before_at is None else Before(before_author, before_at)
    head = _risen(db, room)
    at = now if before is None else max(now, before.at)
    message = Message(head.rev, head.rev, at, author, name, mark, body, before=before)
    _insert(db, room, message)
    _remember(db, now, head, author, key, message.id)
    return Done(code, message, head.position)


def _repeated(db: sqlite3.Connection, code: str, author: int, key: str) -> Done | None:
    """What this key did before, with the message as it is now: its former text may be deleted."""
    sql = (
        "SELECT epoch, once.rev, entry.* FROM room JOIN once ON once.room = room.id "
        "JOIN entry ON entry.room = room.id AND entry.id = once.message "
        "WHERE code = ? AND once.author = ? AND key = ?"
    )
    row = db.execute(sql, (code, author, key)).fetchone()
    return Done(code, _message(row[2:]), Position(*row[:2]), duplicate=True) if row else None


def _remember(db: sqlite3.Connection, now: int, head: Head, author: int, key: str, message: int) -> None:
    sql = "INSERT INTO once (room, author, key, message, rev, at) VALUES (?, ?, ?, ?, ?, ?)"
    db.execute(sql, (head.room, author, key, message, head.rev, now))


def _amend(
    db: sqlite3.Connection, now: int, code: str, id: int, by: int | None, key: str, change: Amendment
) -> Done:
    room = _head(db, code).room
    author = by or NOBODY
    if repeated := _repeated(db, code, author, key):
        return repeated
    old = _changeable(db, room, id, by)
    body, edited = (change.body, max(now, old.at)) if isinstance(change, Edit) else (None, None)
    head = _risen(db, room)
    _erase(db, room, old)
    sql = "UPDATE message SET rev = ?, text = ?, edited = ? WHERE room = ? AND id = ?"
    db.execute(sql, (head.rev, _kept(db, body) if body is not None else None, edited, room, id))
    _remember(db, now, head, author, key, id)
    return Done(code, replace(old, rev=head.rev, body=body, edited=edited), head.position)


def _erase(db: sqlite3.Connection, room: int, message: Message) -> None:
    """Overwrite the text on the very spot: see schema.sql."""
    spaces = " " * len((message.body or "").encode())
    sql = "UPDATE text SET body = ? WHERE serial = (SELECT text FROM message WHERE room = ? AND id = ?)"
    db.execute(sql, (spaces, room, message.id))


def _changeable(db: sqlite3.Connection, room: int, id: int, by: int | None) -> Message:
    """The text message that seat `by`, or if None anybody, may change."""
    row = db.execute("SELECT * FROM entry WHERE room = ? AND id = ?", (room, id)).fetchone()
    message = _message(row) if row else None
    if message is None or message.kind != "text" or message.body is None:
        raise Missing(f"There is no text message {id}.")
    if by is not None and not _same_person(db, room, by, message.author):
        raise Missing(f"Message {id} is not theirs.")
    return message


def _same_person(db: sqlite3.Connection, room: int, one: int, other: int | None) -> bool:
    sql = "SELECT count(DISTINCT person), count(*) FROM seat WHERE room = ? AND number IN (?, ?)"
    people, seats = db.execute(sql, (room, one, other)).fetchone()
    return one == other or (people, seats) == (1, 2)


def _here(db: sqlite3.Connection, code: str | None) -> list[Member]:
    sql = (
        "SELECT code, number, person, name, mark FROM seat JOIN room ON room.id = seat.room "
        "WHERE here = 1 AND code = coalesce(?, code) ORDER BY room.id, number"
    )
    return [Member(*row) for row in db.execute(sql, (code,))]


def _history(db: sqlite3.Connection, code: str, before: int | None, limit: int) -> Page:
    head = _head(db, code)
    end = LARGEST if before is None else max(0, min(before, LARGEST))
    limit = max(limit, 0)
    sql = "SELECT * FROM entry WHERE room = ? AND id < ? ORDER BY id DESC LIMIT ?"
    rows = db.execute(sql, (head.room, end, limit + 1)).fetchall()
    more = len(rows) > limit
    messages = [_message(row) for row in reversed(rows[:limit])]
    return Page(messages, head.position, more)


def _changes(db: sqlite3.Connection, code: str, since: Position, window: int) -> Window:
    head = _head(db, code)
    if since.epoch != head.epoch or not 0 <= since.rev <= head.rev:
        raise Resync
    end = min(head.rev, since.rev + max(window, 0))
    created = "SELECT * FROM entry WHERE room = ? AND id > ? AND id <= ? ORDER BY id"
    changed = "SELECT * FROM entry WHERE room = ? AND rev > ? AND rev <= ? AND id <= ? ORDER BY rev"
    return Window(
        [_message(row) for row in db.execute(created, (head.room, since.rev, end))],
        [_message(row) for row in db.execute(changed, (head.room, since.rev, end, since.rev))],
        Position(head.epoch, end),
        head.rev,
    )


def _heads(db: sqlite3.Connection, codes: str) -> dict[str, Position]:
    sql = "SELECT code, epoch, rev FROM room WHERE code IN (SELECT value FROM json_each(?))"
    return {code: Position(epoch, rev) for code, epoch, rev in db.execute(sql, (codes,))}
