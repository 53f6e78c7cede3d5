"""What a store does, each in one transaction; a backend says how a transaction is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from chat.model.changes import Change, Page, Window
from chat.model.members import Member
from chat.model.messages import Amendment
from chat.model.notices import Verb
from chat.model.rooms import Position, Room
from chat.store import HISTORY, WINDOW, log, members, metadata, rooms
from chat.store.transaction import P, T, Work
from chat.store.windows import UNBOUNDED


class Operations(ABC):
    """The operations that `chat.store.Store` describes, but for those that differ between backends."""

    @abstractmethod
    async def read(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function finds that only reads; each of its questions may see another moment."""

    @abstractmethod
    async def snapshot(self, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, but all of its questions see the same moment."""

    @abstractmethod
    async def write(self, code: str | None, work: Work[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns, once that is committed; nobody else writes to the room meanwhile."""

    async def probe(self) -> None:
        await self.write(None, metadata.probe)

    async def get_or_set(self, name: str, value: str) -> str:
        return await self.write(None, metadata.get_or_set, name, value)

    async def open_room(self, code: str) -> Room:
        return await self.write(code, rooms.open_room, code)

    async def find_room(self, code: str) -> Room | None:
        return await self.read(rooms.find_room, code)

    async def take_seat(self, code: str, person: str, name: str) -> Member:
        return await self.write(code, members.take_seat, code, person, name)

    async def find_seat(self, code: str, person: str) -> Member | None:
        return await self.read(members.held_seat, code, person)

    async def seats_of(self, code: str, person: str) -> list[int]:
        return await self.read(members.seats_of, code, person)

    async def rooms_of(self, person: str, limit: int) -> list[str]:
        return await self.read(members.rooms_of, person, limit)

    async def end_seat(self, code: str, person: str, successor: str | None = None) -> Change | None:
        return await self.write(code, members.end_seat, code, person, successor)

    async def rename_seat(self, code: str, person: str, name: str) -> Change | None:
        return await self.write(code, members.rename_seat, code, person, name)

    async def announce(self, code: str, verb: Verb, seats: Iterable[int]) -> Change | None:
        return await self.write(code, members.announce, code, verb, list(dict.fromkeys(seats)))

    async def here(self, code: str | None = None) -> list[Member]:
        return await self.read(members.present, code)

    async def amend(self, code: str, id: int, by: int | None, key: str, change: Amendment) -> Change:
        return await self.write(code, log.amend, code, id, by, key, change)

    async def history(
        self, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
    ) -> Page:
        return await self.snapshot(log.history, code, before, limit, most)

    async def changes(
        self, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
    ) -> Window:
        return await self.snapshot(log.changes, code, since, window, most)

    async def heads(self, codes: Sequence[str]) -> dict[str, Position]:
        return await self.read(log.heads, codes)
