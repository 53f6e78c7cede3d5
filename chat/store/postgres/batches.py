"""What the writer asks of PostgreSQL for a batch: its texts by one statement, everything else one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from chat.model.changes import Change
from chat.model.errors import Refused
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import AlreadyExists, NotFound
from chat.store.log import repeated
from chat.store.postgres.hosts import Connection
from chat.store.postgres.queue import Text, Write
from chat.store.postgres.transaction import NOW, PostgresTransaction, to_postgres
from chat.store.queries import LARGEST
from chat.store.records import before_of, encode_text

APPEND = "SELECT * FROM append_texts($1, $2, $3, $4, $5)"

# In the order of ids, so that two nodes never wait for one another.
LOCK = "SELECT FROM room WHERE code = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
LOCK_THESE = "SELECT FROM room WHERE code IN ({}) ORDER BY id FOR NO KEY UPDATE"

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


async def begin(db: Connection, batch: Sequence[Write]) -> None:
    """Begin, and lock the rooms: their heads stay where they are until the transaction ends."""
    codes = sorted({write.code for write in batch if write.code})
    if all(map(_plain, codes)):
        await db.execute(f"{BEGIN}; {LOCK_THESE.format(', '.join(map(repr, codes)))}" if codes else BEGIN)
    else:
        await db.execute(BEGIN)
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
            await append(db, run, given_time or None)
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
                change = await repeated(PostgresTransaction(db), code, author, key)
                write.succeed(change, (change,) if change and write.may_be_stored else ())
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
