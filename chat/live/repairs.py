"""Feeds are read from the log: when they begin, after a gap, and when a comparison finds them behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from itertools import chain

from chat.live.catch_up import READ, CatchUp
from chat.live.connection import Connection
from chat.live.feed import RING, Feed
from chat.model.rooms import Position
from chat.store import Resync, Store, Unavailable
from chat.store.log import changes, heads

CHECK = 5.0  # s between comparisons with the log

log = logging.getLogger("chat")


class Repairs:
    """`feeds` are those that somebody follows; `drop` takes one out of them; `repaired` counts repairs.

    `checked` is called after each comparison.
    """

    def __init__(
        self,
        store: Store,
        feeds: Mapping[str, Feed[Connection]],
        catching_up: CatchUp,
        drop: Callable[[Feed[Connection]], None],
        check: float = CHECK,
        repaired: Callable[[], None] = lambda: None,
        checked: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._feeds = feeds
        self._catching_up = catching_up
        self._drop = drop
        self._check = check
        self._repaired = repaired
        self._on_check = checked
        self._checked = time.monotonic()
        self._check_now = asyncio.Event()

    def load(self, feed: Feed[Connection]) -> None:
        """Fill a new feed. Those who wait for `feed.repairing` get its error, and the feed is dropped."""
        feed.repairing = asyncio.create_task(self._load(feed))

    async def _load(self, feed: Feed[Connection]) -> None:
        try:
            head = (await self._store.read(heads, [feed.code])).get(feed.code)
            if head is None:
                return
            feed.start_at(Position(head.epoch, max(0, head.rev - RING)))
            await self._read_part(feed)
            while feed.position.rev < head.rev:
                await self._read_part(feed)
            feed.loaded.set()
        except Exception:
            self._drop(feed)  # the next person to come begins a new one
            raise
        finally:
            feed.repairing = None
        if feed.hinted_rev > feed.position.rev:
            self.repair_soon(feed)

    async def _read_part(self, feed: Feed[Connection]) -> int:
        """Have the feed take what follows in the log, as much as is read at once; the log's head."""
        window = await self._store.snapshot(changes, feed.code, feed.position, RING, READ)
        await self._catching_up.warm(window)
        if window.position.rev > feed.position.rev:
            feed.apply(chain(window.changed, window.created), window.position)
        return window.head

    async def be_current(self, feed: Feed[Connection]) -> None:
        """Return when the feed has all that was in the log, unless the store is away."""
        self.repair_soon(feed)
        if feed.repairing is not None:
            await asyncio.shield(feed.repairing)

    def repair_up_to(self, feed: Feed[Connection], head: Position) -> None:
        """Repair a feed if it lacks something of what led to this position."""
        if head.epoch != feed.position.epoch or head.rev > feed.position.rev:
            feed.expect(head.rev)
            self.repair_soon(feed)

    def repair_soon(self, feed: Feed[Connection]) -> None:
        if feed.repairing is None:
            self._repaired()
            self.read_soon(feed)

    def read_soon(self, feed: Feed[Connection]) -> None:
        """Have the feed read on though nothing is missing."""
        if feed.repairing is None:
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
            while self._feeds.get(feed.code) is feed:
                feed.hinted_rev = 0  # anything hinted so far is in the log, so this read includes it
                head = await self._read_part(feed)
                if feed.position.rev >= max(head, feed.hinted_rev):
                    return
        except Resync:
            await self._start_over(feed)

    async def _start_over(self, feed: Feed[Connection]) -> None:
        """History was rewritten (a restored back-up): everybody gets the newest page."""
        head = (await self._store.read(heads, [feed.code])).get(feed.code)
        if head is not None:
            feed.hinted_rev = 0
            feed.start_at(head)
        self._catching_up.drop(feed.code)
        for connection in feed.connections:
            connection.start_at(-1, feed.position.rev)
            connection.wake()

    def check_soon(self) -> None:
        self._check_now.set()

    async def check(self) -> None:
        """Compare every feed with the log and repair those that missed a hint."""
        codes = [feed.code for feed in self._feeds.values() if feed.loaded.is_set()]
        if not codes:
            return
        for code, head in (await self._store.read(heads, codes)).items():
            if feed := self._feeds.get(code):
                self.repair_up_to(feed, head)

    @property
    def unchecked(self) -> float:
        """Seconds since every feed was known to be as the log has it."""
        return time.monotonic() - self._checked

    async def run(self) -> None:
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
                self._on_check()
            except Unavailable:
                log.warning("check-failed reason=store-unavailable")
