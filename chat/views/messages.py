"""Rendered messages, kept for the next reader: a page, a push or a catch-up.

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
from typing import Literal, Protocol

from chat.model.changes import Page
from chat.model.messages import Message
from chat.views.formatter import Formatter
from chat.views.kept import Entry, Replies, byte_length
from chat.views.look import Look, Render
from chat.views.trimming import Trim

CACHE = 32 * 1024 * 1024  # bytes of rendered messages in memory, over all rooms
FRAGMENT = 200  # bytes of a fragment besides its HTML, about
PAGE = 128 * 1024  # bytes of a page's messages; "Earlier messages" leads to those that do not fit
KEPT = 32  # fragments of a message: of those beyond, few looks have any use
CHANGES = 10_000  # of messages that are remembered: far more than are made while a page is read
SLICE = 0.005  # s of rendering until everybody else gets a turn

Kind = Literal["message", "amended", "extras"]


class Shapes(Protocol):
    """How a change becomes HTML; the same for every reader of one look."""

    @property
    def formatter(self) -> Formatter: ...

    def message(self, code: str, message: Message) -> Render: ...

    def amended(self, code: str, message: Message) -> Render: ...

    def extras(self, code: str, message: Message) -> Render: ...

    def newest(self, code: str, shown: Shown, look: Look) -> str: ...

    def trimmed(self, code: str, trim: Trim) -> Render: ...


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
        self.formatter = shapes.formatter
        self._most = most
        self._hears = hears
        self._rooms: OrderedDict[str, OrderedDict[int, Entry]] = OrderedDict()  # the oldest first, in both
        self._replies = Replies()
        self._changed: OrderedDict[tuple[str, int], int] = OrderedDict()  # revs of what changed lately
        self._turn = asyncio.Lock()
        self._since = 0.0  # when the present slice of rendering began
        self.held = 0

    def of(self, code: str, look: Look) -> RoomMessages:
        return RoomMessages(self, code, look)

    def newest(self, code: str, shown: Shown, look: Look) -> str:
        """A page in place of what a reader has; not kept here."""
        return self._shapes.newest(code, shown, look)

    def trimmed(self, looks: Sequence[Look], code: str, trim: Trim) -> list[str]:
        """What takes the oldest messages off a page when this one has come, in each of these looks."""
        return list(map(self._shapes.trimmed(code, trim), looks))

    def forget(self, code: str, message: Message) -> None:
        """This message has changed: what was rendered of it before is dropped and not kept again."""
        changed = code, message.id
        if self._changed.get(changed, 0) >= message.rev:
            return
        is_other_text = message.text_rev > self._changed.get(changed, message.id)
        for id in (message.id, *(self._replies.to(code, message.id) if is_other_text else ())):
            if id in self._rooms.get(code, ()):
                self._drop(code, id)
        if is_other_text:
            self.formatter.forget(message.body)
        self._changed[changed] = message.rev
        self._changed.move_to_end(changed)
        if len(self._changed) > CHANGES:
            self._changed.popitem(last=False)

    def drop(self, code: str) -> None:
        """Keep nothing of a room."""
        for id in list(self._rooms.get(code, ())):
            self._drop(code, id)

    @property
    def rooms(self) -> Iterable[str]:
        """Those of which anything is kept."""
        return self._rooms

    async def prepare(
        self, code: str, created: Iterable[Message], changed: Iterable[Message], texts: int, look: Look
    ) -> None:
        """Render what is not yet there for those who have every text up to `texts`.

        It gives way to everybody else now and then.
        """
        for message in created:
            await self._in_turn(look, "message", code, message)
        for message in changed:
            await self._in_turn(look, _kind_of_change(message, texts), code, message)

    async def each(self, code: str, messages: Iterable[Message], look: Look) -> AsyncIterator[str]:
        for message in messages:
            yield await self._in_turn(look, "message", code, message)

    async def page(self, code: str, page: Page, look: Look) -> Shown:
        """The newest messages of a page that fit, at least one; whatever else there is, is earlier."""
        parts: list[str] = []
        total = 0
        for message in reversed(page.messages):
            html = self._found(look, "message", code, message)
            if html is None:
                html = await self._in_turn(look, "message", code, message)
            total += byte_length(html)
            if total > PAGE and parts:
                page = replace(page, messages=page.messages[-len(parts) :], more=True)
                break
            parts.append(html)
        return Shown(page, parts[::-1])

    async def _in_turn(self, look: Look, kind: Kind, code: str, message: Message) -> str:
        """As `get`, but what takes long is done in slices, one of them in a turn of the event loop."""
        html = self._found(look, kind, code, message)
        if html is None:
            if kind != "extras":
                await self.formatter.warm((message.body,))
            async with self._turn:
                if time.perf_counter() > self._since + SLICE:
                    await asyncio.sleep(0)
                    self._since = time.perf_counter()
                html = self.get(look, kind, code, message)
        return html

    def get(self, look: Look, kind: Kind, code: str, message: Message) -> str:
        html = self._found(look, kind, code, message)
        return self._in_looks((look,), kind, code, message)[0] if html is None else html

    def messages(self, looks: Sequence[Look], code: str, message: Message) -> list[str]:
        """A message in each of these looks; what they have in common is made once."""
        return self._in_looks(looks, "message", code, message)

    def changes(self, looks: Sequence[Look], code: str, message: Message, texts: int) -> list[str]:
        """What has changed about an older one, for those who have every text up to `texts`."""
        return self._in_looks(looks, _kind_of_change(message, texts), code, message)

    def _in_looks(self, looks: Sequence[Look], kind: Kind, code: str, message: Message) -> list[str]:
        entry = self._entry(code, message)
        fragments = entry.fragments if entry else {}
        render: Render | None = None
        shown, size = [], 0
        for look in looks:
            html = fragments.get(key := (look, kind))
            if html is None:
                render = render or getattr(self._shapes, kind)(code, message)
                html = render(look)
                if len(fragments) < KEPT:
                    fragments[key] = html
                    size += sys.getsizeof(html) + FRAGMENT
            shown.append(html)
        if entry and size:
            self._count(entry, size)
        return shown

    def _found(self, look: Look, kind: Kind, code: str, message: Message) -> str | None:
        room = self._rooms.get(code)
        entry = room.get(message.id) if room else None
        if room is None or entry is None or not entry.shows(message):
            return None
        room.move_to_end(message.id)
        self._rooms.move_to_end(code)
        return entry.fragments.get((look, kind))

    def _entry(self, code: str, message: Message) -> Entry | None:
        """Where its fragments are kept; None for one that was read from the log before it changed."""
        if self._changed and self._is_old(code, message):
            return None
        room = self._rooms.get(code)
        if room is None:
            if not self._hears(code):
                return None
            room = self._rooms[code] = OrderedDict()
        entry = room.get(message.id)
        if entry is not None and not entry.shows(message):
            if message.rev < entry.message.rev:
                return None
            self._drop(code, message.id)
            room, entry = self._rooms.setdefault(code, OrderedDict()), None
        if entry is None:
            entry = room[message.id] = Entry(message)
            self._replies.add(code, message)
            self.held += entry.size
        room.move_to_end(message.id)
        self._rooms.move_to_end(code)
        return entry

    def _is_old(self, code: str, message: Message) -> bool:
        """Whether it, or what it answers, was read from the log before that changed."""
        changed, quoted = self._changed, message.quoted
        if quoted and quoted.rev < changed.get((code, quoted.id), 0):
            return True
        return message.rev < changed.get((code, message.id), 0)

    def _count(self, entry: Entry, size: int) -> None:
        entry.size += size
        self.held += size
        while self.held > self._most:
            oldest = next(iter(self._rooms))
            self._drop(oldest, next(iter(self._rooms[oldest])))

    def _drop(self, code: str, id: int) -> None:
        room = self._rooms[code]
        entry = room.pop(id)
        self.held -= entry.size
        self._replies.remove(code, entry.message)
        if not room:
            del self._rooms[code]


class RoomMessages:
    """Those of one room, for readers of one look."""

    def __init__(self, rendered: RenderedMessages, code: str, look: Look) -> None:
        self._get = partial(rendered.get, look)
        self._code = code
        self.message = partial(rendered.get, look, "message", code)

    def change(self, message: Message, texts: int) -> str:
        """What has changed about an older message, for those who have every text up to `texts`."""
        return self._get(_kind_of_change(message, texts), self._code, message)


def _kind_of_change(message: Message, texts: int) -> Kind:
    """A text that the readers have is not sent again."""
    return "amended" if message.text_rev > texts else "extras"
