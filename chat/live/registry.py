"""Who is here on which node. Each node speaks for its own people; one that falls silent has none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from chat.model.members import Member


class Listeners(NamedTuple):
    """What a registry calls when it hears of other nodes."""

    on_change: Callable[[Collection[str], bool], None]
    """With rooms of this node's people that look different now, and whether it is urgent: a node and all its
    people are gone."""
    on_doubt: Callable[[], None]
    """When the log may say of people that they are here who are not, or the other way round."""
    on_surplus: Callable[[int], None]
    """With a connection of this node whose person has opened too many newer ones."""
    on_freeze: Callable[[], None]
    """When `frozen` has changed."""


class PresenceRegistry(Protocol):
    """People and connections, counted over all nodes. A seat may have tabs on several of them.

    Who is here and who has left is settled so that the room is told once: a node says that somebody entered
    only when every node can know of it (`counted`), and that somebody left only after `last` has said that
    no other node has them. Between `last` and `told` nobody's arrival in that seat is `counted`, so "left"
    is never written after the "entered" that follows it.
    """

    @property
    def frozen(self) -> bool:
        """True while the other nodes cannot be asked: their people are those last known."""

    @property
    def nodes(self) -> int:
        """How many there are, this one included; 0 if that is not known."""

    def open(self, listeners: Listeners) -> None: ...

    async def close(self) -> None: ...

    def add(self, member: Member) -> None:
        """Somebody is here, on this node."""

    def drop(self, member: Member) -> None:
        """Their seat ended, and the log knows."""

    def counted(self, code: str, number: int) -> bool:
        """Whether the room may be told that somebody added here has entered."""

    async def last(self, code: str, numbers: Sequence[int]) -> list[int] | None:
        """These are not here any more, on this node: those whom no other node has, and whom nobody else is
        about to tell the room of. The caller is, then says `told`. None if that cannot be said now."""

    async def told(self, code: str, numbers: Sequence[int]) -> None: ...

    def elsewhere(self, code: str) -> Collection[Member]:
        """The people on other nodes in a room where this node has people."""

    async def ask(self, code: str) -> Collection[Member]:
        """The same for any room."""

    async def missing(self, members: Sequence[Member]) -> Sequence[Member] | None:
        """Those of them whom no node has. None if that cannot be said now."""

    def opened(self, person: str, connection: int) -> None: ...

    def closed(self, person: str, connection: int) -> None: ...


class LocalRegistry:
    """The registry of a single process: nobody is elsewhere."""

    frozen = False
    nodes = 1

    def open(self, listeners: Listeners) -> None:
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
