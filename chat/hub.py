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
from dataclasses import dataclass, field
from itertools import chain

from chat.bus import Bus
from chat.census import Census
from chat.census.local import LocalCensus
from chat.live.budget import Budget
from chat.live.catch_up import READ, CatchUp
from chat.live.feed import RING, Feed, Frame
from chat.rooms import Change, Member, Position, Trouble
from chat.store import Resync, Store, Unavailable
from chat.views.messages import RenderedMessages, Shapes, Shown

CHECK = 5.0  # s between comparisons with the log
CONTACT = 1.5  # s between looks whether the store answers
ANSWER = 3.0  # s for its answer: with the above, nobody is without a word for longer than 6 s
BEAT = 15  # s between heartbeats of a connection
SOCKETS = 10  # connections of one person

RESTART = 1012  # the browser comes back by itself
POLICY = 1008  # the browser stays away
LATER = 1013  # the browser comes back by itself; something here is out of order

log = logging.getLogger("chat")


@dataclass(frozen=True, slots=True)
class Farewell:
    """Why a connection ends: a close code and, for people, the reason."""

    code: int
    reason: str = ""
    over: bool = field(default=False, compare=False)  # the seat ended: the page forgets the conversation


SURPLUS = Farewell(POLICY, f"You have this chat open more than {SOCKETS} times; this one was closed.")


class Listener:
    """One connection's place in a feed. Everything pending for it is worked out when it asks."""

    __slots__ = (
        "_asked",
        "_ready",
        "address",
        "beat",
        "counts",
        "cursor",
        "farewell",
        "feed",
        "id",
        "lane",
        "member",
        "outbox",
        "progress",
        "roster",
        "trouble",
        "unstored",
    )

    def __init__(self, member: Member, address: str = "") -> None:
        self.member = member
        self.address = address  # where it comes from
        self.id = 0  # given by the hub
        self.counts = False  # among the few of its person
        self.feed: Feed[Listener] | None = None
        self.cursor: int | None = None  # None: has not said what it has; -1: wants the newest page
        self.roster = 0
        self.beat = False
        self.trouble: Trouble = ""  # what its page says of the node
        self.unstored = False  # its page says that something could not be stored
        self.outbox: dict[str, str] = {}  # fragments for this page alone, the newest of each slot
        self.progress: tuple[int, int] | str | None = (
            None  # controls to remove and new `acked`, or the fragment
        )
        self.farewell: Farewell | None = None
        self.lane: Callable[[bytes], bool] | None = None  # takes a framed text if the socket is free
        self._asked: asyncio.Future[None] | None = None
        self._ready = False

    @property
    def parked(self) -> bool:
        """Nothing is being sent, and nothing but changes of the room waits."""
        return self._asked is not None and not self._ready

    def show(self, slot: str, fragment: str) -> None:
        """Send this page a fragment soon, in place of an older one in the same slot."""
        self.outbox[slot] = fragment
        self.wake()

    def wake(self) -> None:
        self._ready = True
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    async def ready(self) -> None:
        """Return when there may be something to send."""
        if not self._ready:
            self._asked = asyncio.get_running_loop().create_future()
            try:
                await self._asked
            finally:
                self._asked = None
        self._ready = False

    def dismiss(self, farewell: Farewell) -> None:
        self.farewell = self.farewell or farewell
        self.wake()


