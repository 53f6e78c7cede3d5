"""The census of a single process: nobody is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from chat.rooms import Member


class LocalCensus:
    changed: Callable[[Collection[str], bool], None]
    doubtful: Callable[[], None]
    surplus: Callable[[int], None]
    freezing: Callable[[], None]
    frozen = False
    nodes = 1

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def add(self, member: Member) -> None:
        pass

    def drop(self, member: Member) -> None:
        pass

    def counted(self, code: str, number: int) -> bool:
        return True

    async def last(self, code: str, numbers: Sequence[int]) -> list[int]:
        return list(numbers)

    async def told(self, code: str, numbers: Sequence[int]) -> None:
        pass

    def elsewhere(self, code: str) -> Collection[Member]:
        return ()

    async def ask(self, code: str) -> Collection[Member]:
        return ()

    async def missing(self, members: Sequence[Member]) -> Sequence[Member]:
        return members

    def opened(self, person: str, connection: int) -> None:
        pass

    def closed(self, person: str, connection: int) -> None:
        pass
