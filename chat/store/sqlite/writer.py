"""The one thread that writes to the SQLite file: it commits everything that waits at once."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from chat.store import NO_ROOM, NotFound, OutcomeUnknown, Unavailable
from chat.store.aging import aging_of
from chat.store.sqlite.batches import Memory, Text
from chat.store.sqlite.transaction import SQLiteTransaction
from chat.store.writes import BATCH, KEY_AGE, PRUNE_EVERY, PRUNE_PORTION, QUEUE, PendingWrite

WIPE_EVERY = 1.0  # s, at most

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Write(PendingWrite[T]):
    """A job that is done in the writer's thread."""

    work: Callable[[SQLiteTransaction], T]
    code: str | None = None  # of the one room that it is about; None if it may be any
    text: Text | None = None  # if it appends one
    erases: bool = field(init=False, default=False)

    def run(self, db: sqlite3.Connection, now: int) -> bool:
        """Do the work within a transaction; False if the transaction must be rolled back."""
        if self.must_fail:
            self.fail(Unavailable("The text before it could not be stored."))
            return True
        written = db.total_changes
        try:
            tx = SQLiteTransaction(db, now)
            self.succeed(self.work(tx), tx.changes)
            self.erases = tx.erases
        except Exception as error:
            self.fail(_refusal(error))
            return db.total_changes == written and db.in_transaction
        return True


def _refusal(error: Exception) -> Exception:
    """What to tell the caller whose own work, and nobody else's, failed with `error`."""
    if isinstance(error, OverflowError):
        return NotFound("There is no such number.")
    if isinstance(error, sqlite3.Error):
        log.error("A write failed: %s", error)
        return Unavailable(f"The store cannot write: {error}")
    return error


class Writer:
    """The one thread that writes: it commits together whatever was waiting, in the order of arrival.

    No artificial delay: while one commit waits for the disk, the next batch gathers. `notify` is called in
    the event loop with each batch that is done.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        clock: Callable[[], float],
        notify: Callable[[Sequence[Write[Any]]], object],
    ) -> None:
        self._db = db
        self._clock = clock
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._memory = Memory(db)
        self._gathered: list[Write[Any]] = []  # in the event loop, while the thread is busy
        self._busy = False
        self._queue: SimpleQueue[list[Write[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="chat-writer", daemon=True)
        self._stopping = False
        self._wipe_due = True  # a killed process may have left deleted text in the WAL
        self._wipe_after = 0.0
        self._prune_due = 0
        self._aging = aging_of(clock)

    def start(self) -> None:
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._gathered)

    def submit(self, job: Write[Any]) -> None:
        if len(self._gathered) >= QUEUE:
            job.cancel()
            raise Unavailable(f"{QUEUE} writes are waiting already.")
        self._gathered.append(job)
        if not self._busy:
            self._hand_over()

    def _hand_over(self) -> None:
        batch, self._gathered = self._gathered[:BATCH], self._gathered[BATCH:]
        self._busy = bool(batch)
        if batch:
            self._queue.put(batch)

    def _done(self, batch: Sequence[Write[Any]]) -> None:
        """The next batch goes first, so that it is written while callers hear of this one."""
        self._hand_over()
        self._notify(batch)

    async def stop(self) -> None:
        """Finish what was submitted and close the file."""
        while self._gathered:
            self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        with closing(self._db):
            while not self._stopping:
                if batch := self._next():
                    self._commit(batch)
                    if any(job.erases and job.code for job in batch):  # no mere draft, nor an old room
                        # Who deletes a text hears of it when it is in no byte, if nobody reads just then.
                        self._attempt(self._wipe)
                    self._tell(batch)
                self._tidy()

    def _next(self) -> list[Write[Any]]:
        try:
            batch = self._queue.get(timeout=WIPE_EVERY if self._wipe_due else None)
        except Empty:
            return []
        self._stopping = batch is None
        return batch or []

    def _commit(self, batch: Sequence[Write[Any]], together: bool = True) -> None:
        """Write the batch in one transaction; its texts `together`, unless one of them is unusual.

        Savepoints would cost more than they save: a job that is refused has written nothing yet, and the
        rare one that fails later sends each of its batch into a transaction of its own.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._memory.check()
            if self._run(batch, together):
                self._db.execute("COMMIT")
                self._wipe_due |= any(job.erases for job in batch)
                return
            self._roll_back()
            if together:
                self._commit(batch, together=False)
            elif len(batch) > 1:
                for job in batch:
                    self._commit([job], together=False)
        except Exception as error:
            log.error("%d writes failed: %s", len(batch), error)
            failure = _failure(error)
            for job in batch:
                job.fail(failure(f"The store cannot write: {error}"))
            self._roll_back()

    def _run(self, batch: Sequence[Write[Any]], together: bool) -> bool:
        """Do it all, in its order; False if the transaction must be rolled back."""
        for are_texts, run in groupby(batch, lambda job: together and job.text and not job.must_fail):
            jobs = list(run)
            if not are_texts:
                if not all(map(self._run_one, jobs)):
                    return False
                continue
            try:
                changes = self._memory.append(self._now(), [job.text for job in jobs if job.text])
            except Exception:  # whose it is, and whether it is one, is found out one by one
                return False
            for job, change in zip(jobs, changes, strict=True):
                job.succeed(change, (change,))
        return True

    def _run_one(self, job: Write[Any]) -> bool:
        if job.code != NO_ROOM:
            self._memory.forget(job.code)
        return job.run(self._db, self._now())

    def _roll_back(self) -> None:
        self._memory.forget()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("A failed transaction could not be rolled back")

    def _tell(self, batch: Sequence[Write[Any]]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._done, batch)
        except RuntimeError:
            log.warning("The event loop ended before %d writes were answered", len(batch))

    def _tidy(self) -> None:
        """Housekeeping that nobody waits for."""
        if self._wipe_due and time.monotonic() >= self._wipe_after:
            self._attempt(self._wipe)
        if not 0 < self._prune_due - self._now() <= PRUNE_EVERY:  # nor was the clock set back since
            self._attempt(self._prune)

    def _attempt(self, housekeeping: Callable[[], None]) -> None:
        try:
            housekeeping()
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
        if not self._aging.trusted(now / 1000):
            self._prune_due = now + PRUNE_EVERY
            return
        old = "SELECT room, author, key FROM idempotency_key WHERE at < ? ORDER BY at LIMIT ?"
        self._db.execute("BEGIN IMMEDIATE")
        keys = self._db.execute(old, (now - KEY_AGE, PRUNE_PORTION)).fetchall()
        self._db.executemany("DELETE FROM idempotency_key WHERE room = ? AND author = ? AND key = ?", keys)
        self._db.execute("COMMIT")
        self._prune_due = now if len(keys) == PRUNE_PORTION else now + PRUNE_EVERY

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _failure(error: Exception) -> type[OutcomeUnknown | Unavailable]:
    """OutcomeUnknown if the disk failed: SQLite took the writes back, yet a crash may bring them to light."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return OutcomeUnknown if code == sqlite3.SQLITE_IOERR else Unavailable
