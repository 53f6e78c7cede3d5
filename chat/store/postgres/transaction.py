"""A transaction of PostgreSQL, and what its SQL says in its own way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from chat.model.changes import Change
from chat.store import queries
from chat.store.postgres.hosts import Connection
from chat.store.records import ESCAPE
from chat.store.transaction import Dialect, Rows, Transaction

T = TypeVar("T")
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

# jsonb has no NUL, which a feature that is not known here may have kept; of META only numbers are looked at.
VALUES = r"CAST(replace(META, '\u0000', '\u0020') AS jsonb)"

Question = Callable[[Transaction], Awaitable[T]]

DIALECT = Dialect(
    heads="SELECT code, epoch, rev FROM room WHERE code = ANY($1::text[])",
    asked_seats=(
        "SELECT code, seat.number, person, name, mark, seat.meta, announced "
        "FROM unnest($3::bigint[]) WITH ORDINALITY AS asked (number, place) "
        "CROSS JOIN room JOIN seat ON seat.room = room.id AND seat.number = asked.number "
        "WHERE code = $1 AND ended IS NULL AND present = $2 ORDER BY place"
    ),
    asked_messages=f"{queries.ENTRIES}AND id = ANY($2::bigint[]) ORDER BY id DESC",
    readers=f"{queries.READERS}= ANY($2::bigint[])",
    numbered_seats=f"{queries.SEATS}code = $1 AND number = ANY($2::bigint[])",
    mark_seats="UPDATE seat SET present = $1, announced = 1 WHERE room = $2 AND number = ANY($3::bigint[])",
    insert=(
        "INSERT INTO message (room, id, rev, at, author, kind, body, before_author, before_at, meta, "
        "reply) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ),
    expired=f"{queries.EXPIRED} FOR UPDATE SKIP LOCKED",
    closed=f"{queries.CLOSED} FOR UPDATE SKIP LOCKED",
    new_text="",
    erase="",  # the old row is vacuumed away: see 001.sql
    keep_version=(
        "INSERT INTO version (room, message, rev, at, body) "
        "SELECT room, id, $3, $4, body FROM message WHERE room = $1 AND id = $2"
    ),
    erase_versions="",
    share=" FOR SHARE",
    alone=" FOR NO KEY UPDATE",
    free_place=f"{queries.FREE_PLACE} FOR UPDATE SKIP LOCKED",
    old_drafts=f"{queries.OLD_DRAFTS} FOR UPDATE SKIP LOCKED",
    erase_draft="UPDATE draft_text SET body = '' WHERE serial = $1",
    ignores=f"coalesce({VALUES} -> 'ignored' @> to_jsonb(author), false)",
    held_names=(
        "SELECT held.* FROM unnest($2::text[]) AS asked (folded) CROSS JOIN LATERAL "
        '(SELECT number, name, mark FROM seat WHERE room = $1 AND seat.folded COLLATE "C" = asked.folded '
        "AND ended IS NULL ORDER BY mark LIMIT $3) AS held"
    ),
    held_like=(
        f"{queries.SEATS_IN_ROOM}ended IS NULL "
        'AND folded COLLATE "C" >= $2 AND folded COLLATE "C" < $3 ORDER BY folded COLLATE "C", mark LIMIT $4'
    ),
    names=f"coalesce({VALUES} -> 'mentions' @> to_jsonb(NUMBER), false)",
    rewrite="UPDATE message SET rev = $1, body = $2, meta = $3, reply = $4 WHERE room = $5 AND id = $6",
)


class PostgresTransaction:
    """What is asked of `db`; the caller begins and ends it."""

    dialect = DIALECT

    def __init__(self, db: Connection, now: int = 0, within: float | None = None) -> None:
        self._db = db
        self._within = within  # s; None is what the connection allows
        self.now = now
        self.changes: list[Change] = []
        self.has_written = False

    async def fetch(self, sql: str, *values: Any) -> Rows:
        self.has_written = self.has_written or not sql.startswith("SELECT")
        rows: Rows = await self._db.fetch(sql, *map(to_postgres, values), timeout=self._within)
        return rows

    async def execute_many(self, sql: str, rows: Rows) -> None:
        self.has_written = True
        await self._db.executemany(sql, [[to_postgres(v) for v in row] for row in rows], timeout=self._within)


def to_postgres(value: Any) -> Any:
    """What PostgreSQL takes for the value; raises ValueError for lone surrogates.

    It will not even compare with a text that has a NUL in it; nothing is kept with one.
    """
    if isinstance(value, str):
        value.encode()
        return value.replace("\0", f"{ESCAPE}0")
    return [to_postgres(v) for v in value] if isinstance(value, list) else value
