"""What live rooms are called: read when a feed begins and whenever a notice says that it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.model.rooms import Room
from chat.store import Store, Unavailable
from chat.store.rooms import find_room
from chat.views.look import Look

PANEL = "title"


class Titles:
    """`feeds` are those that somebody follows."""

    def __init__(
        self, store: Store, feeds: Mapping[str, Feed[Connection]], render: Callable[[Room, Look], str]
    ) -> None:
        self._store = store
        self._feeds = feeds
        self._render = render
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._shown: Callable[[Room], None] = lambda room: None
        self.due: set[str] = set()  # could not be read, or have changed while they were

    def listen(self, shown: Callable[[Room], None]) -> None:
        """Call `shown` for each room whose title was shown to its pages."""
        self._shown = shown

    def refresh(self, code: str) -> None:
        """Show the title soon; what is shown in the end is read after the last call."""
        self.due.add(code)
        if code not in self._reading:
            self._reading[code] = asyncio.create_task(self._read(code))

    async def _read(self, code: str) -> None:
        try:
            while code in self.due:
                self.due.discard(code)
                room = await self._store.read(find_room, code)
                feed = self._feeds.get(code)
                if room and feed and ("title" in room.meta or PANEL in feed.panels):
                    feed.show(PANEL, partial(self._render, room))
                    self._shown(room)
        except Unavailable:
            self.due.add(code)
        finally:
            del self._reading[code]

    def retry(self) -> None:
        """Read what could not be read: the store was just read."""
        due, self.due = self.due, set()
        for code in due.intersection(self._feeds):
            self.refresh(code)
