"""Whether writes get through: tried now and then, however often somebody asks."""

from __future__ import annotations

import asyncio

from chat.store import NO_ROOM, OutcomeUnknown, Store, Unavailable, metadata

EVERY = 5.0  # s between tries
WAIT = 2.0  # s that a caller waits for one


class WriteProbe:
    """One small write at a time; all who ask meanwhile share its outcome."""

    def __init__(self, store: Store, every: float = EVERY, wait: float = WAIT) -> None:
        self._store = store
        self._every = every
        self._wait = wait
        self._next = 0.0
        self._last = ""
        self._task: asyncio.Task[str] | None = None

    async def problem(self) -> str:
        """Why nothing can be written, in a word; empty if it can."""
        now = asyncio.get_running_loop().time()
        if self._task is None or (self._task.done() and now >= self._next):
            self._next = now + self._every
            self._task = asyncio.create_task(self._probe())
        done, _ = await asyncio.wait({self._task}, timeout=self._wait)
        if done:
            self._last = self._task.result()
        return self._last if done or self._last else "waiting"

    async def _probe(self) -> str:
        try:
            await self._store.write(NO_ROOM, metadata.probe)
        except (Unavailable, OutcomeUnknown) as error:
            message = str(error).lower()
            return next((word for word in ("locked", "full", "read-only") if word in message), "failing")
        return ""
