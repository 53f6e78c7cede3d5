"""Who is typing in the rooms that are open here.

All of it are hints: they may be lost, are forgotten after seconds, and no log has them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from chat.live.bus import Bus
from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.live.framing import websocket_frame
from chat.model.changes import Change
from chat.model.signs import Sign
from chat.views.look import Look

KIND = "typing"
LASTS = 4.0  # s after the last sign of it
AGAIN = 1.0  # s in which another sign of the same seat says nothing new
QUIET = 3.0  # s after a text: a page may say once more that it is being typed
WRITERS = 10_000  # of texts in the last seconds that are known
PACE = 1.0  # s between what a room is shown
TICK = 0.25  # s
TYPISTS = 8  # of a room that are known; further ones are not shown

Render = Callable[[Sequence[str], Look], str]  # of the labels of those who type
Delivered = Callable[[int, int], None]


class _Room:
    """`typists` are known by seat: the label of each, and until when it holds."""

    def __init__(self) -> None:
        self.typists: dict[int, tuple[str, float]] = {}
        self.shown: frozenset[int] = frozenset()
        self.due_at = 0.0  # not before this

    def expire(self, now: float) -> None:
        for seat in [seat for seat, (_, until) in self.typists.items() if until <= now]:
            del self.typists[seat]


class Typing:
    """`feeds` are those that somebody follows."""

    def __init__(
        self,
        bus: Bus,
        feeds: Mapping[str, Feed[Connection]],
        render: Render,
        delivered: Delivered = lambda frames, changes: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus, self._feeds = bus, feeds
        self._render, self._delivered = render, delivered
        self._now = now
        self._rooms: dict[str, _Room] = {}
        self._quiet: dict[tuple[str, int], float] = {}  # until when the signs of a writer say nothing
        self._wake = asyncio.Event()

    def sign(self, connection: Connection) -> None:
        """Its page says that somebody types there."""
        member = connection.member
        sign = Sign(KIND, member.code, member.number, member.label)
        if connection.feed is not None and self.note(sign):
            self._bus.sign(sign)

    def note(self, sign: Sign) -> bool:
        """Take a sign, of this node or of another one; whether it says something new."""
        now = self._now()
        if sign.code not in self._feeds or self._quiet.get((sign.code, sign.seat), 0.0) > now:
            return False
        room = self._rooms.setdefault(sign.code, _Room())
        known = room.typists.get(sign.seat)
        if (known and known[1] > now + LASTS - AGAIN) or not (known or len(room.typists) < TYPISTS):
            return False
        room.typists[sign.seat] = sign.label, now + LASTS
        self._wake.set()
        return True

    def note_written(self, changes: Iterable[Change]) -> None:
        """Who has sent a text types no more."""
        now = self._now()
        for change in changes:
            message = change.message
            if message.author is None or message.rev != message.id:
                continue
            if room := self._rooms.get(change.code):
                room.typists.pop(message.author, None)
            self._quiet.pop((change.code, message.author), None)  # the newest comes last
            self._quiet[change.code, message.author] = now + QUIET
        while self._quiet and (len(self._quiet) > WRITERS or next(iter(self._quiet.values())) <= now):
            del self._quiet[next(iter(self._quiet))]

    def greet(self, connection: Connection) -> None:
        """A page follows its room from now on: it is shown who is typing there, as the others are."""
        room = self._rooms.get(connection.member.code)
        seats = _seen(room.typists, connection) if room else ()
        if room and (labels := [room.typists[seat][0] for seat in seats if seat in room.shown]):
            connection.show(KIND, self._render(labels, connection.look))

    async def run(self) -> None:
        """Show what is due for ever; ends by cancellation."""
        while True:
            await self._wake.wait()
            self.tick()
            if not self._rooms:
                self._wake.clear()
            await asyncio.sleep(TICK)

    def tick(self) -> None:
        """Show what is due now."""
        now = self._now()
        for code, room in list(self._rooms.items()):
            room.expire(now)
            if now < room.due_at:
                continue
            if room.typists.keys() == room.shown:
                if not room.typists:
                    del self._rooms[code]
                continue
            room.due_at = now + PACE
            if (feed := self._feeds.get(code)) is not None:
                self._show(room, feed.connections)
            room.shown = frozenset(room.typists)

    def _show(self, room: _Room, connections: Iterable[Connection]) -> None:
        """To each what the others do, if that has changed; made once for all who are shown the same."""
        made: dict[tuple[tuple[int, ...], str], tuple[str, bytes]] = {}
        for connection in connections:
            seen = _seen(room.typists, connection)
            if set(seen) == set(_seen(room.shown, connection)):
                continue
            key = seen, connection.look.language
            if key not in made:
                fragment = self._render([room.typists[seat][0] for seat in seen], connection.look)
                made[key] = fragment, websocket_frame(fragment)
            fragment, frame = made[key]
            if connection.write_now(frame):
                self._delivered(1, 0)
            else:
                connection.show(KIND, fragment)


def _seen(typists: Iterable[int], connection: Connection) -> tuple[int, ...]:
    """Those whom this page shows: not oneself, and nobody whom its person ignores."""
    hidden = connection.member.number, *connection.member.ignored
    return tuple(seat for seat in typists if seat not in hidden)
