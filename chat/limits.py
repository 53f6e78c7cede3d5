"""How often something may be done, per person and per address."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from chat.addresses import WIDER, wider


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, then one every `every` seconds."""

    name: str
    every: float
    burst: int


def per_minute(name: str, count: int) -> Rate:
    return Rate(name, 60 / count, count)


MESSAGES = Rate("messages", 1 / 5, 10)  # per person
REACTIONS = Rate("reactions", 1 / 2, 30)  # per person
REPLIES = Rate("replies", 1 / 2, 30)  # chosen to be written, per person
LINKS = Rate("links", 1 / 2, 30)  # to messages, without a script, per person
NAMES = Rate("names", 1 / 2, 20)  # looked up while they are typed, per person; counted by each process
EDITS = Rate("edits", 1.0, 20)  # per person
DRAFTS = Rate("drafts", 1.0, 20)  # per person; beyond it they count as messages
DRAFT_BYTES = Rate("draft-bytes", 60 / 1_000_000, 1_000_000)  # per person; each may be one of disk
DRAFT_BYTES_OF_ADDRESS = Rate("draft-bytes-of-address", 60 / 8_000_000, 8_000_000)  # new people are free
DELETIONS = Rate("deletions", 1 / 2, 30)  # per person
UNREAD_MARKS = Rate("unread-marks", 1.0, 20)  # per person
TITLES = Rate("titles", 60.0, 3)  # per room, each a line in it
ATTEMPTS = Rate("attempts", 1.0, 20)  # per person, at what has a rate of the room
RENAMES = Rate("renames", 60.0, 10)  # per person, each a line in a room
# Per address, and generous: a whole company or school may stand behind one.
JOINS = per_minute("joins", 300)
WRONG_CODES = per_minute("wrong-codes", 20)
ALL_WRONG_CODES = per_minute("all-wrong-codes", 120)  # over all addresses, of which an attacker may have many
ROOMS = per_minute("rooms", 30)
LOGOUTS = per_minute("logouts", 300)

# Reading. Each process counts for itself, since these limits bound its own work.
PAGES = Rate("pages", 1 / 2, 60)  # per person
PAGES_OF_ADDRESS = Rate("pages-of-address", 1 / 20, 1200)
PAGES_OF_STRANGERS = Rate("pages-of-strangers", 1 / 20, 1200)  # at an address: members do not pay for them
LISTS = Rate("lists", 2.0, 60)  # of rooms, per person: each tab asks for it twice a minute
LISTS_OF_ADDRESS = Rate("lists-of-address", 1 / 50, 3000)
SEARCHES = Rate("searches", 1.0, 30)  # per person
SEARCHES_OF_ADDRESS = Rate("searches-of-address", 1 / 10, 300)
OPENINGS = Rate("openings", 1 / 5, 100)  # of sockets, per person: ten tabs while a server restarts
OPENINGS_OF_ADDRESS = Rate("openings-of-address", 1 / 100, 2000)
OPENINGS_OF_STRANGERS = Rate("openings-of-strangers", 1 / 20, 200)
RESUMES = Rate("resumes", 1 / 2, 40)  # per person: ten tabs that come back, and again
RESUMES_OF_ADDRESS = Rate("resumes-of-address", 1 / 200, 2000)
CATCH_UPS = Rate("catch-ups", 1 / 8, 64)  # frames read from the log, per person
CATCH_UPS_OF_ADDRESS = Rate("catch-ups-of-address", 1 / 64, 2000)

# Bytes of disk, also counted by each process. With the burst, an address writes at most 8 MB in
# any minute. A school of 1,000 behind one address, each writing six short messages a minute, stays below.
BYTES = Rate("bytes", 60 / 1_000_000, 1_000_000)  # per person
BYTES_OF_ADDRESS = Rate("bytes-of-address", 60 / 4_000_000, 4_000_000)

PATIENCE = 20.0  # s that frames over a rate wait before they are refused
INSTANT = 1e-6  # s; a shorter wait is the rounding of sums, not a wait
SWEEP = 10_000  # entries; only those with something to remember survive a sweep


