"""What is read from the log for pages, and for readers too far behind for the feed's memory."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from itertools import chain
from typing import NamedTuple

from chat.live.framing import Frame, join
from chat.model.changes import Window
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.store import HISTORY, WINDOW, Resync, Store, log
from chat.store.windows import Part
from chat.views.look import Look
from chat.views.messages import PAGE, RenderedMessages, Shown

READ = 64 * 1024  # bytes of the log that are read at once: of short texts, as much as makes one frame
FRAMES = 8 * 1024 * 1024  # bytes of frames that are kept for others at the same place, over all rooms


class Place(NamedTuple):
    """Where readers of one look stand, and up to where they have every text."""

    look: Look
    since: Position
    texts: int


class RoomFrames:
    """Of one room, for one newest rev: what is being read and what was."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.reading: dict[Place, asyncio.Task[Frame]] = {}
        self.frames: OrderedDict[Place, Frame] = OrderedDict()  # the least recently used first


class CatchUp:
    """Reads one part after the other. Those who stand at the same place share one read and one frame."""

    def __init__(self, store: Store, rendered: RenderedMessages, most: int = FRAMES) -> None:
        self._store = store
        self._rendered = rendered
        self._most = most
        self._rooms: OrderedDict[str, RoomFrames] = OrderedDict()  # the least recently asked for first
        self.held = 0

    async def frame(self, code: str, place: Place, head: int) -> Frame:
        """The start of what a reader lacks, or the newest page; raises store errors.

        `head` is what the room's feed has come to: once it moves on, nothing that was kept is used again.
        """
        room = self._room(code, head)
        if place in room.frames:
            room.frames.move_to_end(place)
            return room.frames[place]
        reading = room.reading.get(place)
        if reading is None:
            reading = room.reading[place] = asyncio.create_task(self._read(code, *place))
            reading.add_done_callback(lambda task: self._keep(code, room, place, task))
        return await asyncio.shield(reading)

    def forget(self, code: str, message: Message) -> None:
        """A message has changed: nothing is kept with it as it was."""
        self._rendered.forget(code, message)
        self._drop(code)

    async def warm(self, window: Window) -> None:
        """Do what takes long about showing a part of the log."""
        await self._rendered.formatter.warm(one.body for one in chain(window.changed, window.created))

    def drop(self, code: str) -> None:
        """Keep nothing of a room."""
        self._rendered.drop(code)
        self._drop(code)

    @property
    def rooms(self) -> set[str]:
        """Those of which anything is kept."""
        return {*self._rendered.rooms, *self._rooms}

    def _room(self, code: str, head: int) -> RoomFrames:
        room = self._rooms.get(code)
        if room is None or room.head != head:
            self._drop(code)
            room = self._rooms[code] = RoomFrames(head)
        self._rooms.move_to_end(code)
        return room

    def _drop(self, code: str) -> None:
        """What is being read goes to those who wait for it, and is not kept."""
        if room := self._rooms.pop(code, None):
            self.held -= sum(map(_size, room.frames.values()))

    def _keep(self, code: str, room: RoomFrames, place: Place, reading: asyncio.Task[Frame]) -> None:
        del room.reading[place]
        failed = reading.cancelled() or reading.exception()  # in any case: the exception counts as seen
        if self._rooms.get(code) is not room:
            return
        if not failed:
            room.frames[place] = frame = reading.result()
            self.held += _size(frame)
            while self.held > self._most:
                self._drop_oldest()
        elif not room.frames and not room.reading:
            self._drop(code)

    def _drop_oldest(self) -> None:
        code, room = next((code, room) for code, room in self._rooms.items() if room.frames)
        _, frame = room.frames.popitem(last=False)
        self.held -= _size(frame)
        if not room.frames and not room.reading:
            self._drop(code)

    async def _read(self, code: str, look: Look, since: Position, texts: int) -> Frame:
        if since.rev >= 0:
            try:
                window = await self._store.snapshot(log.changes, code, since, WINDOW, READ)
                if window.head - since.rev <= WINDOW:
                    await self._rendered.prepare(code, window.created, window.changed, texts, look)
                    part = Part(window.changed, window.created, window.position.rev)
                    frame = join(self._rendered, code, (look,), part, texts)[0]
                    return frame._replace(is_all=frame.is_all and part.rev == window.head)
            except Resync:
                pass
        shown = await self.page(code, None, look)
        return Frame(self._rendered.newest(code, shown, look), shown.page.position.rev)

    async def page(self, code: str, before: int | None, look: Look) -> Shown:
        """The newest messages, or the newest older than `before`: as many as make a page. Raises NotFound."""
        history = await self._store.snapshot(log.history, code, before, HISTORY, PAGE)
        return await self._rendered.page(code, history, look)


def _size(frame: Frame) -> int:
    return sys.getsizeof(frame.text)
