"""The one task of a process that writes to PostgreSQL: it commits everything that waits at once."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from chat.settings import Misconfigured
from chat.store import OutcomeUnknown, Unavailable
from chat.store.aging import aging_of
from chat.store.postgres.batches import Text, append, do, runs_of
from chat.store.postgres.server import LOST, STATEMENT, Connection, Server, said
from chat.store.postgres.transaction import Question, to_postgres
from chat.store.writes import PendingWrite

BATCH = 256  # writes that share one commit
QUEUE = 5000  # writes that may wait
PATIENCE = 5.0  # s that a write waits for its turn
KEY_AGE = 72 * 3600 * 1000  # ms; the promise is 48 hours
PRUNE_EVERY = 60 * 1000  # ms
PRUNE_PORTION = 500  # keys; more than a batch can add
BACKOFF = (0.05, 1.0)  # s between attempts to connect: at first, and at most

# In the order of ids, so that two nodes never wait for one another.
LOCK = "SELECT FROM room WHERE code = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
LOCK_THESE = "SELECT FROM room WHERE code IN ({}) ORDER BY id FOR NO KEY UPDATE"
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

PRUNE = (
    "WITH old AS (SELECT room, author, key FROM idempotency_key WHERE at < $1 ORDER BY at LIMIT $2 "
    "FOR UPDATE SKIP LOCKED), "
    "gone AS (DELETE FROM idempotency_key AS done USING old WHERE done.room = old.room "
    "AND done.author = old.author AND done.key = old.key) SELECT count(*) FROM old"
)

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Write(PendingWrite[Any]):
    """A job of the writer's task: in the room `code`, if in any."""

    code: str | None
    work: Text | Question[Any]
    deadline: float = field(default_factory=lambda: asyncio.get_running_loop().time() + PATIENCE)

    @property
    def appends(self) -> bool:
        return isinstance(self.work, Text)


