"""The PostgreSQL server: connections that are ready for work."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import asyncpg

from chat.logs import waiting
from chat.model.lookalikes import skeleton
from chat.settings import Misconfigured
from chat.store import Durability
from chat.store.postgres.errors import CONNECTION_ERRORS, describe, explain
from chat.store.postgres.hosts import NAME, Connection, Hosts
from chat.store.postgres.instance_lock import InstanceLock, InUse
from chat.store.postgres.schema import MIGRATING, check_server, check_tables, migrate

RECONNECT = 60.0  # s

log = logging.getLogger(__name__)


class Server:
    """Makes connections to the primary, checked and with an up-to-date schema.

    `exclusive` is that of the InstanceLock; None takes none, and leaves it to the caller to look for others.
    """

    def __init__(self, url: str, name: str = NAME, exclusive: bool | None = None) -> None:
        self.hosts = Hosts(url, name)
        self._lock = None if exclusive is None else InstanceLock(self.place, exclusive)

    @property
    def place(self) -> str:
        return self.hosts.place

    def refused(self, why: str, what_to_do: str) -> Misconfigured:
        return self.hosts.refused(why, what_to_do)

    async def reader(self, **options: Any) -> Connection:
        """A connection that only reads, from a database that we know. Raises what `Hosts.connect` does."""
        db = await self.hosts.connect(**options)
        try:
            await check_tables(self.hosts, db)
        except BaseException:
            db.terminate()
            raise
        return db

    async def first(self, wait: float) -> Connection:
        """A connection to a server that suits us, its schema up to date. Raises Misconfigured."""
        with waiting(f"{self.place}, or for another process to let go of it", wait):
            return await self._first(time.monotonic() + wait)

    async def _first(self, deadline: float) -> Connection:
        while True:
            try:
                db = await self.prepared(MIGRATING)
                skeleton("")  # reads the table of look-alikes now rather than while others wait
                return db
            except InUse:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.2)
            except CONNECTION_ERRORS as error:
                if time.monotonic() >= deadline:
                    raise self.refused(
                        f"does not answer: {describe(error)}", "Start it, or correct the address"
                    ) from error
                await asyncio.sleep(0.2)
            except asyncpg.PostgresError as error:
                raise self.refused(f"refuses us: {describe(error)}", explain(error)) from error

    async def prepared(self, wait: float = RECONNECT) -> Connection:
        """A connection that may write: it waits for nodes that prepare the database at the same time.

        Raises what `Hosts.connect` does.
        """
        db = await self.hosts.connect()
        try:
            await check_server(self.hosts, db)
            async with asyncio.timeout(wait):
                await migrate(self.hosts, db, wait)
            if self._lock is not None:
                await self._lock.take(db)
        except BaseException:
            db.terminate()
            raise
        return db

    async def durability(self, db: Connection) -> Durability:
        """What a commit of this session stands for; at least the disk, if the server's disk writes count."""
        names = ("fsync", "synchronous_commit", "synchronous_standby_names")
        fsync, commit, standbys = [await db.fetchval("SELECT current_setting($1)", name) for name in names]
        if commit == "off":
            await db.execute("SET synchronous_commit = on")
        if fsync != "on":
            log.warning("%s runs with fsync = off: a power failure may lose or destroy all", self.place)
            return "os"
        return "replicated" if standbys and commit in {"off", "on", "remote_apply"} else "fsync"
