"""What a store holds, as lines of JSON: the same lines, in the same order, from every database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chat.model.drafts import SavedDraft
from chat.store.draft_places import restore
from chat.store.queries import LARGEST
from chat.store.records import decode_text, dump_meta, encode_text, load_meta
from chat.store.transaction import Transaction, store_text

Line = bytes  # with its line end
Key = tuple[Any, ...]

JSON = json.JSONEncoder(default=dict, ensure_ascii=False, separators=(",", ":"))
TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "int?": (int, type(None)),
    "text": (str,),
    "text?": (str, type(None)),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one table: its key begins with the room, and its fields with the key."""

    table: str
    key: Sequence[str]
    fields: Mapping[str, str]  # which of TYPES each column has
    file: str  # in an archive
    view: str = ""  # what to read from, if that is not the table
    refers: Mapping[str, Part] = field(default_factory=dict)  # whose numbers its fields hold
    is_personal: bool = False  # nothing for whom an archive of one room is given to

    @property
    def columns(self) -> str:
        return ", ".join(self.fields)

    def key_of(self, line: Line) -> Key:
        return tuple(json.loads(line.decode()).values())[: len(self.key)]


def _part(table: str, key: str, fields: str, file: str, view: str = "", **refers: Part) -> Part:
    types = dict(name_and_type.split() for name_and_type in fields.split(", "))
    return Part(table, key.split(), types, file, view, refers)


ROOMS = _part(
    "room",
    "id",
    "id int, code text, epoch text, opened int, rev int, expires int?, meta object",
    "rooms.jsonl",
)
MEMBERS = _part(
    "seat",
    "room number",
    "room int, number int, person text, name text, mark int, folded text, shape text, present int, "
    "announced int, taken int, ended int?, meta object",
    "members.jsonl",
    room=ROOMS,
)
MESSAGES = _part(
    "message",
    "room id",
    "room int, id int, rev int, at int, author int?, kind text, body text?, before_author int?, "
    "before_at int?, meta object, reply int?",
    "messages.jsonl",
    view="entry",
    room=ROOMS,
    author=MEMBERS,
)
VERSIONS = _part(
    "version",
    "room message rev",
    "room int, message int, rev int, at int, body text",
    "earlier-texts.jsonl",
    view="earlier_text",
    room=ROOMS,
    message=MESSAGES,
)
KEYS = _part(
    "idempotency_key",
    "room author key",
    "room int, author int, key text, message int, at int",
    "keys.jsonl",
    room=ROOMS,
    message=MESSAGES,
)
POSITIONS = _part(
    "read_position",
    "room seat",
    "room int, seat int, rev int",
    "read-positions.jsonl",
    room=ROOMS,
    seat=MEMBERS,
)
DRAFTS = replace(
    _part(
        "saved_draft",
        "room seat edited page",
        "room int, seat int, edited int, page text, reply int, text_rev int, version int, body text",
        "drafts.jsonl",
        room=ROOMS,
        seat=MEMBERS,
    ),
    is_personal=True,
)
PARTS = (ROOMS, MEMBERS, MESSAGES, VERSIONS, KEYS, POSITIONS, DRAFTS)


def dump_row(part: Part, row: Sequence[Any]) -> Line:
    record = dict(zip(part.fields, row, strict=True))
    if "body" in record:
        record["body"] = decode_text(record["body"])
    if "meta" in record:
        record["meta"] = load_meta(record["meta"])
    return line_of(record)


def line_of(record: Mapping[str, Any]) -> Line:
    return JSON.encode(record).encode() + b"\n"


def load_row(line: Line) -> list[Any]:
    """The row that `dump_row` made this line of."""
    record = json.loads(line.decode())
    if record.get("body"):
        record["body"] = encode_text(record["body"])
    if "meta" in record:
        record["meta"] = dump_meta(record["meta"])
    return list(record.values())


async def count(tx: Transaction, part: Part, first: int = 0, last: int = LARGEST) -> int:
    """How many rows the rooms from `first` to `last` have."""
    sql = f"SELECT count(*) FROM {part.table} WHERE {part.key[0]} BETWEEN $1 AND $2"  # noqa: S608
    ((number,),) = await tx.fetch(sql, first, last)
    return int(number)


async def last_key(tx: Transaction, part: Part) -> Key | None:
    backwards = ", ".join(f"{column} DESC" for column in part.key)
    rows = await tx.fetch(
        f"SELECT {', '.join(part.key)} FROM {part.table} ORDER BY {backwards} LIMIT 1"  # noqa: S608
    )
    return tuple(rows[0]) if rows else None


def page_sql(part: Part) -> str:
    """The question for rows in the order of keys; parameters: the key before, how many."""
    key, n = ", ".join(part.key), len(part.key)
    return (
        f"SELECT {part.columns} FROM {part.view or part.table} "  # noqa: S608
        f"WHERE ({key}) > ({_marks(n)}) ORDER BY {key} LIMIT ${n + 1}"
    )


async def page(tx: Transaction, part: Part, after: Key, last: int, limit: int) -> list[Line]:
    """The lines after a key, as far as they are of rooms up to `last`."""
    rows = await tx.fetch(page_sql(part), *after, limit)
    return [dump_row(part, row) for row in rows if row[0] <= last]


def before_room(part: Part, room: int) -> Key:
    """A key after which the rows of a room begin."""
    ends = {"int": LARGEST, "text": ""}
    return room - 1, *(ends[part.fields[column]] for column in part.key[1:])


async def put(tx: Transaction, part: Part, lines: Sequence[Line]) -> None:
    rows = [load_row(line) for line in lines]
    if part is DRAFTS:
        for room, seat, edited, page, reply, text_rev, version, body in rows:
            draft = SavedDraft(version, decode_text(body) or "", reply, edited, text_rev, page)
            await restore(tx, room, seat, draft)
        return
    columns = part.columns
    if "body" in part.fields and tx.dialect.new_text:
        columns, rows = columns.replace("body", "text"), [await _with_text(tx, part, row) for row in rows]
    sql = f"INSERT INTO {part.table} ({columns}) VALUES ({_marks(len(part.fields))})"  # noqa: S608
    await tx.execute_many(sql, rows)


async def _with_text(tx: Transaction, part: Part, row: list[Any]) -> list[Any]:
    """A row with its text put where this database keeps texts."""
    place = list(part.fields).index("body")
    if row[place] is not None:
        row[place] = await store_text(tx, row[place])
    return row


def _marks(number: int) -> str:
    return ", ".join(f"${place}" for place in range(1, number + 1))
