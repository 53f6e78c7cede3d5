"""One store that several nodes of a test write to: each is told of its own changes only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chat.rooms import Done
from chat.store import Store

WRITES = {"append", "amend", "announce", "end_seat"}


class OneLog:
    """A node's view of the store. Opening and closing it is the test's affair."""

    committed: Callable[[Sequence[Done]], None]

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        async def write(*arguments: Any) -> Done | None:
            done: Done | None = await method(*arguments)
            if done and not done.duplicate:
                self.committed([done])
            return done

        return write
