"""Times that come for many connections: one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class TimerWheel:
    """Calls each member at its time, at most a tick early; what `call` returns is its next time, if any.

    A timer of its own would cost each connection four objects.
    """

    def __init__(self, period: float, call: Callable[[Any], float | None]) -> None:
        self.tick, self._call = min(1.0, period / 8), call
        self._members: dict[int, set[Any]] = {}  # by the turn that is theirs
        self._turns: dict[Any, int] = {}  # by member
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Any, when: float) -> None:
        self.remove(member)
        turn = self._turns[member] = int(when / self.tick)
        self._members.setdefault(turn, set()).add(member)
        if self._timer is None:
            self._wait()

    def remove(self, member: Any) -> None:
        turn = self._turns.pop(member, None)
        if turn is not None:
            self._members[turn].discard(member)

    def _wait(self) -> None:
        """A timer keeps the context in which it is made: not that of a request."""
        loop = asyncio.get_running_loop()
        when = (int(loop.time() / self.tick) + 1) * self.tick
        self._timer = loop.call_at(when, self._go, context=Context())

    def _go(self) -> None:
        self._timer = None
        now = int(asyncio.get_running_loop().time() / self.tick)
        try:
            for turn in sorted(turn for turn in self._members if turn <= now):
                self._call_all(turn, now)
        finally:
            if self._members:
                self._wait()

    def _call_all(self, turn: int, now: int) -> None:
        members = self._members[turn]
        while members:
            member = members.pop()
            del self._turns[member]
            if (when := self._call(member)) is not None:
                self.add(member, max(when, (now + 1) * self.tick))
        del self._members[turn]
