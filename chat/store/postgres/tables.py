"""The PostgreSQL database as tables that can be copied."""

from __future__ import annotations

from collections.abc import Sequence

from chat.store import queries
from chat.store.postgres.hosts import NAME, Connection
from chat.store.postgres.schema import MIGRATING
from chat.store.postgres.server import Server
from chat.store.tables import ROOM, TABLES, Row, Table, counting, last_key, page

OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1 "
    "AND pid <> pg_backend_pid()"
)


class PostgresTables:
    """Nodes that use it are noticed before and after; meanwhile an unfinished copy keeps new ones out."""

    def __init__(self, url: str, is_source: bool) -> None:
        self._server = Server(url, f"{NAME} move-store")
        self.place = self._server.place
        self._is_source = is_source
        self._db: Connection

    async def open(self) -> None:
        self._db = await self._server.first(wait=0)
        try:
            await self._require_peace()
        except BaseException:
            self._db.terminate()
            raise

    async def _require_peace(self) -> None:
        others = await self._db.fetchval(OTHERS, f"{NAME}%")
        if others:
            raise self._server.refused(
                f"is in use by {others} connections of this program", "Stop every node that uses it"
            )

    async def close(self) -> None:
        await self._db.close(timeout=10)

    async def metadata(self) -> dict[str, str]:
        return dict(await self._db.fetch(queries.ALL_METADATA))

    async def set_metadata(self, name: str, value: str | None) -> None:
        if value is None:
            await self._db.execute(queries.FORGET_METADATA, name)
        else:
            await self._db.execute(queries.SET_METADATA, name, value)

    async def count(self, table: Table) -> int:
        return int(await self._db.fetchval(counting(table), timeout=MIGRATING))

    async def last(self, table: Table) -> Row | None:
        row = await self._db.fetchrow(last_key(table))
        return tuple(row) if row else None

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        found = await self._db.fetch(page(table, table.name, after), *(after or ()), limit, timeout=MIGRATING)
        return [tuple(row) for row in found]

    async def put(self, table: Table, rows: Sequence[Row]) -> None:
        await self._db.copy_records_to_table(
            table.name, records=rows, columns=table.columns, timeout=MIGRATING
        )

    async def finish(self) -> None:
        await self._require_peace()
        if self._is_source:
            return
        await self._db.execute(
            f"SELECT setval(pg_get_serial_sequence('{ROOM.name}', 'id'), "  # noqa: S608
            f"(SELECT 1 + coalesce(max(id), 0) FROM {ROOM.name}), false)"
        )
        for table in TABLES:
            await self._db.execute(f"ANALYZE {table.name}", timeout=MIGRATING)
