"""The lock that each process holds while it works on a database: exclusive, or shared with others."""

from __future__ import annotations

from typing import Any

from chat.settings import Misconfigured
from chat.store.postgres.hosts import Connection

INSTANCE_LOCK = 0x73656174  # "seat"

# A lock of each schema, for the schemas of one database are different stores.
LOCK_EXCLUSIVELY = "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))"
LOCK_SHARED = "SELECT pg_try_advisory_lock_shared($1, hashtext(current_schema()))"
PROCESSES = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted AND classid = $1::bigint "
    "AND objid = hashtext(current_schema())::bigint & 4294967295"
)
THIS_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"


class InUse(Misconfigured):
    """Another process works on the database, and the two would not hear of each other."""


class InstanceLock:
    """Held by the writer's session, and so given back however that ends.

    `exclusive` says that no other process may work on the database, as they would hear nothing of this one.
    """

    def __init__(self, place: str, exclusive: bool) -> None:
        self._place = place
        self._exclusive = exclusive
        self._last: tuple[Any, ...] = (0, None)  # the session that had the lock: pid, when it began

    async def take(self, db: Connection) -> None:
        """Raises InUse."""
        if self._exclusive:  # our last session, if the server has not missed it yet
            await db.fetch(END_SESSION, *self._last)
        if not await db.fetchval(LOCK_EXCLUSIVELY if self._exclusive else LOCK_SHARED, INSTANCE_LOCK):
            raise self._in_use()
        self._last = tuple(await db.fetchrow(THIS_SESSION))

    def _in_use(self) -> InUse:
        if self._exclusive:
            return InUse(
                f"CHAT_REDIS_URL is not set, and {self._place} is in use by another process. Several hear of "
                "each other over Redis: set CHAT_REDIS_URL to the same on each, or run one process only "
                "(workers = 0 in hypercorn.toml)."
            )
        return InUse(
            f"CHAT_REDIS_URL is set here, but a process without it is using {self._place}. Set "
            "CHAT_REDIS_URL to the same on each, or stop that process."
        )
