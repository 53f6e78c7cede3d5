"""What the writer asks of PostgreSQL for a batch: its texts by one statement, everything else one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from chat.model.changes import Change
from chat.model.errors import Refused
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import AlreadyExists, NotFound
from chat.store.log import repeated
from chat.store.postgres.server import Connection
from chat.store.postgres.transaction import PostgresTransaction, to_postgres
from chat.store.queries import LARGEST
from chat.store.records import before_of, encode_text

if TYPE_CHECKING:
    from chat.store.postgres.writer import Write

APPEND = Path(__file__).with_name("append.sql").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Text:
    """A message to be appended."""

    author: int
    key: str
    body: str


async def do(db: Connection, write: Write, now: int) -> None:
    """Do a write that is no text. One that is refused before it wrote anything does not disturb its batch."""
    tx = PostgresTransaction(db, now)
    try:
        write.succeed(await write.work(tx), tx.changes)  # type: ignore[operator]
    except (NotFound, AlreadyExists, Refused) as error:
        if tx.has_written:
            raise
        write.fail(error)


def runs_of(batch: Sequence[Write]) -> Iterator[list[Write]]:
    """Neighbours that can be written together, in the order of arrival."""
    return (list(run) for _, run in groupby(batch, key=lambda write: write.appends))


async def append(db: Connection, run: Sequence[Write], now: int | None) -> None:
    """Add the texts; `now` None is the time by the database."""
    asked: dict[tuple[str, int, str], list[Write]] = {}  # a text may be here twice
    for write in filter(_askable, run):
        asked.setdefault(_once(write), []).append(write)
    if not asked:
        return
    texts = [writes[0].work.body for writes in asked.values()]  # type: ignore[union-attr]
    codes, authors, keys = zip(*asked, strict=True)
    columns = [to_postgres(list(codes)), authors, keys, list(map(encode_text, texts))]
    rows = await db.fetch(APPEND, *columns, now)
    for ((code, author, key), writes), body, row in zip(asked.items(), texts, rows, strict=True):
        epoch, name, mark, repeats, id, at, *before = row
        if epoch is None:
            _fail(writes, f"There is no room {code}.")
        elif repeats:
            for write in writes:
                write.succeed(await repeated(PostgresTransaction(db), code, author, key))
        elif name is None:
            _fail(writes, f"Nobody holds seat {author}.")
        else:
            message = Message(id, id, at, author, name, mark, body, before=before_of(*before))
            result = Change(code, message, Position(epoch, id))
            writes[0].succeed(result, (result,))
            for write in writes[1:]:
                write.succeed(replace(result, duplicate=True))


def _askable(write: Write) -> bool:
    assert isinstance(write.work, Text)
    if abs(write.work.author) > LARGEST:
        write.fail(NotFound(f"Nobody holds seat {write.work.author}."))
        return False
    return True


def _once(write: Write) -> tuple[str, int, str]:
    assert isinstance(write.work, Text)
    return str(write.code), write.work.author, write.work.key


def _fail(writes: Iterable[Write], why: str) -> None:
    for write in writes:
        write.fail(NotFound(why))
