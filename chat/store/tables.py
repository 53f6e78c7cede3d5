"""A store as tables of rows, so that it can be copied: the same columns in every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from chat.store.records import MESSAGE_COLUMNS

Row = tuple[Any, ...]  # of whole numbers, texts and None


class Table(NamedTuple):
    name: str
    key: tuple[str, ...]  # begins with the room
    columns: tuple[str, ...]  # begin with the key


ROOM = Table("room", ("id",), ("id", "code", "epoch", "opened", "rev", "expires", "meta"))
SEAT = Table(
    "seat",
    ("room", "number"),
    ("room", "number", "person", "name", "mark", "folded", "shape", "present", "taken", "ended", "meta"),
)
MESSAGE = Table("message", ("room", "id"), MESSAGE_COLUMNS)
IDEMPOTENCY_KEY = Table(
    "idempotency_key", ("room", "author", "key"), ("room", "author", "key", "message", "rev", "at")
)
TABLES = (ROOM, SEAT, MESSAGE, IDEMPOTENCY_KEY)


class Tables(Protocol):
    """A store that nobody else uses meanwhile. Each call is a transaction of its own."""

    place: str

    async def open(self) -> None:
        """Take it for ourselves, check and migrate. Raises Misconfigured."""

    async def close(self) -> None: ...

    async def metadata(self) -> dict[str, str]: ...

    async def set_metadata(self, name: str, value: str | None) -> None:
        """Keep the value, or forget it if None."""

    async def count(self, table: Table) -> int: ...

    async def last(self, table: Table) -> Row | None:
        """The greatest key."""

    async def rows(self, table: Table, after: Row | None, limit: int) -> Sequence[Row]:
        """The rows that follow a key, in the order of keys."""

    async def put(self, table: Table, rows: Sequence[Row]) -> None: ...

    async def finish(self) -> None:
        """Make ready for use, after the last `put`. Raises Misconfigured if somebody else used it."""


def counting(table: Table) -> str:
    return f"SELECT count(*) FROM {table.name}"  # noqa: S608


def last_key(table: Table) -> str:
    backwards = ", ".join(f"{column} DESC" for column in table.key)
    return f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {backwards} LIMIT 1"  # noqa: S608


def page(table: Table, source: str, after: Row | None) -> str:
    """The question for `rows`, whose parameters are the key, if any, and the limit."""
    key = ", ".join(table.key)
    marks = ", ".join(f"${n}" for n in range(1, len(table.key) + 1))
    where = "" if after is None else f"WHERE ({key}) > ({marks}) "
    limit = 1 if after is None else len(table.key) + 1
    return f"SELECT {', '.join(table.columns)} FROM {source} {where}ORDER BY {key} LIMIT ${limit}"  # noqa: S608
