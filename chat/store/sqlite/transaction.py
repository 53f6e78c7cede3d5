"""A transaction of SQLite, and what its SQL says in its own way."""

from __future__ import annotations

import json
import re
import sqlite3
from functools import cache
from typing import Any

from chat.model.changes import Change
from chat.store import queries
from chat.store.transaction import Dialect, Rows

# By as many spaces as it has bytes, so that it stays where it is.
OVERWRITE = "UPDATE text SET body = printf('%.*c', length(CAST(body AS BLOB)), ' ') WHERE serial"

DIALECT = Dialect(
    heads="SELECT code, epoch, rev FROM room WHERE code IN (SELECT value FROM json_each($1))",
    asked_seats=(
        "SELECT code, number, person, name, mark, seat.meta, announced FROM json_each($3) AS asked "
        "CROSS JOIN room JOIN seat ON seat.room = room.id AND number = asked.value "
        "WHERE code = $1 AND ended IS NULL AND present = $2 ORDER BY asked.key"
    ),
    asked_messages=queries.ENTRIES + "AND id IN (SELECT value FROM json_each($2)) ORDER BY id DESC",  # noqa: S608
    readers=queries.READERS + "IN (SELECT value FROM json_each($2))",  # noqa: S608
    numbered_seats=queries.SEATS + "code = $1 AND number IN (SELECT value FROM json_each($2))",  # noqa: S608
    mark_seats=(
        "UPDATE seat SET present = $1, announced = 1 "
        "WHERE room = $2 AND number IN (SELECT value FROM json_each($3))"
    ),
    insert=(
        "INSERT INTO message (room, id, rev, at, author, kind, text, before_author, before_at, meta, "
        "reply) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ),
    new_text="INSERT INTO text (body) VALUES ($1) RETURNING serial",
    expired=queries.EXPIRED,
    closed=queries.CLOSED,
    erase=f"{OVERWRITE} IN (SELECT text FROM message WHERE room = $1 AND id = $2)",  # noqa: S608
    keep_version=(
        "INSERT INTO version (room, message, rev, at, text) "
        "SELECT room, id, $3, $4, text FROM message WHERE room = $1 AND id = $2"
    ),
    erase_versions=(
        f"{OVERWRITE} IN (SELECT text FROM version WHERE room = $1 AND message = $2 AND rev <= $3)"  # noqa: S608
    ),
    share="",
    alone="",
    free_place=queries.FREE_PLACE,
    old_drafts=queries.OLD_DRAFTS,
    erase_draft="UPDATE draft_text SET body = zeroblob(length(body)) WHERE serial = $1",
    ignores="author IN (SELECT value FROM json_each(META, '$.ignored'))",
    held_names=(
        "SELECT number, name, mark FROM json_each($2) AS asked CROSS JOIN seat ON seat.room = $1 "
        "AND number IN (SELECT number FROM seat WHERE room = $1 AND folded = asked.value AND ended IS NULL "
        "ORDER BY mark LIMIT $3)"
    ),
    held_like=(
        f"{queries.SEATS_IN_ROOM}ended IS NULL "
        "AND folded >= $2 AND folded < $3 ORDER BY folded, mark LIMIT $4"
    ),
    names="NUMBER IN (SELECT value FROM json_each(META, '$.mentions'))",
    rewrite="UPDATE message SET rev = $1, text = $2, meta = $3, reply = $4 WHERE room = $5 AND id = $6",
)

ERASURES = DIALECT.erase, DIALECT.erase_versions, DIALECT.erase_draft  # after which the WAL is emptied


class SQLiteTransaction:
    """What is asked of `db`; the caller begins and ends it."""

    dialect = DIALECT

    def __init__(self, db: sqlite3.Connection, now: int = 0) -> None:
        self.db = db
        self.now = now
        self.changes: list[Change] = []
        self.erases = False

    async def fetch(self, sql: str, *values: Any) -> Rows:
        self.erases = self.erases or sql in ERASURES
        return execute(self.db, sql, *values).fetchall()

    async def execute_many(self, sql: str, rows: Rows) -> None:
        text, places = _with_question_marks(sql)
        self.db.executemany(text, [[_plain(row[place]) for place in places] for row in rows])


def execute(db: sqlite3.Connection, sql: str, *values: Any) -> sqlite3.Cursor:
    """Run SQL whose parameters are written $1, $2, …; a list is one parameter."""
    text, places = _with_question_marks(sql)
    return db.execute(text, [_plain(values[place]) for place in places])


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


@cache
def _with_question_marks(sql: str) -> tuple[str, tuple[int, ...]]:
    """In SQLite's marks, and which value goes where: Python 3.12 warns of numbered ones."""
    return re.sub(r"\$\d+", "?", sql), tuple(int(n) - 1 for n in re.findall(r"\$(\d+)", sql))
