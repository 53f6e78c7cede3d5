"""The entries of this node in the registry: its people and connections, and which changes of them Redis does
not have yet."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from chat.model.members import Member
from chat.store.records import dump_meta, load_member

BATCH = 500  # entries of one call, so that none holds Redis up

Seat = tuple[str, int]  # room and number


class Batch(NamedTuple):
    """Changes that are sent together."""

    seats: dict[Seat, Member | None]  # None: nobody is in the seat any more
    opened: set[int]
    closed: dict[int, str]


class OwnEntries:
    def __init__(self) -> None:
        self.rooms: dict[str, dict[int, Member]] = {}
        self.wake = asyncio.Event()  # set when there is something to send
        self._counted: set[Seat] = set()
        self._unsent: dict[Seat, Member | None] = {}
        self._held: dict[Seat, Member | None] = {}  # sent, while a node writes the notice that they left
        self._connections: dict[int, tuple[str, float]] = {}  # person, when opened
        self._opened: set[int] = set()  # not yet sent
        self._closed: dict[int, str] = {}

    def add(self, member: Member) -> None:
        room = self.rooms.setdefault(member.code, {})
        if room.get(member.number) != member:
            room[member.number] = member
            self._queue(member.code, member.number, member)

    def drop(self, member: Member) -> None:
        self.forget(member.code, member.number)
        self._queue(member.code, member.number, None)

    def counted(self, code: str, number: int) -> bool:
        return (code, number) in self._counted

    def forget(self, code: str, number: int) -> None:
        """Remove a seat without sending that."""
        room = self.rooms.get(code, {})
        room.pop(number, None)
        self._counted.discard((code, number))
        self._unsent.pop((code, number), None)
        self._held.pop((code, number), None)
        if not room:
            self.rooms.pop(code, None)

    def opened(self, person: str, connection: int) -> None:
        self._connections[connection] = (person, time.monotonic())
        self._opened.add(connection)
        self.wake.set()

    def closed(self, person: str, connection: int) -> None:
        self._connections.pop(connection, None)
        self._opened.discard(connection)
        self._closed[connection] = person
        self.wake.set()

    def queue_all(self) -> None:
        """Send every entry, since Redis has none of them."""
        for code, room in self.rooms.items():
            for number, member in room.items():
                self._queue(code, number, member)
        self._opened = set(self._connections)

    def queue_held(self) -> None:
        """Send again what was held, since the notice may be written by now."""
        self._unsent, self._held = self._held | self._unsent, {}

    def batches(self) -> Iterator[Batch]:
        """What is unsent, in bounded parts. At least one, maybe empty, since sending it renews the lease."""
        first = True
        while first or self._unsent or self._opened or self._closed:
            first = False
            seats = _take(self._unsent)
            opened = set(islice(self._opened, BATCH))
            self._opened -= opened
            yield Batch(seats, opened, _take(self._closed))

    def dump(self, batch: Batch) -> dict[str, Any]:
        """A batch as the script expects it. Connections are given with their age in milliseconds."""
        now = time.monotonic()
        return {
            "seats": [
                [code, str(number), _dump_entry(member)] for (code, number), member in batch.seats.items()
            ],
            "opened": [
                [str(id), person, 1000 * (now - at)]
                for id in sorted(batch.opened)
                for person, at in [self._connections[id]]
            ],
            "closed": [[str(id), person] for id, person in batch.closed.items()],
        }

    def put_back(self, batch: Batch) -> None:
        """The batch was not accepted: queue its entries again, as they are now."""
        for code, number in batch.seats:
            if (code, number) not in self._unsent:
                self._unsent[code, number] = self.rooms.get(code, {}).get(number)
        self._opened.update(id for id in batch.opened if id in self._connections)
        self._closed = batch.closed | self._closed

    def accepted(self, batch: Batch, held: Collection[Seat]) -> None:
        """Redis has the batch; the seats in `held` do not count yet."""
        for (code, number), member in batch.seats.items():
            if member is None or (code, number) in self._unsent or number not in self.rooms.get(code, {}):
                continue
            if (code, number) in held:
                self._held[code, number] = member
            else:
                self._counted.add((code, number))

    def _queue(self, code: str, number: int, member: Member | None) -> None:
        self._unsent[code, number] = member
        self._held.pop((code, number), None)
        self._counted.discard((code, number))
        self.wake.set()


def parse_seats(seats: Sequence[bytes]) -> set[Seat]:
    return {(code, int(number)) for code, number in (seat.decode().split(" ") for seat in seats)}


def _dump_entry(member: Member | None) -> str:
    if member is None:
        return ""
    fields = [member.person, member.name, member.mark, dump_meta(member.meta)]
    return json.dumps(fields, ensure_ascii=False)


def load_entry(code: str, number: int, entry: bytes) -> Member:
    """The member of an entry; what a newer release adds at its end is passed over.

    Raises ValueError, TypeError or RecursionError for what is none.
    """
    person, name, mark, *more = json.loads(entry)
    return load_member((code, number, person, name, mark, more[0] if more else None))


def _take(unsent: dict[Any, Any]) -> dict[Any, Any]:
    """Remove the first BATCH entries and return them."""
    return {key: unsent.pop(key) for key in list(islice(unsent, BATCH))}
