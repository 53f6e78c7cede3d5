"""Up to where people have read: gathered here, and stored for all of them at once every few seconds.

A page has been read up to what it was sent while its window has the focus. Nobody waits for these writes,
and a few seconds of them may be lost: people then find something unread that they have seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chat.live.connection import Connection
from chat.model.changes import Change
from chat.model.members import Member, Seat
from chat.store import NO_ROOM, OutcomeUnknown, Store, Unavailable, read_positions

EVERY = 3.0  # s between writes
PORTION = 500  # positions of one write: texts may wait behind it
MOST = 50_000  # positions that are held while the store does not take them


class Reading:
    def __init__(self, store: Store, every: float = EVERY) -> None:
        self._store = store
        self._every = every
        self._due: dict[Seat, int] = {}
        self._risen: dict[Seat, int] = {}  # since it was last taken
        self._saving = asyncio.Lock()
        self._storing: set[Seat] = set()
        self._set_back: dict[Seat, int] = {}  # on other nodes, while more was stored here
        self.saves = 0
        self._saved: dict[Seat, tuple[int, int]] = {}  # by which of these, and up to where: of late
        self._saved_before: dict[Seat, tuple[int, int]] = {}
        self._focused: dict[Connection, int] = {}  # up to where each has been noted
        self._watched: set[Connection] = set()  # that have the focus, too

    @property
    def due(self) -> Mapping[Seat, int]:
        """What is yet to be stored."""
        return self._due

    def known(self, member: Member, stored: int, saves: int | None = None) -> int:
        """Up to where somebody has read, as far as this node knows; `stored` is what the store says.

        `saves` is what it was when the store was asked: what was stored since may not be in the answer.
        """
        known = max(stored, self._due.get(member.seat, 0))
        if saves is not None and saves < self.saves:
            save, rev = self._saved.get(member.seat) or self._saved_before.get(member.seat) or (0, 0)
            return max(known, rev) if save > saves else known
        return known

    def note(self, code: str, seat: int, rev: int) -> None:
        """Somebody has read up to `rev`, or written it."""
        known = self._due.get((code, seat), 0)
        if rev > known and (known or len(self._due) < MOST):
            self._due[code, seat] = self._risen[code, seat] = rev

    def take_risen(self) -> Mapping[Seat, int]:
        """What has been noted since this was last called."""
        self.gather(self._focused)
        risen, self._risen = self._risen, {}
        return risen

    def note_written(self, changes: Iterable[Change]) -> None:
        """Who sends a text has read what is before it."""
        for change in changes:
            message = change.message
            if message.author is not None and message.rev == message.id:
                self.note(change.code, message.author, message.id)

    def focus(self, connection: Connection) -> None:
        """The window of this page has the focus from now on."""
        self._watched.discard(connection)
        self._focused.setdefault(connection, 0)

    def watch(self, connection: Connection) -> None:
        """It has the focus, but what it shows is not read."""
        self._watched.add(connection)

    def blur(self, connection: Connection) -> None:
        """It has it no more, or the connection has ended."""
        self._watched.discard(connection)
        self.gather([connection])
        self._focused.pop(connection, None)

    def has_focus(self, connection: Connection) -> bool:
        return connection in self._focused or connection in self._watched

    async def set_back(self, code: str, seat: int, rev: int) -> None:
        """Somebody has read no further than this. Raises store errors."""
        _lower(self._risen, (code, seat), rev)  # nothing higher may be told meanwhile
        async with self._saving:
            await self._store.write(NO_ROOM, read_positions.set_back, code, seat, rev)
            self.lower(code, seat, rev)

    def hear_back(self, code: str, seat: int, rev: int) -> None:
        """Somebody has set it back on another node: nothing higher is stored or told after that."""
        self.lower(code, seat, rev)
        if (code, seat) in self._storing:
            self._set_back[code, seat] = rev

    def lower(self, code: str, seat: int, rev: int) -> None:
        """The same of what is yet to be stored, and told."""
        _lower(self._due, (code, seat), rev)
        _lower(self._risen, (code, seat), rev)
        self._saved.pop((code, seat), None)
        self._saved_before.pop((code, seat), None)

    def gather(self, connections: Iterable[Connection]) -> None:
        """Note what these pages show now, if they are read."""
        for connection in connections:
            noted, cursor = self._focused.get(connection), connection.cursor
            if noted is not None and cursor is not None and cursor > noted:
                self._focused[connection] = cursor
                self.note(connection.member.code, connection.member.number, cursor)

    async def run(self) -> None:
        """Store what is read for as long as this node runs."""
        while True:
            await asyncio.sleep(self._every)
            self.gather(self._focused)
            self._saved_before, self._saved = self._saved, {}
            await self.save()

    async def save(self) -> None:
        """Store what is due, which stays so until it is stored. Waits for a save that has begun."""
        async with self._saving:
            self._storing = set(self._due)
            try:
                await self._save()
                for (code, seat), rev in list(self._set_back.items()):
                    await self._store.write(NO_ROOM, read_positions.set_back, code, seat, rev)
            except (Unavailable, OutcomeUnknown):
                return
            finally:
                self._storing = set()
                self._set_back.clear()

    async def _save(self) -> None:
        due = list(self._due.items())
        for start in range(0, len(due), PORTION):
            portion = due[start : start + PORTION]
            rows = [(code, number, rev) for (code, number), rev in portion]
            await self._store.write(NO_ROOM, read_positions.save, rows)
            self.saves += 1
            for seat, rev in portion:
                if self._due[seat] == rev:
                    del self._due[seat]
                    self._saved[seat] = self.saves, rev


def _lower(noted: dict[Seat, int], seat: Seat, rev: int) -> None:
    if seat in noted:
        noted[seat] = min(noted[seat], rev)
