"""One live feed per room that somebody has open: what changed lately, and who has not seen it yet.

A connection has a cursor, not a queue: whatever it has not seen is joined into one frame when it is ready
for more, so a slow reader costs nothing and never slows another. Hints from the bus only say "look"; a gap
is repaired from the log, and every room's head is compared with the log now and then, so losing every hint
costs seconds and never a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from chat.live import health
from chat.live.budget import Budget
from chat.live.bus import Bus
from chat.live.catch_up import CatchUp, Place
from chat.live.connection import Connection
from chat.live.connections import Connections
from chat.live.feed import Feed
from chat.live.framing import Frame
from chat.live.health import StoreHealth
from chat.live.heartbeats import Heartbeats
from chat.live.registry import LocalRegistry, PresenceRegistry
from chat.live.repairs import CHECK, Repairs
from chat.live.titles import Titles
from chat.model.changes import Change
from chat.model.rooms import Position, Room
from chat.store import Store
from chat.views.look import Look
from chat.views.messages import RenderedMessages, Shapes, Shown


class Alerts(health.Alerts, Protocol):
    def heartbeat(self, look: Look) -> str: ...


class Fragments(Protocol):
    """What the hub shows, in the look of each reader."""

    @property
    def messages(self) -> Shapes: ...

    @property
    def alerts(self) -> Alerts: ...


class Hub:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        fragments: Fragments,
        check: float = CHECK,
        delivered: Callable[[int, int], None] = lambda frames, changes: None,
        registry: PresenceRegistry | None = None,
        repaired: Callable[[], None] = lambda: None,
        title: Callable[[Room, Look], str] = lambda room, look: "",
    ) -> None:
        self.store = store
        self.bus = bus
        self.registry = registry or LocalRegistry()
        self.rendered = RenderedMessages(fragments.messages, hears=bus.hears)
        self.catching_up = CatchUp(store, self.rendered)
        self.sending = Budget()
        self.connections = Connections(self.registry)
        self.heartbeats = Heartbeats(fragments.alerts.heartbeat, delivered)
        self.health = StoreHealth(store, self.registry, self.connections, fragments.alerts, self._recovered)
        self.feeds: dict[str, Feed[Connection]] = {}
        self.titles = Titles(store, self.feeds, title)
        self.repairs = Repairs(
            store, self.feeds, self.catching_up, self._drop, check, repaired, self.titles.retry
        )
        self._delivered = delivered
        self._on_seats_ended: list[Callable[[str], None]] = []
        self._grown: dict[str, Feed[Connection]] = {}  # feeds with changes that are to be flushed
        self._flushing = False  # is about to happen

    def on_seats_ended(self, refresh: Callable[[str], None]) -> None:
        """Call this with the code of a room that somebody follows, when people of it have left for good."""
        self._on_seats_ended.append(refresh)

    def _seats_ended(self, code: str) -> None:
        for refresh in self._on_seats_ended:
            refresh(code)

    async def join(self, connection: Connection, since: Position) -> None:
        """Let a connection follow its room from `since`. Raises store errors.

        The feed is followed before the position is looked at, so nothing can fall between the two.
        """
        feed = await self._feed(connection.member.code, connection)
        if since.rev > feed.position.rev:
            await self.repairs.be_current(feed)  # a hint is on its way, or this was never stored
        known = since.epoch == feed.position.epoch and since.rev <= feed.position.rev
        connection.start_at(since.rev if known else -1, feed.position.rev)
        connection.wake()

    async def _feed(self, code: str, connection: Connection) -> Feed[Connection]:
        feed = self.feeds.get(code)
        if feed is None:
            forget, refresh = self.catching_up.forget, self.titles.refresh
            ended = self._seats_ended
            feed = self.feeds[code] = Feed(code, self.rendered, self._delivered, forget, refresh, ended)
            self.bus.watch(code)
            self.repairs.load(feed)
        feed.connections.add(connection)
        connection.feed = feed
        self.heartbeats.add(connection)
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
        self.heartbeats.remove(connection)
        if feed is None:
            return
        feed.connections.discard(connection)
        if not feed.connections and not self.health.store_down:  # otherwise memory is all there is
            self._drop(feed)

    def release(self, connection: Connection) -> None:
        """A connection has ended."""
        self.leave(connection)
        self.connections.remove(connection)

    def _recovered(self) -> None:
        """The store answers again."""
        for feed in [feed for feed in self.feeds.values() if not feed.connections]:
            self._drop(feed)
        self.repairs.check_soon()

    def _drop(self, feed: Feed[Connection]) -> None:
        if self.feeds.get(feed.code) is feed:
            del self.feeds[feed.code]
            self.bus.unwatch(feed.code)
            if not self.bus.hears(feed.code):
                self.catching_up.drop(feed.code)

    def on_gap(self) -> None:
        """Changes may have been committed of which no hint came."""
        for code in self.catching_up.rooms.difference(self.feeds):
            self.catching_up.drop(code)
        self.repairs.check_soon()

    def receive(self, changes: Sequence[Change]) -> None:
        """Take hints: mostly the next change is applied as it is; else the hub reads the log."""
        for done in changes:
            feed = self.feeds.get(done.code)
            if feed is None:
                continue
            if not feed.loaded.is_set() or feed.repairing:
                feed.expect(done.position.rev)
            elif done.position != (feed.position.epoch, feed.position.rev + 1):
                self.repairs.repair_up_to(feed, done.position)
            elif self.rendered.formatter.takes_long(done.message.body):
                self.repairs.read_soon(feed)  # which does that in a thread
            else:
                feed.apply_next(done.message, done.position)
                self._grown[done.code] = feed
        if self._grown and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def committed(self, changes: Sequence[Change]) -> None:
        """This process has stored something: announce it, and write it to those who are here in this turn."""
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

    async def catch_up(self, feed: Feed[Connection], connection: Connection) -> Frame:
        """A frame for a reader too far behind for the ring: the start of what they lack."""
        assert connection.cursor is not None
        place = Place(connection.look, Position(feed.position.epoch, connection.cursor), connection.has_texts)
        return await self.catching_up.frame(feed.code, place, feed.position.rev)

    async def page(self, code: str, before: int | None, look: Look) -> Shown:
        """The newest messages, or the newest older than `before`: as many as make a page. Raises NotFound."""
        return await self.catching_up.page(code, before, look)
