"""What is read from the log for pages, and for readers too far behind for the feed's memory."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict

from chat.live.feed import Frame, join
from chat.model.rooms import Position
from chat.store import HISTORY, WINDOW, Resync, Store
from chat.store.windows import Part
from chat.views.look import LOOK, Look
from chat.views.messages import PAGE, RenderedMessages, Shown

READ = 64 * 1024  # bytes of the log that are read at once: of short texts, as much as makes one frame
FRAMES = 8 * 1024 * 1024  # bytes of frames that are kept for others at the same place, over all rooms

Place = tuple[Look, str, Position, int]  # a room, where its reader stands, and the rev that is its newest


class CatchUp:
    """Reads one part after the other. Those who stand at the same place share one read and one frame."""

    def __init__(self, store: Store, rendered: RenderedMessages, most: int = FRAMES) -> None:
        self._store = store
        self._rendered = rendered
        self._most = most
        self._reading: dict[Place, asyncio.Task[Frame]] = {}
        self._kept: OrderedDict[Place, Frame] = OrderedDict()
        self.held = 0

    async def frame(self, code: str, since: Position, head: int, look: Look = LOOK) -> Frame:
        """The start of what a reader lacks, or the newest page; raises store errors.

        `head` is what the room's feed has come to: once it moves on, nothing that was kept is used again.
        """
        place = look, code, since, head
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        reading = self._reading.get(place)
        if reading is None:
            reading = self._reading[place] = asyncio.create_task(self._read(code, since, look))
            reading.add_done_callback(lambda task: self._keep(place, task))
        return await asyncio.shield(reading)

    def _keep(self, place: Place, reading: asyncio.Task[Frame]) -> None:
        del self._reading[place]
        if reading.cancelled() or reading.exception():
            return
        self._kept[place] = frame = reading.result()
        self.held += sys.getsizeof(frame.text)
        while self.held > self._most:
            _, oldest = self._kept.popitem(last=False)
            self.held -= sys.getsizeof(oldest.text)

    async def _read(self, code: str, since: Position, look: Look) -> Frame:
        if since.rev >= 0:
            try:
                window = await self._store.changes(code, since, WINDOW, READ)
                if window.head - since.rev <= WINDOW:
                    await self._rendered.prepare(code, window.created, window.changed, look)
                    part = Part(window.changed, window.created, window.position.rev)
                    return join(self._rendered.of(code, look), part, since.rev)
            except Resync:
                pass
        shown = await self.page(code, look=look)
        return Frame(self._rendered.newest(code, shown, look), shown.page.position.rev)

    async def page(self, code: str, before: int | None = None, look: Look = LOOK) -> Shown:
        """The newest messages, or the newest older than `before`: as many as make a page. Raises NotFound."""
        history = await self._store.history(code, before, HISTORY, PAGE)
        return await self._rendered.page(code, history, look)
