"""Whether the clock that times messages jumps. Nothing is ordered by it, but people read it."""

from __future__ import annotations

from collections.abc import Callable

from chat import logs
from chat.store import Store, Unavailable
from chat.store.aging import elapsed

JUMP = 10.0  # s: more than a slow answer of the store, and than a clock is set by little by little
SHOWN = 24 * 3600.0  # s that a jump is shown


class ClockWatch:
    """Compares the store's clock with the seconds that have passed."""

    def __init__(self, store: Store, elapsed: Callable[[], float] = elapsed) -> None:
        self._store = store
        self._elapsed = elapsed
        self._offset: float | None = None
        self._jump = 0.0
        self._seen = 0.0

    async def look(self) -> None:
        before = self._elapsed()
        try:
            now = await self._store.time()
        except Unavailable:
            return
        after = self._elapsed()
        last, self._offset = self._offset, now - (before + after) / 2
        if last is None or after - before > JUMP / 2:
            return
        if abs(by := self._offset - last) > JUMP:
            self._jump, self._seen = by, after
            logs.log.warning("clock-jumped by=%s: times of messages are as wrong as the clock", f"{by:+.0f}s")

    @property
    def jumped(self) -> str:
        """By how many seconds it jumped, and how long ago; empty if it did not of late."""
        ago = self._elapsed() - self._seen
        return f"{self._jump:+.0f}s,{ago / 60:.0f}min-ago" if self._jump and ago < SHOWN else ""
