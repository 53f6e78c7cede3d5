"""Rendered messages, kept for whoever needs them next: the page, the push and those who catch up.

The HTML of a message depends on nothing but its room, the message and the look of its readers. These are the
key: whatever changes (an edit, a name, the message before it, a restored back-up) makes another one, and
nothing stale is shown.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from chat.model.changes import Page
from chat.model.messages import Message
from chat.store.windows import weight
from chat.views.look import LOOK, Look

CACHE = 32 * 1024 * 1024  # bytes of rendered messages in memory, over all rooms
ENTRY = 400  # bytes of an entry besides its strings, about
PAGE = 128 * 1024  # bytes of a page's messages; "Earlier messages" leads to those that do not fit
SLICE = 0.005  # s of rendering until everybody else gets a turn

Shape = Callable[[str, Message, Look], str]
Key = tuple[Look, str, str, Message]  # look, kind of fragment, room, message


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
    """The least recently used are forgotten once all take more than `most` bytes."""

    def __init__(self, shapes: Shapes, most: int = CACHE) -> None:
        self._shapes = shapes
        self._most = most
        self._kept: OrderedDict[Key, str] = OrderedDict()
        self._turn = asyncio.Lock()
        self._since = 0.0  # when the present slice of rendering began
        self.held = 0

    def of(self, code: str, look: Look = LOOK) -> RoomMessages:
        return RoomMessages(self, code, look)

    def message(self, code: str, message: Message, look: Look = LOOK) -> str:
        return self._get((look, "message", code, message), self._shapes.message)

    def amended(self, code: str, message: Message, look: Look = LOOK) -> str:
        return self._get((look, "amended", code, message), self._shapes.amended)

    def extras(self, code: str, message: Message, look: Look = LOOK) -> str:
        return self._get((look, "extras", code, message), self._shapes.extras)

    def newest(self, code: str, shown: Shown, look: Look = LOOK) -> str:
        """A page in place of what a reader has; not kept here."""
        return self._shapes.newest(code, shown, look)

    def forget(self, code: str, message: Message, look: Look = LOOK) -> None:
        """It has changed: nobody asks for it as it was, and a deleted text is to be nowhere."""
        for shape in ("message", "amended", "extras"):
            html = self._kept.pop(key := (look, shape, code, message), None)
            if html is not None:
                self.held -= _size(key, html)

    async def prepare(
        self, code: str, created: Iterable[Message], changed: Iterable[Message] = (), look: Look = LOOK
    ) -> None:
        """Render what is not yet there, giving way to everybody else now and then."""
        for message in created:
            await self._in_turn((look, "message", code, message), self._shapes.message)
        for message in changed:
            await self._in_turn((look, "amended", code, message), self._shapes.amended)

    async def each(self, code: str, messages: Iterable[Message], look: Look = LOOK) -> AsyncIterator[str]:
        for message in messages:
            yield await self._in_turn((look, "message", code, message), self._shapes.message)

    async def page(self, code: str, page: Page, look: Look = LOOK) -> Shown:
        """The newest messages of a page that fit, at least one; whatever else there is, is earlier."""
        parts: list[str] = []
        total = 0
        for message in reversed(page.messages):
            key, shape = (look, "message", code, message), self._shapes.message
            html = self._get(key, shape) if key in self._kept else await self._in_turn(key, shape)
            total += byte_length(html)
            if total > PAGE and parts:
                page = replace(page, messages=page.messages[-len(parts) :], more=True)
                break
            parts.append(html)
        return Shown(page, parts[::-1])

    async def _in_turn(self, key: Key, shape: Shape) -> str:
        """As `_get`, but what takes long is done in slices, one of them in a turn of the event loop."""
        if key not in self._kept:
            async with self._turn:
                if time.perf_counter() > self._since + SLICE:
                    await asyncio.sleep(0)
                    self._since = time.perf_counter()
                return self._get(key, shape)
        return self._get(key, shape)

    def _get(self, key: Key, shape: Shape) -> str:
        html = self._kept.get(key)
        if html is not None:
            self._kept.move_to_end(key)
            return html
        html = self._kept[key] = shape(key[2], key[3], key[0])
        self.held += _size(key, html)
        while self.held > self._most:
            self.held -= _size(*self._kept.popitem(last=False))
        return html


class RoomMessages:
    """Those of one room, for readers of one look."""

    def __init__(self, rendered: RenderedMessages, code: str, look: Look) -> None:
        self.message = partial(rendered.message, code, look=look)
        self.amended = partial(rendered.amended, code, look=look)
        self.extras = partial(rendered.extras, code, look=look)
        self.forget = partial(rendered.forget, code, look=look)


def _size(key: Key, html: str) -> int:
    return sys.getsizeof(html) + weight(key[3]) + ENTRY


def byte_length(text: str) -> int:
    """Of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
