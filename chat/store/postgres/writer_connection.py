"""The connection on which a process writes: made again after it was lost, and asked to commit."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from chat.settings import Misconfigured
from chat.store.postgres.errors import FAILURES, describe
from chat.store.postgres.hosts import STATEMENT, Connection
from chat.store.postgres.server import Server

BACKOFF = (0.05, 1.0)  # s between attempts to connect: at first, and at most

log = logging.getLogger(__name__)


class Unreplicated(ConnectionError):
    """Stored on the primary, and perhaps nowhere else."""


class WriterConnection:
    """`on_connect` is awaited with each connection after the first, `on_end` is called when one has ended."""

    def __init__(
        self,
        server: Server,
        db: Connection,
        on_connect: Callable[[Connection], Awaitable[object]],
        on_end: Callable[[], object],
    ) -> None:
        self._server = server
        self._on_connect = on_connect
        self._on_end = on_end
        self._failures = 0
        self._unreplicated = False
        self.db: Connection | None = None
        self._use(db)

    @property
    def is_open(self) -> bool:
        return self.db is not None and not self.db.is_closed()

    async def get(self) -> Connection | None:
        """The connection, or a new one; None if there was none to be had just now."""
        if self.is_open:
            return self.db
        try:
            db = await self._server.prepared()
            try:
                await self._on_connect(db)
            except BaseException:
                db.terminate()
                raise
        except (*FAILURES, Misconfigured) as error:
            await self._pause(error)
            return None
        if self._failures:
            log.warning("%s is back after %d attempts", self._server.place, self._failures)
        self._failures = 0
        self._use(db)
        return db

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("%s cannot be reached: %s", self._server.place, describe(error))
        first, most = BACKOFF
        pause = min(most, first * 2 ** min(self._failures, 10))
        await asyncio.sleep(pause * (0.5 + secrets.randbelow(500) / 1000))

    def _use(self, db: Connection) -> None:
        self.db = db
        db.add_log_listener(self._warned)
        db.add_termination_listener(lambda _: self._on_end())

    def _warned(self, db: Connection, message: Any) -> None:
        """A commit that gave up waiting for the standby says so only here, and in any language."""
        self._unreplicated |= isinstance(message, asyncpg.PostgresWarning)

    async def commit(self, db: Connection) -> None:
        """Raises unless the server, and its standby if it waits for one, confirm it."""
        async with self.confirmed():
            answer = await db.execute("COMMIT")
        if answer != "COMMIT":
            raise ConnectionError(f"it answered {answer}")

    @asynccontextmanager
    async def confirmed(self) -> AsyncIterator[None]:
        """Commit within this. Raises Unreplicated if the server did not wait for its standby."""
        self._unreplicated = False
        try:
            async with asyncio.timeout(STATEMENT):
                yield
        finally:
            if self._unreplicated:
                raise Unreplicated("its standby did not confirm it")

    async def roll_back(self, db: Connection) -> bool:
        """False if the connection was lost over it."""
        if not db.is_in_transaction():
            return True
        try:
            async with asyncio.timeout(STATEMENT):
                await db.execute("ROLLBACK")
        except FAILURES as error:
            self.drop(error)
            return False
        return True

    def drop(self, error: BaseException) -> None:
        log.warning("The connection to %s was lost: %s", self._server.place, describe(error))
        if self.db:
            self.db.terminate()
            self.db = None

    async def close(self) -> None:
        if self.db is None:
            return
        try:
            await self.db.close(timeout=STATEMENT)
        except FAILURES:
            self.db.terminate()
