"""The PostgreSQL database while no node uses it."""

from __future__ import annotations

import time

import asyncpg

from chat.store import Unavailable
from chat.store.postgres.errors import CONNECTION_ERRORS, FAILURES, describe
from chat.store.postgres.hosts import NAME, Connection
from chat.store.postgres.instance_lock import InUse
from chat.store.postgres.schema import MIGRATING, OUR_TABLES
from chat.store.postgres.server import Server
from chat.store.postgres.transaction import PostgresTransaction
from chat.store.transaction import P, T, Work

NEXT_ROOM = (
    "SELECT setval(pg_get_serial_sequence('room', 'id'), (SELECT 1 + coalesce(max(id), 0) FROM room), false)"
)
CLOSE = 10.0  # s


class ExclusivePostgres:
    """It holds the lock of a process that works alone, so no node starts meanwhile."""

    refusals: tuple[type[Exception], ...] = (
        asyncpg.IntegrityConstraintViolationError,
        asyncpg.ProgramLimitExceededError,
    )

    def __init__(self, url: str) -> None:
        self._server = Server(url, f"{NAME} copy", exclusive=True)
        self.place = self._server.place
        self._db: Connection

    async def open(self) -> None:
        try:
            self._db = await self._server.first(wait=0)
        except InUse as error:
            raise self._server.refused(
                "is in use by another process of this program", "Stop every node that uses it"
            ) from error

    async def close(self) -> None:
        try:
            await self._db.close(timeout=CLOSE)
        except FAILURES:
            self._db.terminate()

    async def run(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            async with self._db.transaction():
                tx = PostgresTransaction(self._db, int(time.time() * 1000), within=MIGRATING)
                return await work(tx, *args, **kwargs)
        except CONNECTION_ERRORS as error:
            raise Unavailable(f"the connection to {self.place} was lost: {describe(error)}") from error

    async def finish(self) -> None:
        await self._db.execute(NEXT_ROOM)
        for table in OUR_TABLES:
            await self._db.execute(f"ANALYZE {table}", timeout=MIGRATING)
