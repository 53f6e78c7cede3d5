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

    Each notice is written by one node: "entered" only when every node can know of the person (`counted`),
    "left" only by the node that has claimed it (`claim_left`), which it can if no other node has the person.
    Until that node calls `release_left`, nobody is `counted` in the seat, so "left" is never written after
    the "entered" that follows it.
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
        """Whether the notice may be written that somebody added here has entered."""

    async def claim_left(self, code: str, numbers: Sequence[int]) -> list[int] | None:
        """These people are not on this node any more. Claims the notice of those whom no other node has, and
        returns them: the caller writes it, then calls `release_left`. None if that is not known now."""

    async def release_left(self, code: str, numbers: Sequence[int]) -> None:
        """The notice is written."""

    def elsewhere(self, code: str) -> Collection[Member]:
        """The people on other nodes in a room where this node has people."""

    async def fetch_elsewhere(self, code: str) -> Collection[Member] | None:
        """The same for any room. None if that is not known now."""

    async def missing(self, members: Sequence[Member]) -> Sequence[Member] | None:
        """Those of them whom no node has. None if that is not known now."""

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

    async def claim_left(self, code: str, numbers: Sequence[int]) -> list[int]:
        return list(numbers)

    async def release_left(self, code: str, numbers: Sequence[int]) -> None:
        pass

    def elsewhere(self, code: str) -> Collection[Member]:
        return ()

    async def fetch_elsewhere(self, code: str) -> Collection[Member]:
        return ()

    async def missing(self, members: Sequence[Member]) -> Sequence[Member]:
        return members

    def opened(self, person: str, connection: int) -> None:
        pass

    def closed(self, person: str, connection: int) -> None:
        pass
