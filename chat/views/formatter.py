"""Formats texts: short ones when they are shown, long ones and code in a thread before that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from chat.model.formatting import is_marked
from chat.views.formatted import Formatted, formatted
from chat.views.mentions import spoken

SLOW = 512  # characters of a text with marks that takes a millisecond or more
KEPT = 5.0  # s that what was made before is kept for those who show it
MOST = 64  # texts made before


class Formatter:
    """What a text becomes depends on nothing but the text."""

    def __init__(self) -> None:
        self._ready: dict[str, Formatted] = {}
        self._making: dict[str, asyncio.Task[None]] = {}
        self._forgotten = 0
        self._thread = ThreadPoolExecutor(1, "chat-formatter")

    def format(self, body: str) -> Formatted:
        return (self._ready and self._ready.get(body)) or formatted(body)

    def spoken(self, body: str) -> Sequence[str]:
        """What stands behind each "@" that may begin a name; nothing for most texts."""
        return spoken(self.format(body).places) if "@" in body else ()

    def takes_long(self, body: str | None) -> bool:
        """Whether it would, for the event loop: a text that was made before does not."""
        if body is None or (len(body) <= SLOW and "```" not in body) or not is_marked(body):
            return False
        return body not in self._ready

    async def warm(self, bodies: Iterable[str | None]) -> None:
        """Format those that take long. The results are kept for the seconds until they are shown."""
        for body in bodies:
            if body is not None and self.takes_long(body):
                await asyncio.shield(self._task(body))

    def _task(self, body: str) -> asyncio.Task[None]:
        """One for all who wait for the same text."""
        task = self._making.get(body)
        if task is None:
            task = self._making[body] = asyncio.create_task(self._make(body, self._forgotten))
            task.add_done_callback(lambda _: self._making.pop(body, None))
        return task

    async def _make(self, body: str, before: int) -> None:
        """`before` is how often a text had been forgotten when this was asked for."""
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._thread, formatted, body)
        if self._forgotten == before:  # or this one may have been deleted meanwhile
            while len(self._ready) >= MOST:
                del self._ready[next(iter(self._ready))]
            self._ready[body] = made
            loop.call_later(KEPT, self._ready.pop, body, None)

    def forget(self, now: str | None = None) -> None:
        """A text was changed or deleted: nothing is kept but what it is now."""
        self._forgotten += 1
        kept = self._ready.get(now) if now is not None else None
        self._ready.clear()
        if now is not None and kept:
            self._ready[now] = kept
