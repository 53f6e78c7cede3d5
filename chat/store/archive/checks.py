"""What the lines of an archive have to be, so that every database takes them and gives them back."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from chat.store.archive import copying
from chat.store.archive.parts import TYPES, Key, Line, Part, line_of
from chat.store.queries import LARGEST

CHUNK_BYTES = 2**26  # of lines that are held together; those of our longest texts and reactions are half


class Numbers:
    """Those that a part has in each room, asked for in the order of rooms: those of one are held."""

    def __init__(self, keys: Iterator[Key]) -> None:
        self._rooms = groupby(keys, key=itemgetter(0))
        self._room = -LARGEST - 1
        self._numbers = array("q")

    def has(self, room: int, number: int) -> bool:
        while self._room < room:
            self._room, keys = next(self._rooms, (LARGEST, iter(())))
            self._numbers = array("q", map(itemgetter(-1), keys))
        place = bisect_left(self._numbers, number)
        return self._room == room and self._numbers[place : place + 1] == array("q", [number])


class LineCheck:
    """Looks at the lines of a part in their order; `known` are the numbers that its fields refer to."""

    def __init__(self, part: Part, known: Mapping[str, Numbers]) -> None:
        self._part = part
        self._known = known
        self._key: Key = ()
        self._number = self._bytes = 0  # of lines of the present chunk

    def look(self, line: Line) -> None:
        """Raises ValueError."""
        self._weigh(line)
        record = _record(self._part, line)
        before, self._key = self._key, tuple(record.values())[: len(self._part.key)]
        if self._key <= before:
            raise ValueError("it is not in order")
        for field, numbers in self._known.items():
            number = record[field]
            if number is not None and not numbers.has(record["room"], number):
                raise ValueError(f"there is no {field} {number}")

    def _weigh(self, line: Line) -> None:
        if self._number == copying.CHUNK:
            self._number = self._bytes = 0
        self._number, self._bytes = self._number + 1, self._bytes + len(line)
        if self._bytes > CHUNK_BYTES:
            raise ValueError(f"it and the {self._number - 1} lines before it are too long together")


def _record(part: Part, line: Line) -> dict[str, Any]:
    """What a line says that is exactly as `parts.dump_row` writes it. Raises ValueError."""
    record = json.loads(line.decode())
    if not isinstance(record, dict) or list(record) != list(part.fields):
        raise ValueError(f"the fields are not {part.columns}")
    for (name, value), type_ in zip(record.items(), part.fields.values(), strict=True):
        if type(value) not in TYPES[type_] or (type(value) is int and abs(value) > LARGEST):
            raise ValueError(f"{name} is not of type {type_}")
        if type_ == "text" and "\0" in value:  # as only the body of a message may have
            raise ValueError(f"{name} has a NUL in it")
    if line_of(record) != line:
        raise ValueError("it is written in another way")
    return record
