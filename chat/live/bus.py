"""Hints between processes: "look at this room". They may be dropped, repeated or reordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from chat.model.changes import Change


class Bus(Protocol):
    """Carries changes after their commit. The log is the truth; losing every hint costs only time."""

    heard: Callable[[Sequence[Change]], None]
    """Called in the event loop with changes of watched rooms. Set it before `open`."""
    lost: Callable[[], None]
    """Called when hints may have been missed, e.g. after a reconnection."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def watch(self, code: str) -> None: ...

    def unwatch(self, code: str) -> None: ...

    def announce(self, changes: Sequence[Change]) -> None:
        """Tell every process, this one too, of committed changes."""


class LocalBus:
    """The bus of a single process: a hint is a function call."""

    heard: Callable[[Sequence[Change]], None]
    lost: Callable[[], None]

    def __init__(self) -> None:
        self._watched: set[str] = set()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def watch(self, code: str) -> None:
        self._watched.add(code)

    def unwatch(self, code: str) -> None:
        self._watched.discard(code)

    def announce(self, changes: Sequence[Change]) -> None:
        if ours := [change for change in changes if change.code in self._watched]:
            self.heard(ours)
