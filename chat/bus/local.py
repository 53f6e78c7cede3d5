"""The bus of a single process: a hint is a function call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chat.rooms import Change


class LocalBus:
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