class OwnLimits:
    """Remembers, for each rate and subject, when the next one is due (the generic cell rate algorithm).

    Counts what this process did, in memory.
    """

    def __init__(self, enabled: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self._enabled = enabled
        self._now = now
        self._due: dict[tuple[str, str], float] = {}
        self._swept = 0.0

    def take(self, rate: Rate, subject: str, patience: float = 0.0, count: int = 1) -> float:
        """Seconds until this may be done, 0 if now. It counts as done unless that exceeds `patience`."""
        if not self._enabled:
            return 0.0
        now = self._now()
        if len(self._due) > SWEEP and now > self._swept + 1:
            self._swept = now
            self._due = {key: due for key, due in self._due.items() if due > now}
        due = max(self._due.get((rate.name, subject), now), now)
        wait = _wait(rate, due - now, count)
        if wait <= patience:
            self._due[(rate.name, subject)] = due + rate.every * count
        return wait

    def give_back(self, rate: Rate, subject: str, count: int = 1) -> None:
        """Undo one `take`."""
        if (rate.name, subject) in self._due:
            self._due[(rate.name, subject)] -= rate.every * count

    def peek(self, rate: Rate, subject: str) -> float:
        """Seconds until this may be done, without doing it."""
        return _wait(rate, self._due.get((rate.name, subject), 0.0) - self._now())

    def take_both(
        self,
        person: tuple[Rate, str | None],
        address: tuple[Rate, str],
        patience: float = 0.0,
        count: int = 1,
    ) -> float:
        """As `take`, for a person (if known), their address and its network.

        If one of them refuses, nothing is counted for the others.
        """
        if not self._enabled:
            return 0.0
        wanted = _both(person, address)
        longest = 0.0
        for n, (rate, subject) in enumerate(wanted):
            longest = max(longest, self.take(rate, subject, patience, count))
            if longest > patience:
                for taken in wanted[:n]:
                    self.give_back(*taken, count)
                break
        return longest

    def give_back_both(self, person: tuple[Rate, str | None], address: tuple[Rate, str]) -> None:
        """Undo one `take_both`."""
        for taken in _both(person, address):
            self.give_back(*taken)


def _both(person: tuple[Rate, str | None], address: tuple[Rate, str]) -> list[tuple[Rate, str]]:
    (rate, who), (_, place) = person, address
    wanted = [address] if who is None else [(rate, who), address]
    if network := wider(place):
        wanted.append((_of_network(address[0]), network))
    return wanted


class Limits:
    """Limits that all nodes can share. This class counts for one process only.

    chat.cluster.limits counts for all nodes.
    """

    def __init__(self, enabled: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self._own = OwnLimits(enabled, now)

    async def take(self, rate: Rate, subject: str, patience: float = 0.0, count: int = 1) -> float:
        """As `OwnLimits.take`."""
        return self._own.take(rate, subject, patience, count)

    def take_now(self, rate: Rate, subject: str) -> bool:
        """Whether this may be done now; it counts then. False, too, where that takes a moment to know."""
        return not self._own.take(rate, subject)

    async def give_back(self, rate: Rate, subject: str, count: int = 1) -> None:
        """As `OwnLimits.give_back`."""
        self._own.give_back(rate, subject, count)

    async def peek(self, rate: Rate, subject: str) -> float:
        """As `OwnLimits.peek`."""
        return self._own.peek(rate, subject)


async def take_address(
    limits: Limits, rate: Rate, address: str, patience: float = 0.0, count: int = 1
) -> float:
    """As `Limits.take`, of an address: also of the /48 around an IPv6 one, whose holder has 65,536 of /64."""
    wait = await limits.take(rate, address, patience, count)
    network = wider(address)
    if wait > patience or not network:
        return wait
    whole = await limits.take(_of_network(rate), network, patience, count)
    if whole > patience:
        await limits.give_back(rate, address, count)
    return max(wait, whole)


async def give_back_address(limits: Limits, rate: Rate, address: str) -> None:
    """Undo one `take_address`."""
    await limits.give_back(rate, address)
    if network := wider(address):
        await limits.give_back(_of_network(rate), network)


@cache
def _of_network(rate: Rate) -> Rate:
    return Rate(f"{rate.name}-of-network", rate.every / WIDER, rate.burst * WIDER)


def _wait(rate: Rate, ahead: float, count: int = 1) -> float:
    wait = ahead - rate.every * (rate.burst - count)
    return wait if wait > INSTANT else 0.0
