"""The texts of a batch, appended together by few statements, from what is remembered of their rooms."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chat.model.changes import Change
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store.records import before_of, encode_text

# Rows of a statement: few sizes, so that all stay prepared (sqlite3 keeps 128 statements of a connection).
# Each statement lets go of the interpreter's lock and has to get it back from a busy event loop.
SIZES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
ROOMS = 10_000  # that are remembered
SEATS = 1000  # of one of them


class Text(NamedTuple):
    """A message to be appended."""

    code: str
    author: int
    key: str
    body: str


class Unusual(Exception):
    """One of the texts needs a closer look: the room or seat is unknown, or the key was used."""


@dataclass(slots=True)
class Room:
    """What the next text of a room needs."""

    id: int
    epoch: str
    rev: int
    author: int | None  # of the newest message
    at: int | None
    seats: dict[int, tuple[str, int]] = field(default_factory=dict)  # held ones: name and mark by number


def _many(start: str, row: str, end: str = "") -> dict[int, str]:
    return {size: start + ", ".join([row] * size) + end for size in SIZES}


FIND_ROOMS = _many(
    "SELECT code, room.id, epoch, room.rev, author, at FROM room "
    "LEFT JOIN message ON message.room = room.id "
    "AND message.id = (SELECT max(id) FROM message WHERE room = room.id) WHERE code IN (",
    "?",
    ")",
)
FIND_SEATS = _many(
    "SELECT code, number, name, mark FROM seat JOIN room ON room.id = seat.room "
    "WHERE ended IS NULL AND (room, number) IN (VALUES ",
    "(?, ?)",
    ")",
)
REMEMBER = _many(
    "INSERT INTO idempotency_key (room, author, key, message, at) VALUES ",
    "(?, ?, ?, ?, ?)",
    " ON CONFLICT DO NOTHING",
)
NEW_TEXTS = _many("INSERT INTO text (serial, body) VALUES ", "(?, ?)")
NEW_MESSAGES = _many(
    "INSERT INTO message (room, id, rev, at, author, text, before_author, before_at) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
)
RISE = _many(
    "UPDATE room SET rev = risen.column2, expires = NULL FROM (VALUES ",
    "(?, ?)",
    ") AS risen WHERE room.id = risen.column1",
)


class Memory:
    """What is known of rooms without asking, as nobody else writes to the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rooms: dict[str, Room] = {}
        self._serial = 0  # of the newest text; 0 if that is not known
        self._version = -1

    def forget(self, code: str | None = None) -> None:
        """Something else was written to this room, or to any."""
        self._serial = 0
        if code is None:
            self._rooms.clear()
        else:
            self._rooms.pop(code, None)

    def check(self) -> None:
        """In each transaction: another program may have written, though it should not."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._rooms) > ROOMS:
            self._version = version
            self.forget()

    def append(self, now: int, texts: Sequence[Text]) -> list[Change]:
        """Add all these messages. After any exception the transaction has to be rolled back."""
        self._learn(texts)
        keys, bodies, rows = [], [], []
        changes = []
        for code, author, key, body in texts:
            room = self._rooms.get(code)
            if room is None or author not in room.seats:
                raise Unusual
            name, mark = room.seats[author]
            room.rev = rev = room.rev + 1
            self._serial += 1
            keys += [room.id, author, key, rev, now]
            bodies += [self._serial, encode_text(body)]
            rows += [room.id, rev, rev, now, author, self._serial, room.author, room.at]
            before = before_of(room.author, room.at)
            room.author, room.at = author, now
            message = Message(rev, rev, now, author, name, mark, body, before=before)
            changes.append(Change(code, message, Position(room.epoch, rev)))
        if self._run(REMEMBER, keys, 5) < len(texts):
            raise Unusual
        self._run(NEW_TEXTS, bodies, 2)
        self._run(NEW_MESSAGES, rows, 8)
        risen = {room.id: room.rev for room in map(self._rooms.__getitem__, {text.code for text in texts})}
        self._run(RISE, [value for pair in risen.items() for value in pair], 2)
        return changes

    def _learn(self, texts: Sequence[Text]) -> None:
        if not self._serial:
            (self._serial,) = self._db.execute("SELECT coalesce(max(serial), 0) FROM text").fetchone()
        rooms = self._rooms
        if unknown := list({text.code for text in texts if text.code not in rooms}):
            for code, *head in self._found(FIND_ROOMS, unknown, 1):
                rooms[code] = Room(*head)
        asked = {
            (rooms[text.code].id, text.author)
            for text in texts
            if text.code in rooms and text.author not in rooms[text.code].seats
        }
        for code, number, name, mark in self._found(FIND_SEATS, [n for pair in asked for n in pair], 2):
            seats = rooms[code].seats
            if len(seats) > SEATS:
                seats.clear()
            seats[number] = name, mark

    def _found(self, sql: dict[int, str], values: list[Any], width: int) -> Iterator[Any]:
        for size, part in _parts(values, width):
            yield from self._db.execute(sql[size], part).fetchall()

    def _run(self, sql: dict[int, str], values: list[Any], width: int) -> int:
        """How many rows were written."""
        return sum(self._db.execute(sql[size], part).rowcount for size, part in _parts(values, width))


def _parts(values: list[Any], width: int) -> Iterator[tuple[int, list[Any]]]:
    """The values of rows of this width, in as few parts as there are sizes for."""
    start, left = 0, len(values) // width
    for size in SIZES:
        while left >= size:
            yield size, values[start : start + size * width]
            start, left = start + size * width, left - size
