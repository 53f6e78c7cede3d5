"""Rendered messages, kept for whoever needs them next: the page, the push and those who catch up.

The HTML of a message depends on nothing but its room, the message and the look of its readers. It is kept
with the message that it shows: whatever changes (an edit, a name, the message before it, a restored back-up)
makes another one in its place, and nothing stale is shown. Nor is a deleted text kept: only of rooms whose
changes this process hears of is anything kept.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol, get_args

from chat.model.changes import Page
from chat.model.messages import Message
from chat.store.windows import weight
from chat.views.look import Look

CACHE = 32 * 1024 * 1024  # bytes of rendered messages in memory, over all rooms
ENTRY = 400  # bytes of an entry besides its strings, about
PAGE = 128 * 1024  # bytes of a page's messages; "Earlier messages" leads to those that do not fit
CHANGES = 10_000  # of messages that are remembered: far more than are made while a page is read
SLICE = 0.005  # s of rendering until everybody else gets a turn

Kind = Literal["message", "amended", "extras"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Key = tuple[Look, Kind, int]  # look, kind of fragment, id of the message
Kept = tuple[Message, str, int]  # its HTML, and the bytes that both take


class Shapes(Protocol):
    """How a change becomes HTML; the same for every reader of one look."""

    def message(self, code: str, message: Message, look: Look) -> str: ...

    def amended(self, code: str, message: Message, look: Look) -> str: ...

    def extras(self, code: str, message: Message, look: Look) -> str: ...

    def newest(self, code: str, shown: Shown, look: Look) -> str: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, cut to the newest messages that fit, and the HTML of each."""

    page: Page
    fragments: Sequence[str]


class RenderedMessages:
    """Those of the least recently used room are forgotten once all take more than `most` bytes."""

    def __init__(
        self, shapes: Shapes, most: int = CACHE, hears: Callable[[str], bool] = lambda code: True
    ) -> None:
        """`hears` says whether this process hears of every change in a room."""
        self._shapes = shapes
        self._most = most
        self._hears = hears
        self._rooms: OrderedDict[str, OrderedDict[Key, Kept]] = OrderedDict()  # the oldest first, in both
        self._looks: set[Look] = set()
        self._changed: OrderedDict[tuple[str, int], int] = OrderedDict()  # revs of what changed lately
        self._turn = asyncio.Lock()
        self._since = 0.0  # when the present slice of rendering began
        self.held = 0

    def of(self, code: str, look: Look) -> RoomMessages:
        return RoomMessages(self, code, look)

    def message(self, code: str, message: Message, look: Look) -> str:
        return self.get(look, "message", code, message)

    def amended(self, code: str, message: Message, look: Look) -> str:
        return self.get(look, "amended", code, message)

    def extras(self, code: str, message: Message, look: Look) -> str:
        return self.get(look, "extras", code, message)

    def newest(self, code: str, shown: Shown, look: Look) -> str:
        """A page in place of what a reader has; not kept here."""
        return self._shapes.newest(code, shown, look)

    def forget(self, code: str, message: Message) -> None:
        """This message has changed: what was rendered before is dropped and not kept again."""
        changed = code, message.id
        if self._changed.get(changed, 0) >= message.rev:
            return
        if room := self._rooms.get(code):
            for look in self._looks:
                for kind in KINDS:
                    self._drop(room, (look, kind, message.id))
            if not room:
                del self._rooms[code]
        self._changed[changed] = message.rev
        self._changed.move_to_end(changed)
        if len(self._changed) > CHANGES:
            self._changed.popitem(last=False)

    def drop(self, code: str) -> None:
        """Keep nothing of a room."""
        self.held -= sum(size for _, _, size in self._rooms.pop(code, {}).values())

    @property
    def rooms(self) -> Iterable[str]:
        """Those of which anything is kept."""
        return self._rooms

    async def prepare(
        self, code: str, created: Iterable[Message], changed: Iterable[Message], look: Look
    ) -> None:
        """Render what is not yet there, giving way to everybody else now and then."""
        for message in created:
            await self._in_turn("message", code, message, look)
        for message in changed:
            await self._in_turn("amended", code, message, look)

    async def each(self, code: str, messages: Iterable[Message], look: Look) -> AsyncIterator[str]:
        for message in messages:
            yield await self._in_turn("message", code, message, look)

    async def page(self, code: str, page: Page, look: Look) -> Shown:
        """The newest messages of a page that fit, at least one; whatever else there is, is earlier."""
        parts: list[str] = []
        total = 0
        for message in reversed(page.messages):
            html = self._found(code, (look, "message", message.id), message)
            if html is None:
                html = await self._in_turn("message", code, message, look)
            total += byte_length(html)
            if total > PAGE and parts:
                page = replace(page, messages=page.messages[-len(parts) :], more=True)
                break
            parts.append(html)
        return Shown(page, parts[::-1])

    async def _in_turn(self, kind: Kind, code: str, message: Message, look: Look) -> str:
        """As `get`, but what takes long is done in slices, one of them in a turn of the event loop."""
        html = self._found(code, (look, kind, message.id), message)
        if html is None:
            async with self._turn:
                if time.perf_counter() > self._since + SLICE:
                    await asyncio.sleep(0)
                    self._since = time.perf_counter()
                html = self.get(look, kind, code, message)
        return html

    def get(self, look: Look, kind: Kind, code: str, message: Message) -> str:
        key = look, kind, message.id
        html = self._found(code, key, message)
        if html is None:
            html = getattr(self._shapes, kind)(code, message, look)
            self._keep(code, key, message, html)
        return html

    def _found(self, code: str, key: Key, message: Message) -> str | None:
        room = self._rooms.get(code)
        kept = room.get(key) if room else None
        if room is None or kept is None or (kept[0] is not message and kept[0] != message):
            return None
        room.move_to_end(key)
        self._rooms.move_to_end(code)
        return kept[1]

    def _keep(self, code: str, key: Key, message: Message, html: str) -> None:
        if self._changed and message.rev < self._changed.get((code, message.id), 0):
            return  # read from the log before it changed
        room = self._rooms.get(code)
        if room is None:
            if not self._hears(code):
                return
            room = self._rooms[code] = OrderedDict()
        else:
            self._drop(room, key)
            self._rooms.move_to_end(code)
        self._looks.add(key[0])
        size = sys.getsizeof(html) + weight(message) + ENTRY
        room[key] = message, html, size
        self.held += size
        while self.held > self._most:
            self._drop_oldest()

    def _drop(self, room: OrderedDict[Key, Kept], key: Key) -> None:
        if kept := room.pop(key, None):
            self.held -= kept[2]

    def _drop_oldest(self) -> None:
        code, room = next(iter(self._rooms.items()))
        self.held -= room.popitem(last=False)[1][2]
        if not room:
            del self._rooms[code]


class RoomMessages:
    """Those of one room, for readers of one look."""

    def __init__(self, rendered: RenderedMessages, code: str, look: Look) -> None:
        self.message, self.amended, self.extras = (partial(rendered.get, look, kind, code) for kind in KINDS)


def byte_length(text: str) -> int:
    """Of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
