"""What the writer asks of PostgreSQL for a batch: its texts by one statement, everything else one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from chat.model.changes import Change
from chat.model.errors import Refused
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import AlreadyExists, NotFound
from chat.store.postgres.hosts import Connection
from chat.store.postgres.queue import Text, Write
from chat.store.postgres.transaction import NOW, PostgresTransaction, to_postgres
from chat.store.queries import ENTRY, LARGEST
from chat.store.records import before_of, encode_text, message_of

APPEND = "SELECT * FROM append_texts($1, $2, $3, $4, $5)"

# In the order of ids, so that two nodes never wait for one another.
LOCK = "SELECT FROM room WHERE code = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
LOCK_THESE = "SELECT FROM room WHERE code IN ({}) ORDER BY id FOR NO KEY UPDATE"

# What keys did before, in the order in which they are asked for.
REPEATED = (
    f"SELECT room.epoch, {', '.join(f'entry.{column}' for column in ENTRY)} "  # noqa: S608
    "FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS asked (code, author, key, place) "
    "LEFT JOIN room ON room.code = asked.code "
    "LEFT JOIN idempotency_key AS done "
    "ON done.room = room.id AND done.author = asked.author AND done.key = asked.key "
    "LEFT JOIN entry ON entry.room = room.id AND entry.id = done.message ORDER BY place"
)

Asked = dict[tuple[str, int, str], list[Write]]  # texts by room, author and key


async def begin(db: Connection, batch: Sequence[Write]) -> None:
    """Begin, and lock the rooms: their heads stay where they are until the transaction ends."""
    codes = sorted({write.code for write in batch if write.code})
    if all(map(_plain, codes)):
        await db.execute(f"BEGIN; {LOCK_THESE.format(', '.join(map(repr, codes)))}" if codes else "BEGIN")
    else:
        await db.execute("BEGIN")
        await db.fetch(LOCK, [to_postgres(code) for code in codes])


def _plain(code: str) -> bool:
    """Whether it may be written into a statement as it is."""
    return code.isascii() and code.isalnum()


async def write_all(db: Connection, batch: Sequence[Write], given_time: int) -> None:
    """Do what each of the batch asks for; `given_time` 0 is the time by the database."""
    runs = list(runs_of(batch))
    now = 0
    if len(runs) > 1 or not batch[0].appends:
        now = given_time or await db.fetchval(NOW)
    for run in runs:
        if run[0].appends:
            asked = by_key(run)
            await answer(db, asked, await append(db, asked, given_time or None))
            continue
        for write in run:
            await do(db, write, now)


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


def by_key(texts: Iterable[Write]) -> Asked:
    """Those that can be asked for; a text may be here twice. The others fail."""
    asked: Asked = {}
    for write in filter(_askable, texts):
        asked.setdefault(_once(write), []).append(write)
    return asked


async def append(db: Connection, asked: Asked, now: int | None) -> Sequence[Any]:
    """Add the texts, and return what `answer` takes; `now` None is the time by the database."""
    if not asked:
        return ()
    codes, authors, keys = zip(*asked, strict=True)
    columns = [to_postgres(list(codes)), authors, keys, list(map(encode_text, map(_body, asked.values())))]
    rows: Sequence[Any] = await db.fetch(APPEND, *columns, now)
    return rows


async def answer(db: Connection, asked: Asked, rows: Sequence[Any]) -> None:
    """Give the texts their results. What was stored before is read as it is now, all of it at once."""
    known: Asked = {}
    for (once, writes), row in zip(asked.items(), rows, strict=True):
        code, author, _ = once
        epoch, name, mark, repeats, id, at, *before = row
        if epoch is None:
            _fail(writes, f"There is no room {code}.")
        elif repeats:
            known[once] = writes
        elif name is None:
            _fail(writes, f"Nobody holds seat {author}.")
        else:
            message = Message(id, id, at, author, name, mark, _body(writes), before=before_of(*before))
            result = Change(code, message, Position(epoch, id))
            writes[0].succeed(result, (result,))
            for write in writes[1:]:
                write.succeed(replace(result, duplicate=True))
    if known:
        await _answer_repeated(db, known)


async def _answer_repeated(db: Connection, known: Asked) -> None:
    codes, authors, keys = zip(*known, strict=True)
    rows = await db.fetch(REPEATED, to_postgres(list(codes)), authors, keys)
    for ((code, _, _), writes), (epoch, *entry) in zip(known.items(), rows, strict=True):
        message = message_of(entry)
        change = Change(code, message, Position(epoch, message.id), duplicate=True)
        for write in writes:
            write.succeed(change, (change,) if write.may_be_stored else ())


def _askable(write: Write) -> bool:
    assert isinstance(write.work, Text)
    if abs(write.work.author) > LARGEST:
        write.fail(NotFound(f"Nobody holds seat {write.work.author}."))
        return False
    return True


def _once(write: Write) -> tuple[str, int, str]:
    assert isinstance(write.work, Text)
    return str(write.code), write.work.author, write.work.key


def _body(writes: Sequence[Write]) -> str:
    """Of texts with one key, which are the same."""
    assert isinstance(writes[0].work, Text)
    return writes[0].work.body


def _fail(writes: Iterable[Write], why: str) -> None:
    for write in writes:
        write.fail(NotFound(why))
