"""The log of several nodes: a PostgreSQL database. One writer and a few readers in each process.

The driver is asyncpg: with 100 senders it took half of psycopg 3's CPU for an append and wrote twice as many
(30 µs and 7,900/s against 63 µs and 4,300/s, on two cores shared with the server).
It prepares statements and relies on settings of its session: a PgBouncer in between must use session mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

import asyncpg

from chat.model.changes import Change
from chat.model.errors import Refused
from chat.settings import Misconfigured
from chat.store import Durability, NotFound, Resync, Unavailable, queries
from chat.store.appending import Extra, append
from chat.store.postgres.errors import CONNECTION_ERRORS, FAILURES, describe
from chat.store.postgres.hosts import CONNECT, STATEMENT, Connection
from chat.store.postgres.instance_lock import INSTANCE_LOCK, PROCESSES
from chat.store.postgres.queue import Text, Write
from chat.store.postgres.schema import OUR_TABLES
from chat.store.postgres.server import Server
from chat.store.postgres.transaction import NOW, PostgresTransaction, Question
from chat.store.postgres.writer import Writer
from chat.store.transaction import P, Transaction, Work
from chat.store.writes import AuthorOrder, Listeners, PendingWrite

READERS = 6
USED = (
    "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint "
    "FROM unnest($1::text[]) AS known (name)"
)
PING = 3.0  # s

ANSWERS = (NotFound, Refused, Resync)  # of a function that is given a transaction; its connection is well

T = TypeVar("T")


class PostgresStore:
    """Rooms and messages in the database at `url`, which may name several hosts: the primary is used.

    Text with lone surrogates cannot be stored: it raises ValueError (UnicodeEncodeError) and changes
    nothing. Times are the database's, or `clock`'s, in seconds; `wait` is how long `open` lets a server
    start, or another process end where this one has to be `exclusive`.
    """

    def __init__(
        self,
        url: str,
        *,
        exclusive: bool = False,
        wait: float = 30.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._listeners = Listeners()
        self.listen = self._listeners.listen
        self.durability: Durability = "fsync"
        self._server = Server(url, exclusive=exclusive)
        self._wait = wait
        self._clock = clock
        self._order = AuthorOrder()
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
            self._server,
            db,
            self._clock,
            self._listeners.notify,
            self._connected,
        )

    async def _connected(self, db: Connection) -> None:
        self.durability = await self._server.durability(db)
        self._listeners.on_gap()  # the last connection may have ended between a commit and its answer

    async def close(self) -> None:
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None  # calls from now on are refused
        if readers:
            await readers.stop()
        if writer:
            await writer.stop()

    @property
    def waiting(self) -> int:
        return self._writer.waiting if self._writer else 0

    async def ping(self) -> None:
        await self._read(lambda tx: tx.fetch(queries.ANY_ROOM), within=PING)

    async def time(self) -> float:
        if self._clock:
            return self._clock()
        return await self._read(lambda tx: _number(tx, NOW)) / 1000

    async def used(self) -> int:
        return await self._read(lambda tx: _number(tx, USED, OUR_TABLES))

    async def free(self) -> int | None:
        return None

    async def processes(self) -> int:
        return await self._read(lambda tx: _number(tx, PROCESSES, INSTANCE_LOCK))

    def append(
        self, code: str, author: int, key: str, body: str, extra: Extra | None = None
    ) -> PendingWrite[Change]:
        for text in (code, key, body):
            text.encode()  # what cannot be stored fails here, where it harms no other write
        if extra is None:
            return self._submit(code, Text(author, key, body), author)
        return self._submit(code, lambda tx: append(tx, code, author, key, body, extra), author)

    async def read(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._read(lambda tx: work(tx, *args, **kwargs))

    async def snapshot(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._read(lambda tx: work(tx, *args, **kwargs), one_moment=True)

    async def write(self, code: str | None, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._submit(code, lambda tx: work(tx, *args, **kwargs))
        return result

    def _submit(
        self, code: str | None, work: Text | Question[Any], author: int | None = None
    ) -> PendingWrite[Any]:
        """`author` is the seat whose text it is, if it is one."""
        if self._writer is None:
            raise Unavailable("The store is closed.")
        write: Write = Write(code, work)
        if code and author is not None:
            self._order.append((code, author), write)
        self._writer.submit(write)
        return write

    async def _read(self, work: Question[T], one_moment: bool = False, within: float = STATEMENT) -> T:
        if self._readers is None:
            raise Unavailable("The store is closed.")
        return await self._readers.run(work, one_moment, within)


async def _number(tx: Transaction, sql: str, *values: Any) -> int:
    ((number,),) = await tx.fetch(sql, *values)
    return int(number)


class Readers:
    """A few connections that only read. What fails with its connection is asked again on another.

    They outlive the requests that use them, so none of their timers and callbacks may begin in the context of
    one: it would hold the request, with the texts of its form, for as long.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def opened(cls, server: Server) -> Readers:
        async def connect(*_: object, **options: Any) -> Connection:
            return await _made_apart(server.reader(**options))

        async def reset(_: Connection) -> None:
            """A question changes nothing about its connection, and after a failure that is ended."""

        # None at least: while the server is away, asyncpg would try again and again to have it.
        return cls(
            await asyncpg.create_pool(
                min_size=0,
                max_size=READERS,
                max_inactive_connection_lifetime=0,
                connect=connect,
                reset=reset,
            )
        )

    async def run(self, work: Question[T], one_moment: bool, within: float) -> T:
        """The result of what `work` asks, asked a second time if the connection turns out to be dead."""
        self._running += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(within):
                try:
                    return await self._run(work, one_moment)
                except CONNECTION_ERRORS:
                    return await self._run(work, one_moment)
        except (*FAILURES, Misconfigured) as error:
            raise Unavailable(f"PostgreSQL cannot be read: {describe(error)}") from error
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _run(self, work: Question[T], one_moment: bool) -> T:
        async with self._pool.acquire(timeout=CONNECT) as db:
            try:
                return await (_at_one_moment(db, work) if one_moment else work(PostgresTransaction(db)))
            except ANSWERS:
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
        except FAILURES:
            self._pool.terminate()


async def _made_apart(connecting: Coroutine[Any, Any, Connection]) -> Connection:
    """A connection made in an empty context. One that comes for a request that was cancelled is ended."""
    making = asyncio.create_task(connecting, context=Context())
    try:
        return await making
    except BaseException:
        making.add_done_callback(_end)
        raise


def _end(making: asyncio.Task[Connection]) -> None:
    if not making.cancelled() and not making.exception():
        making.result().terminate()


async def _at_one_moment(db: Connection, work: Question[T]) -> T:
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        result = await work(PostgresTransaction(db))
    except ANSWERS:
        await db.execute("ROLLBACK")
        raise
    await db.execute("ROLLBACK")
    return result