class Writer:
    """Commits together whatever was waiting, in the order of arrival.

    While PostgreSQL is away, writes wait a little for it to come back. What the end of a connection leaves
    uncommitted is done again on the next one; only where a COMMIT was sent and not answered, nobody knows.
    """

    def __init__(
        self,
        server: Server,
        db: Connection,
        clock: Callable[[], float] | None,
        tell: Callable[[Sequence[PendingWrite[Any]]], object],
        connected: Callable[[Connection], Any],
    ) -> None:
        self._server = server
        self._db: Connection | None = None
        self._clock = clock
        self._tell = tell
        self._connected = connected
        self._waiting: deque[Write] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._expiry: asyncio.TimerHandle | None = None
        self._failures = 0
        self._unreplicated = False
        self._prune_due = 0
        self._aging = aging_of(clock)
        self._use(db)
        self._task = asyncio.create_task(self._work(), name="chat-writer")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, write: Write) -> None:
        if len(self._waiting) >= QUEUE:
            write.cancel()
            raise Unavailable(f"{QUEUE} writes are waiting for PostgreSQL already.")
        self._waiting.append(write)
        self._wake.set()
        self._watch()

    async def stop(self) -> None:
        """Finish what was submitted and close the connection."""
        self._stopping = True
        self._wake.set()
        await self._task

    async def _work(self) -> None:
        while await self._anything():
            batch: list[Write] = []
            try:
                if (db := await self._connection()) and (batch := self._taken()):
                    self._put_back(await self._commit(db, batch))
                    await self._tidy()
            except Exception as error:
                log.exception("%d writes failed", len(batch))
                self._drop(error)
                for write in batch:
                    write.fail(OutcomeUnknown(f"The writer failed: {said(error)}"))
                self._tell(batch)
        if self._expiry:
            self._expiry.cancel()
        if self._db:
            await _closed(self._db)

    async def _anything(self) -> bool:
        """Wait until there is something to do, be it only to connect again; False if there never will be."""
        while not self._waiting and not self._stopping and self._db and not self._db.is_closed():
            self._wake.clear()
            await self._wake.wait()
        return bool(self._waiting) or not self._stopping

    def _taken(self) -> list[Write]:
        """What is written next, without what nobody waits for any more: it will be said again, later."""
        batch: list[Write] = []
        while self._waiting and len(batch) < BATCH:
            write = self._waiting.popleft()
            if not write.is_settled:
                batch.append(write)
        return self._sound(batch)

    def _sound(self, batch: Iterable[Write]) -> list[Write]:
        """Without the texts that had to follow one that could not be stored."""
        sound: list[Write] = []
        must_fail: list[Write] = []
        for write in batch:
            (must_fail if write.must_fail else sound).append(write)
            if write.must_fail:
                write.fail(Unavailable("The text before it could not be stored."))
        self._tell(must_fail)
        return sound

    def _put_back(self, writes: Sequence[Write]) -> None:
        self._waiting.extendleft(reversed(writes))
        self._expire()

    def _watch(self) -> None:
        """See to it that nothing waits longer than it should, whatever the writer waits for itself."""
        if self._waiting and self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(self._waiting[0].deadline, self._expire)

    def _expire(self) -> None:
        if self._expiry:
            self._expiry.cancel()
            self._expiry = None
        now = asyncio.get_running_loop().time()
        late: list[Write] = []
        while self._waiting and self._waiting[0].deadline <= now:
            late.append(self._waiting.popleft())
        for write in late:
            write.fail(Unavailable("PostgreSQL did not take the write in time."))
        if late:
            log.warning("PostgreSQL did not take %d writes in time", len(late))
            self._tell(late)
            self._waiting = deque(self._sound(self._waiting))
        self._watch()

    async def _connection(self) -> Connection | None:
        """The connection, or a new one; None if there was none to be had just now."""
        if self._db and not self._db.is_closed():
            return self._db
        try:
            db = await self._server.prepared()
            try:
                await self._connected(db)
            except BaseException:
                db.terminate()
                raise
        except (*LOST, asyncpg.PostgresError, Misconfigured) as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("%s cannot be reached: %s", self._server.place, said(error))
            first, most = BACKOFF
            pause = min(most, first * 2 ** min(self._failures, 10))
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(500) / 1000))
            return None
        if self._failures:
            log.warning("%s is back after %d attempts", self._server.place, self._failures)
        self._failures = 0
        self._use(db)
        return db

    def _use(self, db: Connection) -> None:
        self._db = db
        db.add_log_listener(self._warned)
        db.add_termination_listener(lambda _: self._wake.set())

    def _warned(self, db: Connection, message: Any) -> None:
        """A commit that gave up waiting for the standby says so only here, and in any language."""
        self._unreplicated |= isinstance(message, asyncpg.PostgresWarning)

    def _drop(self, error: BaseException) -> None:
        log.warning("The connection to %s was lost: %s", self._server.place, said(error))
        if self._db:
            self._db.terminate()
            self._db = None

    async def _commit(self, db: Connection, batch: Sequence[Write]) -> Sequence[Write]:
        """Write the batch in one transaction; returns what is certainly not written and may be tried again.

        Savepoints would cost more than they save: a write that is refused has written nothing yet, and the
        rare one that fails later sends each of its batch into a transaction of its own.
        """
        try:
            async with asyncio.timeout(STATEMENT):
                await self._begin(db, batch)
                await self._write(db, batch)
        except asyncpg.DataError as error:  # an InterfaceError, too
            return await self._apart(db, batch, error)
        except LOST as error:
            self._drop(error)
            return batch
        except (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError) as error:
            log.warning("%d writes have to be tried again: %s", len(batch), said(error))
            await self._rolled_back(db)
            return batch
        except Exception as error:
            return await self._apart(db, batch, error)
        await self._confirm(db, batch)
        return ()

    async def _apart(self, db: Connection, batch: Sequence[Write], error: Exception) -> Sequence[Write]:
        """After a failure that one of the batch must have caused."""
        if not await self._rolled_back(db):
            return batch
        if len(batch) == 1:
            batch[0].fail(_refusal(error))
            self._tell(batch)
            return ()
        for n, write in enumerate(batch):
            if (sound := self._sound([write])) and await self._commit(db, sound):
                return batch[n:]
        return ()

    async def _rolled_back(self, db: Connection) -> bool:
        try:
            async with asyncio.timeout(STATEMENT):
                await db.execute("ROLLBACK")
        except (*LOST, asyncpg.PostgresError) as error:
            self._drop(error)
            return False
        return True

    async def _confirm(self, db: Connection, batch: Sequence[Write]) -> None:
        """Commit, and tell."""
        self._unreplicated = False
        try:
            async with asyncio.timeout(STATEMENT):
                answer = await db.execute("COMMIT")
            if answer != "COMMIT" or self._unreplicated:
                raise ConnectionError(f"it answered {answer}, its standby nothing")
        except Exception as error:
            self._drop(error)
            for write in batch:
                write.fail(OutcomeUnknown(f"PostgreSQL did not confirm the write: {said(error)}"))
        self._tell(batch)

    async def _begin(self, db: Connection, batch: Sequence[Write]) -> None:
        """Begin, and lock the rooms: their heads stay where they are until the transaction ends."""
        codes = sorted({write.code for write in batch if write.code is not None})
        if all(map(_plain, codes)):
            await db.execute(f"{BEGIN}; {LOCK_THESE.format(', '.join(map(repr, codes)))}" if codes else BEGIN)
        else:
            await db.execute(BEGIN)
            await db.fetch(LOCK, [to_postgres(code) for code in codes])

    async def _write(self, db: Connection, batch: Sequence[Write]) -> None:
        runs = list(runs_of(batch))
        now = 0
        if len(runs) > 1 or not batch[0].appends:
            now = self._given_time() or await db.fetchval(NOW)
        for run in runs:
            if run[0].appends:
                await append(db, run, self._given_time() or None)
                continue
            for write in run:
                await do(db, write, now)

    def _given_time(self) -> int:
        return int(self._clock() * 1000) if self._clock else 0

    async def _tidy(self) -> None:
        """Housekeeping that nobody waits for."""
        db, due = self._db, self._given_time() or int(asyncio.get_running_loop().time() * 1000)
        if db is None or due < self._prune_due:
            return
        try:
            async with asyncio.timeout(STATEMENT):
                now = self._given_time() or await db.fetchval(NOW)
                if not self._aging.trusted(now / 1000):
                    self._prune_due = due + PRUNE_EVERY
                    return
                keys = await db.fetchval(PRUNE, now - KEY_AGE, PRUNE_PORTION)
            self._prune_due = due if keys == PRUNE_PORTION else due + PRUNE_EVERY
        except (*LOST, asyncpg.PostgresError) as error:
            log.warning("Housekeeping failed and will be tried again: %s", said(error))
            self._drop(error)


def _plain(code: str) -> bool:
    """Whether it may be written into a statement as it is."""
    return code.isascii() and code.isalnum()


def _refusal(error: Exception) -> Exception:
    """What to tell the caller whose own work, and nobody else's, failed with `error`."""
    if isinstance(error, asyncpg.PostgresError):
        log.error("A write failed: %s", error)
        return Unavailable(f"PostgreSQL cannot write: {said(error)}")
    return error


async def _closed(db: Connection) -> None:
    try:
        await db.close(timeout=STATEMENT)
    except (*LOST, asyncpg.PostgresError):
        db.terminate()
