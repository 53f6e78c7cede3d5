"""What the sockets have sent and no handler has taken yet, counted in bytes as Python holds them."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from chat.server import bounds


class Utf8(bytes):
    """A text that waits. As a str, one emoji in it would make each of its characters four bytes."""

    __slots__ = ()


class Pool:
    """Bytes that all inboxes of a process hold together."""

    def __init__(self) -> None:
        self.held = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def add(self, size: int) -> None:
        self.held += size
        if size < 0:
            self.wake_next()

    def wake_next(self) -> None:
        """One after the other, so that each counts what it reads before the next is asked."""
        if self.waiting and self.held <= bounds.INBOXES_BYTES:
            _wake(self.waiting.popleft())


class Holding:
    """What one socket holds: the message that is arriving, those that wait, and the one being handled."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiter: asyncio.Future[None] | None = None
        self.arriving = self.queued = self.handled = 0
        self.closed = False

    @property
    def total(self) -> int:
        return self.arriving + self.queued + self.handled

    @property
    def is_blocked(self) -> bool:
        """Whether nothing is read of this socket until memory is free."""
        return self._waiter is not None

    def set(self, part: str, size: int) -> None:
        """From now on a part ("arriving", "queued", "handled") has this size."""
        change = size - getattr(self, part)
        if change and not self.closed:
            setattr(self, part, size)
            self._count(change)

    def take(self, waited: int, more: int) -> None:
        """The next message is handled as well: its bytes while it waited, and how many more it takes now."""
        if not self.closed:
            self.queued -= waited
            self.handled += waited + more
            self._count(more)

    def _count(self, change: int) -> None:
        if change:
            self._pool.add(change)
        if change < 0 and self._waiter is not None:
            _wake(self._waiter)

    def close(self) -> None:
        """The application has ended; stop waiting."""
        for part in ("arriving", "queued", "handled"):
            self.set(part, 0)
        self.closed = True
        if self._waiter is not None:
            _wake(self._waiter)

    async def admit(self, size: int) -> None:
        """Wait until a message of this size may join the queue."""
        while not self.closed and 0 < self.total - self.arriving > bounds.INBOX_BYTES - size:
            await self._wait(None)
        if not self.closed:
            arrived, self.arriving = self.arriving, 0
            self.queued += size
            self._count(size - arrived)

    @property
    def is_full(self) -> bool:
        """One message alone may be bigger than the bound; nothing may arrive beside it."""
        return self.total > bounds.INBOX_BYTES and self.queued + self.handled > 0

    async def breathe(self) -> bool:
        """Wait while this socket holds too much, or the process, unless this is little of it.

        False if the others take too long.
        """
        while self.is_full and not self.closed:
            await self._wait(None)
        if self._has_to_wait():
            try:
                async with asyncio.timeout(bounds.INBOXES_PATIENCE):
                    while self._has_to_wait():
                        await self._wait(self._pool.waiting)
            except TimeoutError:
                return False
        self._pool.wake_next()
        return True

    def _has_to_wait(self) -> bool:
        return self._pool.held > bounds.INBOXES_BYTES and self.total > bounds.INBOX_FREE and not self.closed

    async def _wait(self, line: deque[asyncio.Future[None]] | None) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        if line is not None:
            line.append(self._waiter)
        try:
            await self._waiter
        finally:
            if line is not None and self._waiter in line:
                line.remove(self._waiter)
            self._waiter = None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Line(list[Any]):
    """A queue of few: an empty deque takes 760 bytes, and each connection has several."""

    __slots__ = ()

    def popleft(self) -> Any:
        return self.pop(0)


class SmallQueue(asyncio.Queue[Any]):
    """A queue that takes next to nothing while it is empty. Nobody waits for the end of all work on it."""

    _finished: Any
    _queue: Any
    _getters: Any
    _putters: Any
    _unfinished = asyncio.Event()

    def __init__(self, maxsize: int) -> None:
        super().__init__(maxsize)
        self._finished = self._unfinished
        self._getters, self._putters = Line(), Line()

    def _init(self, maxsize: int) -> None:
        self._queue = Line()


class Inbox(SmallQueue):
    """The queue of one socket's handler. What it takes counts as handled until it asks for more."""

    def __init__(self, holding: Holding | None) -> None:
        super().__init__(bounds.INBOX)
        self._holding = holding
        self.on_arrival: Callable[[], None] | None = None  # of a handler that does not wait in `take`

    async def get(self) -> Any:
        """For Quart's `receive()`: the next message, a text as str."""
        message = await self._next()
        if not isinstance(message, Utf8):
            return message
        text = message.decode()
        if self._holding is not None:
            self._holding.take(0, sys.getsizeof(text) - sys.getsizeof(message))
        return text

    async def take(self) -> str | Utf8 | None:
        """The next text as it waited, or None for bytes."""
        return _text(await self._next())

    def take_nowait(self) -> str | Utf8 | None:
        return _text(self.get_nowait())

    async def _next(self) -> Any:
        self.done()
        return await super().get()

    def done(self) -> None:
        """All that was taken has been handled."""
        if self._holding is not None:
            self._holding.set("handled", 0)

    def _put(self, message: Any) -> None:
        super()._put(message)
        if self.on_arrival is not None:
            self.on_arrival()

    def _get(self) -> Any:
        message = super()._get()
        if self._holding is not None:
            self._holding.take(sys.getsizeof(message), 0)
        return message


def _text(message: Any) -> str | Utf8 | None:
    return message if isinstance(message, str | Utf8) else None
