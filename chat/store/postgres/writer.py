"""The one task of a process that writes to PostgreSQL: it commits everything that waits at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from chat.store import OutcomeUnknown, Unavailable
from chat.store.aging import aging_of
from chat.store.postgres.batches import answer, append, begin, by_key, write_all
from chat.store.postgres.errors import FAILURES, NOT_DONE, RETRYABLE, describe, is_lost
from chat.store.postgres.hosts import STATEMENT, Connection
from chat.store.postgres.queue import Queue, Write
from chat.store.postgres.server import Server
from chat.store.postgres.transaction import NOW
from chat.store.postgres.writer_connection import Unreplicated, WriterConnection
from chat.store.writes import KEY_AGE, PRUNE_EVERY, PRUNE_PORTION, PendingWrite

PRUNE = (
    "WITH old AS (SELECT room, author, key FROM idempotency_key WHERE at < $1 ORDER BY at LIMIT $2 "
    "FOR UPDATE SKIP LOCKED), "
    "gone AS (DELETE FROM idempotency_key AS done USING old WHERE done.room = old.room "
    "AND done.author = old.author AND done.key = old.key) SELECT count(*) FROM old"
)

log = logging.getLogger(__name__)


class Writer:
    """Commits together whatever was waiting, in the order of arrival.

    While PostgreSQL is away, writes wait a little for it to come back. What the end of a connection leaves
    uncommitted is done again on the next one; only where a COMMIT was sent and not answered, nobody knows.
    Texts are sent again even then: each has a one-time key.
    """

    def __init__(
        self,
        server: Server,
        db: Connection,
        clock: Callable[[], float] | None,
        notify: Callable[[Sequence[PendingWrite[Any]]], object],
        on_connect: Callable[[Connection], Awaitable[object]],
    ) -> None:
        self._wake = asyncio.Event()
        self._connection = WriterConnection(server, db, on_connect, self._wake.set)
        self._queue = Queue(notify)
        self._clock = clock
        self._notify = notify
        self._stopping = False
        self._prune_due = 0
        self._aging = aging_of(clock)
        self._task = asyncio.create_task(self._work(), name="chat-writer")

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def submit(self, write: Write) -> None:
        """Raises Unavailable."""
        self._queue.put(write)
        self._wake.set()

    async def stop(self) -> None:
        """Finish what was submitted and close the connection."""
        self._stopping = True
        self._wake.set()
        await self._task

    async def _work(self) -> None:
        while await self._anything():
            batch: list[Write] = []
            try:
                if (db := await self._connection.get()) and (batch := self._queue.take()):
                    self._queue.put_back(await self._commit(db, batch))
                    await self._tidy()
            except Exception as error:
                log.exception("%d writes failed", len(batch))
                self._connection.drop(error)
                for write in batch:
                    write.fail(OutcomeUnknown(f"The writer failed: {describe(error)}"))
                self._notify(batch)
        self._queue.stop_watching()
        await self._connection.close()

    async def _anything(self) -> bool:
        """Wait until there is something to do, be it only to connect again; False if there never will be."""
        while not self._queue and not self._stopping and self._connection.is_open:
            self._wake.clear()
            await self._wake.wait()
        return bool(self._queue) or not self._stopping

    async def _commit(self, db: Connection, batch: Sequence[Write]) -> Sequence[Write]:
        """Write the batch in one transaction; returns what is certainly not written and may be tried again.

        Savepoints would cost more than they save: a write that is refused has written nothing yet, and the
        rare one that fails later sends each of its batch into a transaction of its own.
        """
        if all(write.appends for write in batch):
            return await self._append(db, batch)
        try:
            async with asyncio.timeout(STATEMENT):
                await begin(db, batch)
                await write_all(db, batch, self._given_time())
        except Exception as error:
            return await self._after(error, db, batch)
        await self._confirm(db, batch)
        return ()

    async def _append(self, db: Connection, batch: Sequence[Write]) -> Sequence[Write]:
        """Texts alone: written and committed by one question, which may be asked again.

        If its answer is lost, they may be stored. Asked again, their one-time keys tell.
        """
        asked, stored = by_key(batch), False
        try:
            async with self._connection.confirmed():
                rows = await append(db, asked, self._given_time() or None)
            stored = True
            async with asyncio.timeout(STATEMENT):
                await answer(db, asked, rows)
        except Unreplicated as error:
            self._unconfirmed(batch, error)
            return ()
        except Exception as error:
            unknown = is_lost(error) and not isinstance(error, NOT_DONE)
            for write in batch:
                write.may_be_stored |= stored or unknown
            return await self._after(error, db, batch)
        self._notify(batch)
        return ()

    async def _after(self, error: Exception, db: Connection, batch: Sequence[Write]) -> Sequence[Write]:
        """What of a batch that failed may be tried again."""
        if is_lost(error):
            self._connection.drop(error)
            return batch
        if isinstance(error, RETRYABLE):
            log.warning("%d writes have to be tried again: %s", len(batch), describe(error))
            await self._connection.roll_back(db)
            return batch
        return await self._apart(db, batch, error)

    async def _apart(self, db: Connection, batch: Sequence[Write], error: Exception) -> Sequence[Write]:
        """After a failure that one of the batch must have caused."""
        if not await self._connection.roll_back(db):
            return batch
        if len(batch) == 1:
            batch[0].fail(OutcomeUnknown(describe(error)) if batch[0].may_be_stored else _refusal(error))
            self._notify(batch)
            return ()
        for n, write in enumerate(batch):
            if (sound := self._queue.fail_followers([write])) and await self._commit(db, sound):
                return batch[n:]
        return ()

    async def _confirm(self, db: Connection, batch: Sequence[Write]) -> None:
        """Commit, and let the writers know; without an answer, whether it was stored is not known."""
        try:
            await self._connection.commit(db)
        except Exception as error:
            self._unconfirmed(batch, error)
        else:
            self._notify(batch)

    def _unconfirmed(self, batch: Sequence[Write], error: Exception) -> None:
        self._connection.drop(error)
        for write in batch:
            write.fail(OutcomeUnknown(f"PostgreSQL did not confirm the write: {describe(error)}"))
        self._notify(batch)

    def _given_time(self) -> int:
        return int(self._clock() * 1000) if self._clock else 0

    async def _tidy(self) -> None:
        """Housekeeping that nobody waits for."""
        db, due = self._connection.db, self._given_time() or int(asyncio.get_running_loop().time() * 1000)
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
        except FAILURES as error:
            log.warning("Housekeeping failed and will be tried again: %s", describe(error))
            self._connection.drop(error)


def _refusal(error: Exception) -> Exception:
    """What to answer the caller whose own work, and nobody else's, failed with `error`."""
    if isinstance(error, asyncpg.PostgresError):
        log.error("A write failed: %s", error)
        return Unavailable(f"PostgreSQL cannot write: {describe(error)}")
    return error
