"""What open pages hide: it changes when somebody is ignored, or not any more, on whatever node.

A page that misses it has it after the next reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from chat.live.bus import Bus
from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.signs import Sign
from chat.store import Store, Unavailable
from chat.store.members import find_seat
from chat.views.look import Look

KIND = "ignoring"
ANOTHER_SEAT = frozenset(("renamed", "arrived", "returned"))  # perhaps of somebody ignored
Render = Callable[[Sequence[int], Look], str]  # of the seats that a page hides


class Ignoring:
    """`feeds` are those that somebody follows."""

    def __init__(self, store: Store, bus: Bus, feeds: Mapping[str, Feed[Connection]], render: Render) -> None:
        self._store, self._bus = store, bus
        self._feeds = feeds
        self._render = render
        self._reading: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._due: set[tuple[str, int]] = set()

    def changed(self, member: Member) -> None:
        """Somebody on this node ignores others than before."""
        self.refresh(member.code, member.number)
        self._bus.sign(Sign(KIND, member.code, member.number, ""))

    def note(self, changes: Iterable[Change]) -> None:
        for change in changes:
            notice = change.message.notice
            if notice and ANOTHER_SEAT.intersection((notice.verb, *(part.verb for part in notice.parts))):
                self._refresh_all(change.code)

    def _refresh_all(self, code: str) -> None:
        feed = self._feeds.get(code)
        for number in {one.member.number for one in feed.connections if one.member.ignored} if feed else ():
            self.refresh(code, number)

    def refresh(self, code: str, seat: int) -> None:
        """Read whom they ignore, and have their pages hide them soon."""
        if code not in self._feeds:
            return
        self._due.add((code, seat))
        if (code, seat) not in self._reading:
            self._reading[code, seat] = asyncio.create_task(self._read(code, seat))

    async def _read(self, code: str, seat: int) -> None:
        try:
            while (code, seat) in self._due:
                self._due.discard((code, seat))
                mine = [one for one in self._connections(code) if one.member.number == seat]
                held = await self._store.read(find_seat, code, mine[0].member.person) if mine else None
                if held is not None and held.number == seat:
                    for connection in mine:
                        self._show(connection, held)
        except Unavailable:
            pass
        finally:
            self._due.discard((code, seat))
            del self._reading[code, seat]

    def _connections(self, code: str) -> Iterable[Connection]:
        feed = self._feeds.get(code)
        return feed.connections if feed else ()

    def _show(self, connection: Connection, held: Member) -> None:
        if connection.member.ignored != held.ignored:
            connection.member = held
            connection.show(KIND, self._render(held.ignored, connection.look))
