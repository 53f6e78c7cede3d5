"""One transaction of a store, whatever the database: the functions that take one are the store's rules.

In SQLite nothing in it suspends, so `run` drives such a function in the thread that has the connection; in
PostgreSQL it is awaited in the event loop. A function that writes runs while nobody else writes to the room.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from chat.model.changes import Change

Rows = Sequence[Sequence[Any]]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the databases say differently. Lists are given as one parameter."""

    heads: str  # of the rooms with the codes $1: code, epoch, rev
    asked_seats: str  # of room code $1 marked as present or not by $2, of the numbers $3, in that order
    asked_messages: str  # of room $1 with the ids $2, the newest first
    readers: str  # of room code $1, of the seats with the numbers $2, as in READERS
    numbered_seats: str  # of room code $1, of the numbers $2
    mark_seats: str  # as present or not by $1, of room $2, the numbers $3; and as announced
    insert: str  # what `records.columns` says
    new_text: str  # if texts have a table of their own: puts body $1 there, returns what `insert` refers to
    erase: str  # overwrites the text of room $1, message $2; empty where `rewrite` does
    keep_version: str  # the text of room $1, message $2, which it got at rev $3, ms $4
    erase_versions: str  # overwrites those of room $1, message $2 up to rev $3; empty where deleting does
    share: str  # ends a question: until the commit, nobody changes its rows
    alone: str  # likewise, and nobody else asks so
    free_place: str  # a place of width $1 for a draft; taken by no other node meanwhile
    old_drafts: str  # places of at most $2 drafts of before $1; of those that no other node has to do with
    erase_draft: str  # overwrites the text of the draft at place $1
    expired: str  # rooms that expire by $1, at most $2, and locked; by no other node meanwhile
    closed: str  # a room that is to be removed, likewise
    ignores: str  # a condition: `author` is ignored by the seat whose meta is META
    held_names: str  # of room $1: number, name, mark of at most $3 held seats of each folded name $2
    held_like: str  # of room code $1, $4 held seats with folded names from $2 to $3, as `load_member` takes
    names: str  # a condition: the message whose meta is META mentions the seat NUMBER
    rewrite: str  # rev $1, body (or what refers to it) $2, meta $3 and reply $4 of room $5, message $6


class Transaction(Protocol):
    """What a function is given to ask the database."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def now(self) -> int:
        """ms since 1970 by the store's clock; only where something is written."""

    @property
    def changes(self) -> list[Change]:
        """What it changed in the log so far: the store tells of it once it is committed."""

    async def fetch(self, sql: str, *values: Any) -> Rows:
        """The rows that a statement with parameters $1, $2, … returns."""

    async def execute_many(self, sql: str, rows: Rows) -> None:
        """Run a statement once for each row of parameters."""


async def store_text(tx: Transaction, text: str) -> Any:
    """What refers to a text in a row: the text, or its number where texts have a table of their own."""
    if not tx.dialect.new_text:
        return text
    ((serial,),) = await tx.fetch(tx.dialect.new_text, text)
    return serial


Work = Callable[Concatenate[Transaction, P], Coroutine[Any, Any, T]]


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a function that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        work.close()
    raise RuntimeError("A function of the store waited for something else than its transaction.")
