"""How much is unread, in the title and the icon of pages whose windows have no focus.

A room in which something was said is asked about once a second, for all of its pages; what a page is told is
a slot of its own. What somebody reads on one page is read on their others: this node knows, and a sign tells
the other nodes. All of it may be lost: the next message, or the next look at the page, puts it right.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from chat.live.bus import Bus
from chat.live.connection import Connection
from chat.live.elsewhere import Elsewhere
from chat.live.feed import Feed
from chat.live.framing import websocket_frame
from chat.live.last_said import LastSaid
from chat.live.new_lines import NewLines
from chat.live.read_signs import signs_of, told_by
from chat.live.reading import Reading
from chat.live.unread_page import SaidAfter, UnreadPage
from chat.model.members import Seat
from chat.model.rooms import Room
from chat.model.signs import Sign
from chat.model.unread import NOTHING, Unread
from chat.store import Store, Unavailable, unread
from chat.store.my_rooms import COUNTED
from chat.views.look import Look

EVERY = 1.0  # s between what a page is told
SIGNS = 128  # in one go: half of what a bus takes, so that signs of typing are not crowded out
AT_ONCE = 100  # people whose positions are asked for in one go
SLICE = 0.002  # s of counting and telling until everybody else gets a turn
SPENT = 0.01  # s of each second for that: where many rooms talk at once, each is told less often

log = logging.getLogger("chat")

Render = Callable[[Room, Unread, Look], str]
Fragments = dict[tuple[Unread, Look], tuple[str, bytes]]  # each with its frame


class UnreadTitles:
    """`feeds` are those that somebody follows."""

    def __init__(
        self,
        store: Store,
        reading: Reading,
        bus: Bus,
        feeds: Mapping[str, Feed[Connection]],
        render: Render,
        elsewhere: Elsewhere,
        lines: NewLines,
        delivered: Callable[[int, int], None],
    ) -> None:
        self._store, self._reading, self._bus = store, reading, bus
        self._feeds = feeds
        self.elsewhere = elsewhere
        elsewhere.titles.listen(self._retitle)
        self._render = render
        self._lines = lines
        self._delivered = delivered
        self._rooms: dict[str, dict[Connection, UnreadPage]] = {}
        self._seats: dict[Seat, set[Connection]] = {}  # whose pages these are
        self._counted: dict[str, int] = {}  # up to which rev of each room
        self._said = LastSaid(store)
        self._since = 0.0  # the CPU time when this slice of the work began
        self._spent = 0.0  # on slices before it

    def follow(self, connection: Connection, line: int = 0) -> None:
        """A page with a title that can be changed is open; it has a line before this message."""
        code = connection.member.code
        self._rooms.setdefault(code, {}).setdefault(connection, UnreadPage(line))
        self._seats.setdefault(connection.member.seat, set()).add(connection)
        self._counted.pop(code, None)
        self.elsewhere.follow(connection)

    def leave(self, connection: Connection) -> None:
        self.elsewhere.leave(connection)
        self._lines.leave(connection)
        code, seat = connection.member.code, connection.member.seat
        pages, of_seat = self._rooms.get(code, {}), self._seats.get(seat, set())
        pages.pop(connection, None)
        of_seat.discard(connection)
        if not of_seat:
            self._seats.pop(seat, None)
        if not pages:
            self._rooms.pop(code, None)
            self._counted.pop(code, None)
            self._said.forget(code)

    def focus(self, connection: Connection) -> None:
        """Somebody looks at the page: nothing on it is unread any more."""
        page = self._page(connection)
        if page is None:
            return
        page.has_focus = True
        if page.shown[0].texts == COUNTED:
            self._lines.put(connection, page.line)  # which may have gone with what grew too long
        if page.shown[0].texts and page.shown[1]:
            self._show(connection, page, NOTHING, page.shown[1], {})

    def blur(self, connection: Connection) -> None:
        if page := self._page(connection):
            page.blur()

    def _page(self, connection: Connection) -> UnreadPage | None:
        return self._rooms.get(connection.member.code, {}).get(connection)

    def hear(self, sign: Sign) -> None:
        """Some have read up to a rev, on another node."""
        for seat, rev in told_by(sign):
            self._read(sign.code, seat, rev)

    def _read(self, code: str, seat: int, rev: int) -> None:
        self.elsewhere.read(code, seat, rev)
        for connection in self._seats.get((code, seat), ()):
            page = self._page(connection)
            if page is None:
                continue
            if page.read is None:
                page.is_moved = True
            elif rev > page.read:
                page.read = rev
                self._counted.pop(code, None)

    def read_up_to(self, connection: Connection) -> int | None:
        """How far the person of a page has read, if that is known by now."""
        page = self._page(connection)
        return page.read if page else None

    def pages_of(self, code: str, seat: int) -> Collection[Connection]:
        """Of somebody on this node."""
        return tuple(self._seats.get((code, seat), ()))

    def set_back(self, code: str, seat: int, rev: int) -> None:
        """Somebody has read no further than this, however far they had."""
        for connection in self.pages_of(code, seat):
            page = self._page(connection)
            if page is not None:
                page.is_moved = page.read is None
                page.read, page.line = None if page.read is None else min(page.read, rev), 0
        self._counted.pop(code, None)
        self.elsewhere.set_back(code, seat)

    async def run(self) -> None:
        """Tell pages for as long as this node runs."""
        while True:
            await asyncio.sleep(EVERY)
            await self.tick()
            await self.elsewhere.tick()

    async def tick(self) -> None:
        """Tell them now: where that takes long, those rooms first that were told longest ago."""
        self._since, self._spent = time.thread_time(), 0.0
        self._lines.put_late()
        risen = self._reading.take_risen()
        for (code, seat), rev in risen.items():
            self._read(code, seat, rev)
        for sign in islice(signs_of(risen), SIGNS):
            self._bus.sign(sign)
        # What somebody has read is told before what is new.
        for code in sorted(self._rooms, key=self._counted.__contains__):
            feed = self._feeds.get(code)
            if code in self._rooms and feed and self._counted.get(code) != feed.position.rev:
                await self._tell_room(code, feed)
                await self._give_way()
                if self._spent > SPENT:
                    return

    async def _tell_room(self, code: str, feed: Feed[Connection]) -> None:
        self._rooms[code] = self._rooms.pop(code)
        self._counted[code] = feed.position.rev
        try:
            await self._count(code, feed)
        except Unavailable:
            self._counted.pop(code, None)
            self._said.forget(code)  # what was new is looked at again
        except Exception:  # one room's fault must not silence the others
            self._said.forget(code)
            log.exception("unread-titles-failed")

    async def _count(self, code: str, feed: Feed[Connection]) -> None:
        pages = {c: page for c, page in self._rooms.get(code, {}).items() if not page.has_focus}
        await self._learn(code, pages)
        made: Fragments = {}
        said_new = self._said.new_texts(code, feed)
        new = SaidAfter(said_new) if said_new else None
        others = {}
        for connection, page in pages.items():
            await self._give_way()
            if page.read is None or page.has_focus:
                continue
            if new and (told := page.add(new, connection.member.ignored)):
                self._tell(connection, page, told, new.room, made)
            else:
                others[connection] = page
        if others:
            await self._count_again(code, feed, others, made)

    async def _count_again(
        self, code: str, feed: Feed[Connection], pages: Mapping[Connection, UnreadPage], made: Fragments
    ) -> None:
        after = min(page.read or 0 for page in pages.values())
        with self._waiting():
            found = await self._said.after(code, feed, after)
        if code not in self._rooms:
            self._said.forget(code)
        if found is None:
            return
        said = SaidAfter(found)
        for connection, page in pages.items():
            await self._give_way()
            if not page.has_focus and (page.read or 0) >= after:  # else it is counted the next time
                self._tell(connection, page, page.count(said, connection.member.ignored), said.room, made)

    def _tell(
        self, connection: Connection, page: UnreadPage, told: tuple[Unread, int], room: Room, made: Fragments
    ) -> None:
        """`made` is what other pages of the room were told: most of them are told the same."""
        number, line = told
        if self._page(connection) is not page:  # it has ended meanwhile
            return
        if line != page.line:
            page.line = line
            self._lines.put(connection, line)
        is_some = number.texts or page.shown[0].texts or self.elsewhere.titles.mentions(connection)
        if (number, room) != page.shown and is_some:
            self._show(connection, page, number, room, made)

    async def _give_way(self) -> None:
        if time.thread_time() > self._since + SLICE:
            with self._waiting():
                await asyncio.sleep(0)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """What others do meanwhile is not spent here."""
        self._spent += time.thread_time() - self._since
        try:
            yield
        finally:
            self._since = time.thread_time()

    async def _learn(self, code: str, pages: Mapping[Connection, UnreadPage]) -> None:
        """Up to where people have read whose pages are new; of those beyond some, the next time."""
        new = [(c.member, page) for c, page in pages.items() if page.read is None]
        if not new:
            return
        some = new[:AT_ONCE]
        for _, page in some:
            page.is_moved = False
        saves = self._reading.saves
        with self._waiting():
            found = await self._store.read(unread.readers_of, code, [member.number for member, _ in some])
        for member, page in some:
            reader = found.get(member.number, unread.NOBODY)
            page.seats = reader.seats
            page.read = None if page.is_moved else self._reading.known(member, reader.read, saves)
        if len(new) > AT_ONCE or any(page.is_moved for _, page in some):
            self._counted.pop(code, None)

    def renamed(self, room: Room) -> None:
        """The pages of a room were shown its title and no number: those that have one are shown it again."""
        made: Fragments = {}
        for connection, page in self._rooms.get(room.code, {}).items():
            number = page.shown[0]
            page.shown = number, room
            if number.texts or self.elsewhere.titles.mentions(connection):
                self._show(connection, page, number, room, made)

    def _retitle(self, connection: Connection, room: Room) -> None:
        """The same, but for what is elsewhere."""
        if page := self._page(connection):
            number, shown = page.shown
            self._show(connection, page, number, shown or room, {})

    def _show(
        self, connection: Connection, page: UnreadPage, number: Unread, room: Room, made: Fragments
    ) -> None:
        page.shown = number, room
        mentions = number.mentions + self.elsewhere.titles.mentions(connection)
        key = number._replace(mentions=mentions), connection.look
        if key not in made:
            html = self._render(room, *key)
            made[key] = html, websocket_frame(html)
        html, frame = made[key]
        if connection.write_now(frame):
            self._delivered(1, 0)
        else:
            connection.show("unread", html)
