"""Turns at what takes long: a few people at the same time, while some wait, and each of them once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """Of somebody who waits for a place, or has it: for some seconds, and until they ask for another."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.is_replaced = False
        self._waiting = asyncio.timeout(None)
        self._waits = True

    @property
    def is_late(self) -> bool:
        return time.monotonic() >= self.deadline

    async def wait(self, places: asyncio.Semaphore) -> None:
        """Raises TimeoutError if it is replaced meanwhile."""
        async with self._waiting:
            await places.acquire()
        self._waits = False

    def replace(self) -> None:
        """It ends at once if it waits. Who has a place has to look at `is_replaced`."""
        self.is_replaced = True
        if self._waits:
            self._waiting.reschedule(0)


class Turns:
    """Who asks again gives up the turn before."""

    def __init__(self, places: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._number = places
        self._most = places + waiting
        self._newest: dict[str, Turn] = {}

    @property
    def waiting(self) -> int:
        return max(0, len(self._newest) - self._number)

    def is_open_for(self, subject: str) -> bool:
        return subject in self._newest or len(self._newest) < self._most

    @asynccontextmanager
    async def take(self, subject: str, seconds: float) -> AsyncIterator[Turn]:
        """A place, if it is open for them. Raises TimeoutError if they ask again while they wait."""
        if former := self._newest.get(subject):
            former.replace()
        turn = self._newest[subject] = Turn(seconds)
        try:
            await turn.wait(self._places)
            try:
                yield turn
            finally:
                self._places.release()
        finally:
            if self._newest.get(subject) is turn:
                del self._newest[subject]
