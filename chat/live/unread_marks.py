"""Pages on which nothing is read though their windows have the focus.

Texts that somebody marks as unread: on none of their pages is anything read until they come back to it.

A page is held while its window keeps the focus. It comes back by the focus, by typing, or by a text. What the
page says of its focus when its connection was lost would end that too, so it says nothing of it meanwhile.

A page is behind if something new is older than what it begins with: nobody loses their place by a look at it.
It is so until that has been read: by going there, by a text that is sent, or because they say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from chat.live.bus import Bus
from chat.live.connection import Connection
from chat.live.reading import Reading
from chat.live.unread import EVERY, UnreadTitles
from chat.model.changes import Change
from chat.model.digits import to_number
from chat.model.members import Member
from chat.model.signs import Sign
from chat.views.look import Look

KIND = "unread"
SLOT = "focus"
REV_DIGITS = 19
LATE = 3.0  # s in which htmx may still say that somebody typed before

Render = Callable[[bool, Look], str]  # whether the page says that it has the focus


class UnreadMarks:
    def __init__(
        self,
        reading: Reading,
        titles: UnreadTitles,
        bus: Bus,
        render: Render,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reading, self._titles, self._bus = reading, titles, bus
        self._render, self._now = render, now
        self._held: dict[Connection, float] = {}  # since when
        self._behind: dict[Connection, int] = {}  # pages, and the first message of each

    async def set(self, member: Member, rev: int) -> None:
        """They have read up to `rev` and no further, on every node. Raises store errors."""
        held = self._hold(member.code, member.number)
        self._bus.sign(Sign(KIND, member.code, member.number, str(rev)))
        try:
            await self._reading.set_back(member.code, member.number, rev)
        except BaseException:  # it is not marked, and who is told so is at the page
            for connection in held:
                if connection in self._held:
                    self.focus(connection)
            raise
        self._titles.set_back(member.code, member.number, rev)

    def hear(self, sign: Sign) -> None:
        """They have done so on another node."""
        rev = to_number(sign.label, REV_DIGITS)
        if rev is not None:
            self._hold(sign.code, sign.seat)
            self._reading.hear_back(sign.code, sign.seat, rev)
            self._titles.set_back(sign.code, sign.seat, rev)

    def _hold(self, code: str, seat: int) -> list[Connection]:
        pages = [one for one in self._titles.pages_of(code, seat) if self._reading.has_focus(one)]
        for connection in pages:
            self.hold(connection)
            connection.show(SLOT, self._render(False, connection.look))
        return pages

    def hold(self, connection: Connection) -> None:
        """What is on this page is not read, though its window has the focus."""
        self._reading.blur(connection)
        self._titles.blur(connection)
        self._held[connection] = self._now()

    def begin_behind(self, connection: Connection, first: int) -> None:
        """A page begins with this message, and something before it may be new."""
        self._behind[connection] = first
        if self._reading.has_focus(connection):  # which it may say first
            self._reading.blur(connection)
            self._titles.blur(connection)
            self._reading.watch(connection)

    def _is_behind(self, connection: Connection) -> bool:
        first, read = self._behind.get(connection), self._titles.read_up_to(connection)
        return first is not None and (read is None or read + 1 < first)

    def tick(self) -> None:
        """See which pages are behind no more."""
        for connection in [one for one in self._behind if not self._is_behind(one)]:
            del self._behind[connection]
            if self._reading.has_focus(connection):
                self.focus(connection)

    async def run(self) -> None:
        """See that for as long as this node runs."""
        while True:
            await asyncio.sleep(EVERY)
            self.tick()

    def focus(self, connection: Connection) -> None:
        """Somebody comes to the page, or back to it: what is on it is read."""
        if self._is_behind(connection):
            self._reading.watch(connection)
            return
        self._reading.focus(connection)
        self._titles.focus(connection)
        self._release(connection)

    def blur(self, connection: Connection) -> None:
        """Nobody is at the page any more."""
        self._reading.blur(connection)
        self._titles.blur(connection)
        self._release(connection)

    def _release(self, connection: Connection) -> None:
        if self._held.pop(connection, None) is not None:
            connection.show(SLOT, self._render(True, connection.look))

    def leave(self, connection: Connection) -> None:
        """It has ended."""
        self._held.pop(connection, None)
        self._behind.pop(connection, None)
        self._reading.blur(connection)
        self._titles.leave(connection)

    def typed(self, connection: Connection) -> None:
        held = self._held.get(connection)
        if held is not None and self._now() >= held + LATE:
            self.focus(connection)

    def note(self, changes: Iterable[Change]) -> None:
        """Who has sent a text reads on."""
        if not self._held:
            return
        for change in changes:
            message = change.message
            if message.author is None or message.rev != message.id:
                continue
            for connection in self._titles.pages_of(change.code, message.author):
                if connection in self._held:
                    self.focus(connection)
