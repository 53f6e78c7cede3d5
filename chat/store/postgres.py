"""The log of several nodes: a PostgreSQL database. One writer and a few readers in each process.

The driver is asyncpg: with 100 senders it took half of psycopg 3's CPU for an append and wrote twice as many
(30 µs and 7,900/s against 63 µs and 4,300/s, on two cores shared with the server).
It prepares statements and relies on settings of its session: a PgBouncer in between must use session mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg

from chat.rooms import Amendment, Done, Member, Page, Position, Room, Verb, Window
from chat.settings import Misconfigured
from chat.store import HISTORY, WINDOW, Missing, Resync, Unavailable, queries, steps
from chat.store.aging import aging_of
from chat.store.jobs import Order, outcome, tell
from chat.store.postgres_server import (
    CONNECT,
    LOST,
    PLACE,
    PROCESSES,
    STATEMENT,
    Connection,
    Durability,
    Server,
    done,
    said,
)
from chat.store.postgres_writer import NOW, Text, Work, Write, Writer
from chat.store.steps import Dialect, Steps
from chat.store.windows import UNBOUNDED

READERS = 6
USED = (
    "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint "
    "FROM unnest('{fact,room,seat,message,once}'::text[]) AS known (name)"
)
PING = 3.0  # s

T = TypeVar("T")

WORDS = Dialect(
    heads="SELECT code, epoch, rev FROM room WHERE code = ANY($1::text[])",
    asked_seats=(
        "SELECT code, seat.number, person, name, mark "
        "FROM unnest($3::bigint[]) WITH ORDINALITY AS asked (number, place) "
        "CROSS JOIN room JOIN seat ON seat.room = room.id AND seat.number = asked.number "
        "WHERE code = $1 AND ended IS NULL AND here = $2 ORDER BY place"
    ),
    mark_seats="UPDATE seat SET here = $1 WHERE room = $2 AND number = ANY($3::bigint[])",
    insert=(
        "INSERT INTO message (room, id, rev, at, author, body, notice, before_author, before_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ),
    expired=f"{queries.EXPIRED} FOR UPDATE SKIP LOCKED",
    closed=f"{queries.CLOSED} FOR UPDATE SKIP LOCKED",
    new_text="",
    erase="",  # the old row is vacuumed away: see postgres.sql
    rewrite="UPDATE message SET rev = $1, body = $2, edited = $3 WHERE room = $4 AND id = $5",
)


class PostgresStore:
    """Rooms and messages in the database at `url`, which may name several hosts: the primary is used.

    Text with lone surrogates cannot be stored: it raises ValueError (UnicodeEncodeError) and changes
    nothing. Times are the database's, or `clock`'s, in seconds; `wait` is how long `open` lets a server
    start, or another process end where this one has to be `alone`.
    """

    def __init__(
        self,
        url: str,
        *,
        alone: bool = False,
        wait: float = 30.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.committed: Callable[[Sequence[Done]], None] = lambda changes: None
        self.doubted: Callable[[], object] = lambda: None
        self.missed: Callable[[], None] = lambda: None
        self.durability: Durability = "fsync"
        self._server = Server(url, alone=alone)
        self._wait = wait
        self._clock = clock
        self._order = Order()
        self._aging = aging_of(clock)
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    async def open(self) -> None:
        db = await self._server.first(self._wait)
        try:
            await self._connected(db)
            self._readers = await Readers.opened(self._server)
        except BaseException:
            db.terminate()
            raise
        self._writer = Writer(
            self._server, db, self._clock, lambda jobs: tell(self.committed, jobs), self._connected
        )

    async def _connected(self, db: Connection) -> None:
        self.durability = await self._server.durability(db)
        self.missed()  # the last connection may have ended between a commit and its answer

    async def close(self) -> None:
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None  # whoever calls from now on is refused
        if readers:
            await readers.stop()
        if writer:
            await writer.stop()

    @property
    def waiting(self) -> int:
        return self._writer.waiting if self._writer else 0

    async def ping(self) -> None:
        await self._read(lambda: _answered(queries.ANY_ROOM), within=PING)

    async def probe(self) -> None:
        await self._write(None, steps.probe)

    async def time(self) -> float:
        if self._clock:
            return self._clock()
        return await self._read(lambda: _counted(NOW)) / 1000

    async def used(self) -> int:
        return await self._read(lambda: _counted(USED))

    async def free(self) -> int | None:
        return None

    async def processes(self) -> int:
        return await self._read(lambda: _counted(PROCESSES, PLACE))

    async def agree(self, name: str, value: str) -> str:
        return await self._write(None, lambda now: steps.agree(name, value))

    async def open_room(self, code: str) -> Room:
        return await self._write(code, lambda now: steps.open_room(now, code))

    async def expire(self) -> int:
        if not self._aging.trusted(await self.time()):
            return 0
        return await self._write(None, lambda now: steps.expire(WORDS, now))

    async def find_room(self, code: str) -> Room | None:
        return await self._read(lambda: steps.find_room(code))

    async def take_seat(self, code: str, person: str, name: str) -> Member:
        return await self._write(code, lambda now: steps.take_seat(now, code, person, name))

    async def find_seat(self, code: str, person: str) -> Member | None:
        return await self._read(lambda: steps.held_seat(code, person))

    async def seats_of(self, code: str, person: str) -> list[int]:
        return await self._read(lambda: steps.seats_of(code, person))

    async def rooms_of(self, person: str, limit: int) -> list[str]:
        return await self._read(lambda: steps.rooms_of(person, limit))

    async def end_seat(self, code: str, person: str, successor: str | None = None) -> Done | None:
        return await self._write(code, lambda now: steps.end_seat(WORDS, now, code, person, successor))

    async def rename_seat(self, code: str, person: str, name: str) -> Done | None:
        return await self._write(code, lambda now: steps.rename_seat(WORDS, now, code, person, name))

    async def announce(self, code: str, verb: Verb, seats: Iterable[int]) -> Done | None:
        numbers = list(dict.fromkeys(seats))
        return await self._write(code, lambda now: steps.announce(WORDS, now, code, verb, numbers))

    async def here(self, code: str | None = None) -> list[Member]:
        return await self._read(lambda: steps.here(code))

    async def append(self, code: str, author: int, key: str, body: str) -> Done:
        for text in (code, key, body):
            text.encode()  # what cannot be said must fail here, where it is nobody else's
        done: Done = await self._submit(code, Text(author, key, body))
        return done

    async def amend(self, code: str, id: int, by: int | None, key: str, change: Amendment) -> Done:
        return await self._write(code, lambda now: steps.amend(WORDS, now, code, id, by, key, change))

    async def history(
        self, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
    ) -> Page:
        return await self._read(lambda: steps.history(code, before, limit, most), one_moment=True)

    async def changes(
        self, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
    ) -> Window:
        return await self._read(lambda: steps.changes(code, since, window, most), one_moment=True)

    async def heads(self, codes: Sequence[str]) -> dict[str, Position]:
        return await self._read(lambda: steps.heads(WORDS, codes))

    async def _write(self, code: str | None, work: Work[T]) -> T:
        result: T = await self._submit(code, work)
        return result

    async def _submit(self, code: str | None, work: Text | Work[Any]) -> Any:
        if self._writer is None:
            raise Unavailable("The store is closed.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        write = Write(future, code, work)
        if code and isinstance(work, Text):
            self._order.append((code, work.author), write)
        self._writer.submit(write)
        return await outcome(write, self.doubted)

    async def _read(
        self, work: Callable[[], Steps[T]], one_moment: bool = False, within: float = STATEMENT
    ) -> T:
        if self._readers is None:
            raise Unavailable("The store is closed.")
        return await self._readers.run(work, one_moment, within)


def _counted(sql: str, *values: Any) -> Steps[int]:
    ((number,),) = yield sql, *values
    return int(number)


def _answered(sql: str) -> Steps[None]:
    yield (sql,)


class Readers:
    """A few connections that only read. What fails with its connection is asked again on another."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def opened(cls, server: Server) -> Readers:
        async def connect(*_: object, **options: Any) -> Connection:
            return await server.reader(**options)

        async def reset(_: Connection) -> None:
            """A question changes nothing about its connection, and after a failure that is ended."""

        # None at least: while the server is away, asyncpg would try again and again to have it.
        return cls(await asyncpg.create_pool(min_size=0, max_size=READERS, connect=connect, reset=reset))

    async def run(self, work: Callable[[], Steps[T]], one_moment: bool, within: float) -> T:
        """The result of what `work` asks, asked a second time if the connection turns out to be dead."""
        self._running += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(within):
                try:
                    return await self._run(work(), one_moment)
                except LOST:
                    return await self._run(work(), one_moment)
        except (*LOST, asyncpg.PostgresError, Misconfigured) as error:
            raise Unavailable(f"PostgreSQL cannot be read: {said(error)}") from error
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _run(self, work: Steps[T], one_moment: bool) -> T:
        async with self._pool.acquire(timeout=CONNECT) as db:
            try:
                return await (_at_one_moment(db, work) if one_moment else done(db, work))
            except (Missing, Resync):
                raise
            except BaseException:
                db.terminate()
                raise

    async def stop(self) -> None:
        """Finish what was asked and close the connections."""
        await self._idle.wait()
        try:
            async with asyncio.timeout(STATEMENT):
                await self._pool.close()
        except (*LOST, asyncpg.PostgresError):
            self._pool.terminate()


async def _at_one_moment(db: Connection, work: Steps[T]) -> T:
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        result = await done(db, work)
    except (Missing, Resync):
        await db.execute("ROLLBACK")
        raise
    await db.execute("ROLLBACK")
    return result
