"""What the lines of an archive have to be, so that every database takes them and gives them back."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from chat.model.drafts import clean_draft
from chat.model.receipts import read_life
from chat.store.archive import copying
from chat.store.archive.parts import DRAFTS, MESSAGES, ROOMS, TYPES, VERSIONS, Key, Line, Part, line_of
from chat.store.queries import LARGEST

LATEST = 2**53  # rev, or version of a draft: none comes so far, and from it one can count on to LARGEST
MOST_DRAFTS = 100  # of a seat; the next that is saved there reduces them to what this release keeps
YEARS = range(-62_135_596_800_000, 253_402_300_800_000)  # ms of the years 1 to 9999, which have a calendar
CHUNK_BYTES = 2**26  # of lines that are held together; those of our longest texts and reactions are half


class Numbers:
    """Those that each room has, asked for in the order of rooms: those of one are held."""

    def __init__(self, pairs: Iterator[Key]) -> None:
        """Of room and number, in this order."""
        self._rooms = groupby(pairs, key=itemgetter(0))
        self._room = -LARGEST - 1
        self._numbers = array("q")

    def of(self, room: int) -> Sequence[int]:
        while self._room < room:
            self._room, pairs = next(self._rooms, (LARGEST, iter(())))
            self._numbers = array("q", map(itemgetter(-1), pairs))
        return self._numbers if self._room == room else ()

    def has(self, room: int, number: int) -> bool:
        numbers = self.of(room)
        place = bisect_left(numbers, number)
        return place < len(numbers) and numbers[place] == number


class LineCheck:
    """Looks at the lines of a part in their order.

    `known` are the numbers that its fields refer to, `revs` is that of each room.
    """

    def __init__(self, part: Part, known: Mapping[str, Numbers], revs: Numbers) -> None:
        self._part = part
        self._known = known
        self._revs = revs
        self._key: Key = ()
        self._number = self._bytes = 0  # of lines of the present chunk
        self._drafts = 0  # of the present seat

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
        if "room" in record and "rev" in record:
            self._check_rev(record)
        if self._part is ROOMS and not 0 <= record["rev"] <= LATEST:
            raise ValueError(f"no room comes to rev {record['rev']}")
        if self._part in (MESSAGES, VERSIONS):
            _check_shown(record)
        if self._part is DRAFTS:
            self._drafts = self._drafts + 1 if before[:2] == self._key[:2] else 1
            self._check_draft(record)

    def _check_draft(self, record: Mapping[str, Any]) -> None:
        """It has a bound, and its version may rise."""
        if self._drafts > MOST_DRAFTS:
            raise ValueError("its seat has too many")
        if not record["body"] or clean_draft(record["body"]) != record["body"]:
            raise ValueError("its body cannot be kept")
        if not read_life(f"{record['page']}.0")[0]:
            raise ValueError("its page cannot be one")
        if not 0 < record["version"] <= LATEST:
            raise ValueError("its version is none")

    def _check_rev(self, record: Mapping[str, Any]) -> None:
        """No later change may need a number that is taken."""
        rev = record["rev"]
        if rev > self._revs.of(record["room"])[0]:
            raise ValueError(f"the room has not come to rev {rev}")
        if record.get("id", rev) > rev:
            raise ValueError(f"id is higher than rev {rev}")

    def _weigh(self, line: Line) -> None:
        if self._number == copying.CHUNK:
            self._number = self._bytes = 0
        self._number, self._bytes = self._number + 1, self._bytes + len(line)
        if self._bytes > CHUNK_BYTES:
            raise ValueError(f"it and the {self._number - 1} lines before it are too long together")


def _check_shown(record: Mapping[str, Any]) -> None:
    """A page can show who wrote it, and when."""
    if record.get("kind") == "text" and record["author"] is None:
        raise ValueError("it is of nobody")
    if record["at"] not in YEARS or (record.get("before_at") or 0) not in YEARS:
        raise ValueError("it is of no time")


def _record(part: Part, line: Line) -> dict[str, Any]:
    """What a line says that is exactly as `parts.dump_row` writes it. Raises ValueError."""
    record = json.loads(line.decode(), parse_constant=_refuse)
    if not isinstance(record, dict) or list(record) != list(part.fields):
        raise ValueError(f"the fields are not {part.columns}")
    for (name, value), type_ in zip(record.items(), part.fields.values(), strict=True):
        if type(value) not in TYPES[type_] or (type(value) is int and abs(value) > LARGEST):
            raise ValueError(f"{name} is not of type {type_}")
        if type_ == "text" and name != "body" and "\0" in value:
            raise ValueError(f"{name} has a NUL in it")
    if line_of(record) != line:
        raise ValueError("it is written in another way")
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