class Hub:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        shapes: Shapes,
        check: float = CHECK,
        delivered: Callable[[int], None] = lambda changes: None,
        census: Census | None = None,
        repaired: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.bus = bus
        self.shapes = shapes
        self.rendered = RenderedMessages(shapes)
        self.catching_up = CatchUp(store, self.rendered)
        self.sending = Budget()
        self.census = census or LocalCensus()
        self.feeds: dict[str, Feed[Listener]] = {}
        self._check = check
        self._delivered = delivered
        self._repaired = repaired
        self._checked = time.monotonic()
        self._beats: list[set[Listener]] = [set() for _ in range(BEAT)]
        self._joined = 0
        self._persons: dict[str, list[Listener]] = {}  # every connection, oldest first
        self._open: dict[int, Listener] = {}
        self._ids = itertools.count(1)
        self._terminating = False
        self.away = False  # the store does not answer
        self._told: Trouble = ""
        bus.heard = self.heard
        bus.lost = self.check_soon
        self.census.surplus = self.turn_out
        self.census.freezing = self._tell_trouble
        self._check_now = asyncio.Event()

    # Joining and leaving ------------------------------------------------------------------------------

    def admit(self, listener: Listener, counts: bool = True) -> None:
        """A connection is open. It counts among the few of its person at once, or when `count` says so."""
        listener.id = next(self._ids)
        self._open[listener.id] = listener
        self._persons.setdefault(listener.member.person, []).append(listener)
        if counts:
            self.count(listener)
        else:
            self._make_room(listener)
        if self._terminating:
            listener.dismiss(Farewell(RESTART))

    def count(self, listener: Listener) -> None:
        """A page uses this connection."""
        mine = self._persons[listener.member.person]
        mine.remove(listener)
        mine.append(listener)  # now it is the newest
        listener.counts = True
        self.census.opened(listener.member.person, listener.id)
        self._make_room(listener)

    def _make_room(self, newest: Listener) -> None:
        """A person has few connections, and as few that have yet to count: the oldest goes for the newest."""
        mine = self._persons[newest.member.person]
        alike = [listener for listener in mine if listener.counts == newest.counts]
        for oldest in alike[:-SOCKETS]:  # those told before may still be on their way out
            oldest.dismiss(SURPLUS)

    def release(self, listener: Listener) -> None:
        """A connection follows nothing any more."""
        self.leave(listener)
        del self._open[listener.id]
        if listener.counts:
            self.census.closed(listener.member.person, listener.id)
        mine = self._persons[listener.member.person]
        mine.remove(listener)
        if not mine:
            del self._persons[listener.member.person]

    def turn_out(self, id: int) -> None:
        """End a connection whose person has opened too many newer ones, perhaps on other nodes."""
        if listener := self._open.get(id):
            listener.dismiss(SURPLUS)

    async def join(self, listener: Listener, since: Position) -> None:
        """Let a connection follow its room from `since`. Raises store errors.

        The feed is followed before the position is looked at, so nothing can fall between the two.
        """
        feed = await self._feed(listener.member.code, listener)
        if since.rev > feed.position.rev:
            await self._be_current(feed)
        known = since.epoch == feed.position.epoch and since.rev <= feed.position.rev
        listener.cursor = since.rev if known else -1
        listener.wake()

    async def _be_current(self, feed: Feed[Listener]) -> None:
        """A reader is ahead: a hint may be on its way still, or what the reader has was never stored."""
        self._repair_soon(feed)
        if feed.repairing is not None:
            await asyncio.shield(feed.repairing)

    async def _feed(self, code: str, listener: Listener) -> Feed[Listener]:
        feed = self.feeds.get(code)
        if feed is None:
            feed = self.feeds[code] = Feed(code, self.rendered, self._delivered)
            self.bus.watch(code)
            feed.repairing = asyncio.create_task(self._load(feed))
        feed.listeners.add(listener)
        listener.feed = feed
        self._joined += 1
        self._beats[self._joined % BEAT].add(listener)
        try:
            if not feed.loaded.is_set() and feed.repairing is not None:
                await asyncio.shield(feed.repairing)
        except BaseException:
            self.leave(listener)
            raise
        return feed

    def leave(self, listener: Listener) -> None:
        """Follow the room no further."""
        feed, listener.feed = listener.feed, None
        for beat in self._beats:
            beat.discard(listener)
        if feed is None:
            return
        feed.listeners.discard(listener)
        if not feed.listeners and not self.away:  # what is in memory is all there is while the store is away
            self._drop(feed)

    def _drop(self, feed: Feed[Listener]) -> None:
        if self.feeds.get(feed.code) is feed:
            del self.feeds[feed.code]
            self.bus.unwatch(feed.code)

    async def has_left(self, feed: Feed[Listener], member: Member) -> bool:
        """Whether a seat that ended is still nobody's: its person may have taken it up again since."""
        seat = await self.store.find_seat(member.code, member.person)
        if seat is None or seat.number != member.number:
            return True
        feed.ended.discard(member.number)
        return False

    # Keeping up with the log --------------------------------------------------------------------------

    async def _load(self, feed: Feed[Listener]) -> None:
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

    async def _read_part(self, feed: Feed[Listener]) -> int:
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
            elif done.position == Position(feed.position.epoch, feed.position.rev + 1):
                feed.apply((done.message,), done.position)
            elif done.position.epoch != feed.position.epoch or done.position.rev > feed.position.rev:
                feed.wanted = max(feed.wanted, done.position.rev)
                self._repair_soon(feed)

    def _repair_soon(self, feed: Feed[Listener]) -> None:
        if feed.repairing is None:
            self._repaired()
            feed.repairing = asyncio.create_task(self._repair(feed))

    async def _repair(self, feed: Feed[Listener]) -> None:
        try:
            await self._read_on(feed)
        except Unavailable:
            log.warning("feed-stale reason=store-unavailable")  # the next check tries again
        finally:
            feed.repairing = None

    async def _read_on(self, feed: Feed[Listener]) -> None:
        try:
            while self.feeds.get(feed.code) is feed:
                feed.wanted = 0  # a hint tells of what is in the log by now, or it is none of ours
                head = await self._read_part(feed)
                if feed.position.rev >= max(head, feed.wanted):
                    return
        except Resync:
            await self._start_over(feed)

    async def _start_over(self, feed: Feed[Listener]) -> None:
        """History was rewritten (a restored back-up): everybody gets the newest page."""
        head = (await self.store.heads([feed.code])).get(feed.code)
        if head is not None:
            feed.wanted = 0
            feed.start_at(head)
        for listener in feed.listeners:
            listener.cursor = -1
            listener.wake()

    async def catch_up(self, feed: Feed[Listener], cursor: int) -> Frame:
        """A frame for a reader too far behind for the ring: the start of what they lack."""
        since = Position(feed.position.epoch, cursor)
        return await self.catching_up.frame(feed.code, since, feed.position.rev)

    async def page(self, code: str, before: int | None = None) -> Shown:
        """The newest messages, or the newest older than `before`: as many as make a page. Raises NotFound."""
        return await self.catching_up.page(code, before)

    # Once in a while ----------------------------------------------------------------------------------

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
        return "all" if self.census.frozen else "store"

    def _tell_trouble(self) -> None:
        """Have every connection say so if what cannot be reached has changed."""
        if self._told == self.trouble:
            return
        self._told = self.trouble
        log.warning("trouble part=%s", self._told or "none")
        for listener in self._open.values():
            listener.wake()

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
            for feed in [feed for feed in self.feeds.values() if not feed.listeners]:
                self._drop(feed)
            self.check_soon()

    async def run_beats(self) -> None:
        """Let every connection send a heartbeat every BEAT seconds, spread evenly; ends by cancellation."""
        turn = 0
        while True:
            await asyncio.sleep(1)
            for listener in self._beats[turn % BEAT]:
                listener.beat = True
                listener.wake()
            turn += 1

    # Endings ------------------------------------------------------------------------------------------

    async def terminate(self) -> None:
        """Tell every connection to come back in a moment, a few hundred at a time."""
        self._terminating = True
        everybody = [listener for mine in self._persons.values() for listener in mine]
        for start in range(0, len(everybody), 500):
            for listener in everybody[start : start + 500]:
                listener.dismiss(Farewell(RESTART))
            await asyncio.sleep(0.02)

    def dismiss(self, code: str, person: str, farewell: Farewell) -> None:
        """End every connection that a person has to a room."""
        for listener in self._persons.get(person, []):
            if listener.member.code == code:
                listener.dismiss(farewell)
