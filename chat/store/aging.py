"""Whether what is old by the clock may be removed: not while the clock may be wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP = 60.0  # s that the clock may be ahead of what has passed
HOLD = 3600.0  # s after a jump in which nothing is removed: time to set the clock right


def elapsed() -> float:
    """Seconds that have passed, whatever the clock was set to; those of a sleeping laptop included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Aging:
    """Compares a clock with the seconds that have passed. A jump ahead would make everything old at once."""

    def __init__(self, elapsed: Callable[[], float] = elapsed) -> None:
        self._elapsed = elapsed
        self._offset: float | None = None
        self._held_until = 0.0

    def trusted(self, now: float) -> bool:
        """Whether the clock, which says `now` (in seconds), can be believed."""
        passed = self._elapsed()
        last, self._offset = self._offset, now - passed
        if last is not None and self._offset - last > JUMP:
            self._held_until = passed + HOLD
        elif last is not None and last - self._offset > JUMP:
            self._held_until = 0.0  # it was set back
        return passed >= self._held_until


def aging_of(clock: Callable[[], float] | None) -> Aging:
    """For a store's clock; None is the database's. What tests set never jumps."""
    return Aging(elapsed) if clock is None or clock is time.time else Aging(clock)
