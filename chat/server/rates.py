"""Rates that are asked for on every frame: cheap, in memory, of this process alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

INSTANT = 1e-6  # s; what came less too early is the rounding of sums, as in chat.limits


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` at once, and `per_second` in the long run."""

    per_second: float
    burst: int


class Allowance:
    """What one connection, person or address may still do (the generic cell rate algorithm)."""

    __slots__ = ("_due", "_pace")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due = 0.0

    def spend(self, cost: float, now: float) -> float:
        """Count `cost`. Returns the seconds by which it came too early, 0 if it did not.

        What came too early is counted, too, up to one more burst.
        """
        pace = self._pace
        most = pace.burst / pace.per_second
        self._due = min(max(self._due, now) + cost / pace.per_second, now + 2 * most)
        early = self._due - now - most
        return early if early > INSTANT else 0.0

    def is_full(self, now: float) -> bool:
        return self._due <= now


class Allowances:
    """One for each key. Those that are full again are forgotten, so an attack leaves nothing behind."""

    SWEEP = 1000  # keys; below it nothing is swept

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._of: dict[str, Allowance] = {}
        self._sweep_at = self.SWEEP

    def of(self, key: str, now: float) -> Allowance:
        if len(self._of) >= self._sweep_at:
            self._of = {key: allowance for key, allowance in self._of.items() if not allowance.is_full(now)}
            self._sweep_at = max(self.SWEEP, 2 * len(self._of))
        return self._of.setdefault(key, Allowance(self._pace))


@dataclass(slots=True)
class FrameRates:
    """The rates of one worker's frames, of which each person and address has one for all its sockets."""

    connection: Pace
    person: Pace
    address: Pace
    now: Callable[[], float] = time.monotonic
    persons: Allowances = field(init=False)
    addresses: Allowances = field(init=False)

    def __post_init__(self) -> None:
        self.persons, self.addresses = Allowances(self.person), Allowances(self.address)


class Spacing:
    """Lets so many a second pass, one after the other, in the order in which they came."""

    def __init__(self, per_second: float) -> None:
        self._every = 1 / per_second
        self._next = 0.0

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + self._every
        await asyncio.sleep(self._next - now)


class FrameCount:
    """Counts the frames of one socket, whatever their type."""

    def __init__(self, rates: FrameRates) -> None:
        self._rates = rates
        self._own = Allowance(rates.connection)
        self._person: Allowance | None = None
        self._address: Allowance | None = None
        self._since_pause = 0.0
        self.over = False  # the socket is to be closed with 1008

    def belongs_to(self, person: str | None, address: str) -> None:
        """From now on the frames count for these, too; called by the application when it knows them."""
        now = self._rates.now()
        if person is not None:
            self._person = self._rates.persons.of(person, now)
        self._address = self._rates.addresses.of(address, now)

    def spend(self, cost: float) -> bool:
        """Count a frame. False if the connection or its person has sent too many."""
        now = self._rates.now()
        self._since_pause += cost
        early = self._own.spend(cost, now)
        if self._person is not None:
            early = max(early, self._person.spend(cost, now))
        self.over = self.over or early > 0
        return not self.over

    def pause(self) -> float:
        """Seconds to wait before reading on. An address is slowed down, not cut off: others share it."""
        cost, self._since_pause = self._since_pause, 0.0
        return 0.0 if self._address is None else self._address.spend(cost, self._rates.now())
