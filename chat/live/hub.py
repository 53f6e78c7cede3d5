"""One live feed per room with members here: what changed lately, and who has yet to be told.

A connection has a cursor, not a queue: whatever it has not seen is joined into one frame when it is ready
for more, so a slow reader costs nothing and never slows another. Hints from the bus only say "look"; a gap
is repaired from the log, and every room's head is compared with the log now and then, so losing every hint
costs seconds and never a message.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Protocol

from chat.live.budget import Budget
from chat.live.bus import Bus
from chat.live.catch_up import READ, CatchUp
from chat.live.connection import POLICY, RESTART, Connection, Farewell
from chat.live.feed import RING, Feed, Frame, websocket_frame
from chat.live.registry import LocalRegistry, PresenceRegistry
from chat.model.changes import Change
from chat.model.errors import Trouble
from chat.model.members import Member
from chat.model.rooms import Position
from chat.store import Resync, Store, Unavailable
from chat.views.look import LOOK, Look
from chat.views.messages import RenderedMessages, Shapes, Shown

CHECK = 5.0  # s between comparisons with the log
CONTACT = 1.5  # s between looks whether the store answers
ANSWER = 3.0  # s for its answer: with the above, nobody is without a word for longer than 6 s
BEAT = 15  # s between heartbeats of a connection
SOCKETS = 10  # connections of one person

log = logging.getLogger("chat")


TOO_MANY_TABS = Farewell(POLICY, f"You have this chat open more than {SOCKETS} times; this one was closed.")


class Fragments(Shapes, Protocol):
    """What the hub shows besides messages."""

    def heartbeat(self) -> str: ...

    def trouble(self, trouble: Trouble) -> str: ...


class Hub:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        shapes: Fragments,
        check: float = CHECK,
        delivered: Callable[[int, int], None] = lambda frames, changes: None,
        registry: PresenceRegistry | None = None,
        repaired: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.bus = bus
        self.shapes = shapes
        self.rendered = RenderedMessages(shapes)
        self.catching_up = CatchUp(store, self.rendered)
        self.sending = Budget()
        self.registry = registry or LocalRegistry()
        self.feeds: dict[str, Feed[Connection]] = {}
        self._check = check
        self._delivered = delivered
        self._repaired = repaired
        self._checked = time.monotonic()
        self._beats: list[set[Connection]] = [set() for _ in range(BEAT)]
        self._joined = 0
        self._persons: dict[str, list[Connection]] = {}  # every connection, oldest first
        self._open: dict[int, Connection] = {}
        self._ids = itertools.count(1)
        self._terminating = False
        self.away = False  # the store does not answer
        self._told: Trouble = ""
        self._grown: dict[str, Feed[Connection]] = {}  # feeds with changes that are to be flushed
        self._flushing = False  # is about to happen
        bus.heard = self.heard
        bus.lost = self.check_soon
        self.registry.surplus = self.evict
        self.registry.freezing = self._tell_trouble
        self._check_now = asyncio.Event()

    def admit(self, connection: Connection, counts: bool = True) -> None:
        """A connection is open. It counts among the few of its person at once, or when `count` says so."""
        connection.id = next(self._ids)
        self._open[connection.id] = connection
        self._persons.setdefault(connection.member.person, []).append(connection)
        if counts:
            self.count(connection)
        else:
            self._make_room(connection)
        if self._terminating:
            connection.close(Farewell(RESTART))

    def count(self, connection: Connection) -> None:
        """A page uses this connection."""
        mine = self._persons[connection.member.person]
        mine.remove(connection)
        mine.append(connection)  # now it is the newest
        connection.counts = True
        self.registry.opened(connection.member.person, connection.id)
        self._make_room(connection)

    def _make_room(self, newest: Connection) -> None:
        """A person has few connections, and as few that have yet to count: the oldest goes for the newest."""
        mine = self._persons[newest.member.person]
        alike = [connection for connection in mine if connection.counts == newest.counts]
        for oldest in alike[:-SOCKETS]:  # those told before may still be on their way out
            oldest.close(TOO_MANY_TABS)

    def release(self, connection: Connection) -> None:
        """A connection follows nothing any more."""
        self.leave(connection)
        del self._open[connection.id]
        if connection.counts:
            self.registry.closed(connection.member.person, connection.id)
        mine = self._persons[connection.member.person]
        mine.remove(connection)
        if not mine:
            del self._persons[connection.member.person]

    def evict(self, id: int) -> None:
        """End a connection whose person has opened too many newer ones, perhaps on other nodes."""
        if connection := self._open.get(id):
            connection.close(TOO_MANY_TABS)

    async def join(self, connection: Connection, since: Position) -> None:
        """Let a connection follow its room from `since`. Raises store errors.

        The feed is followed before the position is looked at, so nothing can fall between the two.
        """
        feed = await self._feed(connection.member.code, connection)
        if since.rev > feed.position.rev:
            await self._be_current(feed)
        known = since.epoch == feed.position.epoch and since.rev <= feed.position.rev
        connection.cursor = since.rev if known else -1
        connection.wake()

    async def _be_current(self, feed: Feed[Connection]) -> None:
        """A reader is ahead: a hint may be on its way still, or what the reader has was never stored."""
        self._repair_soon(feed)
        if feed.repairing is not None:
            await asyncio.shield(feed.repairing)

    async def _feed(self, code: str, connection: Connection) -> Feed[Connection]:
        feed = self.feeds.get(code)
        if feed is None:
            feed = self.feeds[code] = Feed(code, self.rendered, self._delivered, self.catching_up.forget)
            self.bus.watch(code)
            feed.repairing = asyncio.create_task(self._load(feed))
        feed.connections.add(connection)
        connection.feed = feed
        self._joined += 1
        self._beats[self._joined % BEAT].add(connection)
        try:
            if not feed.loaded.is_set() and feed.repairing is not None:
                await asyncio.shield(feed.repairing)
        except BaseException:
            self.leave(connection)
            raise
        return feed

    def leave(self, connection: Connection) -> None:
        """Follow the room no further."""
        feed, connection.feed = connection.feed, None
        for beat in self._beats:
            beat.discard(connection)
        if feed is None:
            return
        feed.connections.discard(connection)
        if not feed.connections and not self.away:  # while the store is away, memory is all there is
            self._drop(feed)

    def _drop(self, feed: Feed[Connection]) -> None:
        if self.feeds.get(feed.code) is feed:
            del self.feeds[feed.code]
            self.bus.unwatch(feed.code)

    async def has_left(self, feed: Feed[Connection], member: Member) -> bool:
        """Whether a seat that ended is still nobody's: its person may have taken it up again since."""
        seat = await self.store.find_seat(member.code, member.person)
        if seat is None or seat.number != member.number:
            return True
        feed.ended.pop(member.number, None)
        return False

    async def _load(self, feed: Feed[Connection]) -> None:
        try:
            head = (await self.store.heads([feed.code])).get(feed.code)
            if head is None:
                return
            feed.start_at(Position(head.epoch, max(0, head.rev - RING)))
            await self._read_part(feed)
            while feed.position.rev < head.rev:
                await self._read_part(feed)
            feed.loaded.set()
        except Exception:
            # Those who wait for this feed get the error; the next to come starts afresh.
            self._drop(feed)
            raise
        finally:
            feed.repairing = None
        if feed.wanted > feed.position.rev:
            self._repair_soon(feed)

    async def _read_part(self, feed: Feed[Connection]) -> int:
        """Have the feed take what follows in the log, as much as is read at once; the log's head."""
        window = await self.store.changes(feed.code, feed.position, RING, READ)
        if window.position.rev > feed.position.rev:
            feed.apply(chain(window.changed, window.created), window.position)
        return window.head

    def heard(self, changes: Sequence[Change]) -> None:
        """Take hints: the next change is applied as it is, anything else makes the hub read the log."""
        for done in changes:
            feed = self.feeds.get(done.code)
            if feed is None:
                continue
            if not feed.loaded.is_set() or feed.repairing:
                feed.wanted = max(feed.wanted, done.position.rev)
            elif done.position == (feed.position.epoch, feed.position.rev + 1):
                feed.apply_next(done.message, done.position)
                self._grown[done.code] = feed
            elif done.position.epoch != feed.position.epoch or done.position.rev > feed.position.rev:
                feed.wanted = max(feed.wanted, done.position.rev)
                self._repair_soon(feed)
        if self._grown and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def committed(self, changes: Sequence[Change]) -> None:
        """This process has stored something: tell the bus, and those who are here without another turn."""
        for change in changes:
            if change.message.rev != change.message.id:  # though nobody is in its room
                self.catching_up.forget(change.code, change.message)
        self._flushing = True
        try:
            self.bus.announce(changes)
        finally:
            self._flush()

    def _flush(self) -> None:
        self._flushing = False
        grown, self._grown = self._grown, {}
        for feed in grown.values():
            feed.flush()

    def _repair_soon(self, feed: Feed[Connection]) -> None:
        if feed.repairing is None:
            self._repaired()
            feed.repairing = asyncio.create_task(self._repair(feed))

    async def _repair(self, feed: Feed[Connection]) -> None:
        try:
            await self._read_on(feed)
        except Unavailable:
            log.warning("feed-stale reason=store-unavailable")  # the next check tries again
        finally:
            feed.repairing = None

    async def _read_on(self, feed: Feed[Connection]) -> None:
        try:
            while self.feeds.get(feed.code) is feed:
                feed.wanted = 0  # a hint tells of what is in the log by now, or it is none of ours
                head = await self._read_part(feed)
                if feed.position.rev >= max(head, feed.wanted):
                    return
        except Resync:
            await self._start_over(feed)

    async def _start_over(self, feed: Feed[Connection]) -> None:
        """History was rewritten (a restored back-up): everybody gets the newest page."""
        head = (await self.store.heads([feed.code])).get(feed.code)
        if head is not None:
            feed.wanted = 0
            feed.start_at(head)
        for connection in feed.connections:
            connection.cursor = -1
            connection.wake()

    async def catch_up(self, feed: Feed[Connection], cursor: int, look: Look = LOOK) -> Frame:
        """A frame for a reader too far behind for the ring: the start of what they lack."""
        since = Position(feed.position.epoch, cursor)
        return await self.catching_up.frame(feed.code, since, feed.position.rev, look)

    async def page(self, code: str, before: int | None = None, look: Look = LOOK) -> Shown:
        """The newest messages, or the newest older than `before`: as many as make a page. Raises NotFound."""
        return await self.catching_up.page(code, before, look)

    def check_soon(self) -> None:
        self._check_now.set()

    async def check(self) -> None:
        """Compare every live room with the log and repair those that missed a hint."""
        codes = [feed.code for feed in self.feeds.values() if feed.loaded.is_set()]
        if not codes:
            return
        for code, head in (await self.store.heads(codes)).items():
            feed = self.feeds.get(code)
            if (
                feed is not None
                and head != feed.position
                and (head.epoch != feed.position.epoch or head.rev > feed.position.rev)
            ):
                feed.wanted = max(feed.wanted, head.rev)
                self._repair_soon(feed)

    @property
    def unchecked(self) -> float:
        """Seconds since every live room was known to be as the log has it."""
        return time.monotonic() - self._checked

    async def run_checks(self) -> None:
        """Check for ever; ends by cancellation."""
        while True:
            try:
                async with asyncio.timeout(self._check):
                    await self._check_now.wait()
            except TimeoutError:
                pass
            self._check_now.clear()
            try:
                await self.check()
                self._checked = time.monotonic()
            except Unavailable:
                log.warning("check-failed reason=store-unavailable")

    @property
    def trouble(self) -> Trouble:
        if not self.away:
            return ""
        return "all" if self.registry.frozen else "store"

    def _tell_trouble(self) -> None:
        """Have every connection say so if what cannot be reached has changed."""
        if self._told == self.trouble:
            return
        self._told = self.trouble
        log.warning("trouble part=%s", self._told or "none")
        fragment = self.shapes.trouble(self._told)
        for connection in self._open.values():
            connection.show("trouble", fragment)

    async def run_contact(self) -> None:
        """Look for ever whether the store answers; ends by cancellation."""
        while True:
            self._found(away=not await self._answers())
            await asyncio.sleep(CONTACT)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER):
                await self.store.ping()
        except (Unavailable, TimeoutError):
            return False
        return True

    def _found(self, away: bool) -> None:
        was, self.away = self.away, away
        self._tell_trouble()
        if was and not away:
            for feed in [feed for feed in self.feeds.values() if not feed.connections]:
                self._drop(feed)
            self.check_soon()

    async def run_beats(self) -> None:
        """Let every connection send a heartbeat every BEAT seconds, spread evenly; ends by cancellation."""
        turn, fragment = 0, self.shapes.heartbeat()
        frame = websocket_frame(fragment)
        while True:
            await asyncio.sleep(1)
            for connection in self._beats[turn % BEAT]:
                if connection.write_now(frame):
                    self._delivered(1, 0)
                else:
                    connection.show("beat", fragment)
            turn += 1

    async def terminate(self) -> None:
        """Tell every connection to come back in a moment, a few hundred at a time."""
        self._terminating = True
        everybody = [connection for mine in self._persons.values() for connection in mine]
        for start in range(0, len(everybody), 500):
            for connection in everybody[start : start + 500]:
                connection.close(Farewell(RESTART))
            await asyncio.sleep(0.02)

    def show(self, person: str, slot: str, fragment: str) -> None:
        """Send every page of a person a fragment soon, whatever room it is in."""
        for connection in self._persons.get(person, []):
            connection.show(slot, fragment)

    def close_connections(self, code: str, person: str, farewell: Farewell) -> None:
        """End every connection that a person has to a room."""
        for connection in self._persons.get(person, []):
            if connection.member.code == code:
                connection.close(farewell)
