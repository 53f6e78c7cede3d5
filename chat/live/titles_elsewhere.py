"""What titles say of other rooms: how often a person is mentioned there, and at home how much is unread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chat.live.connection import Connection
from chat.model.rooms import Room
from chat.model.unread import NOTHING, Unread
from chat.store import Store
from chat.store.my_rooms import MyRoom
from chat.store.rooms import find_room
from chat.views.look import Look

Title = Callable[[Unread, Look], str]  # of home
Retitle = Callable[[Connection, Room], None]


class TitlesElsewhere:
    def __init__(self, store: Store, title: Title) -> None:
        self._store, self._title = store, title
        self._retitle: Retitle = lambda connection, room: None
        self._told: dict[Connection, Unread] = {}
        self._unsure: set[Connection] = set()  # pages whose titles say what was so before

    def listen(self, retitle: Retitle) -> None:
        """Call `retitle` for a page of a room, the rest of whose title is known there."""
        self._retitle = retitle

    def come_back(self, connection: Connection) -> None:
        self._unsure.add(connection)

    def leave(self, connection: Connection) -> None:
        self._told.pop(connection, None)
        self._unsure.discard(connection)

    def mentions(self, connection: Connection) -> int:
        """How many the title of a page is to count, besides those of its own room."""
        return self._told.get(connection, NOTHING).mentions

    async def rooms_of(self, pages: Iterable[Connection], found: Iterable[MyRoom]) -> dict[str, Room]:
        """The rooms that pages of a person are about, by code; `found` are the newest of theirs.

        Raises Unavailable.
        """
        codes = {page.member.code for page in pages if page.member.code}
        rooms = {one.room.code: one.room for one in found if one.room.code in codes}
        for code in codes.difference(rooms):
            if room := await self._store.read(find_room, code):
                rooms[code] = room
        return rooms

    def tell(self, page: Connection, found: Sequence[MyRoom], rooms: Mapping[str, Room]) -> None:
        """What is unread in the rooms of its person now."""
        here = page.member.code
        others = [one for one in found if one.room.code != here]
        unread = Unread(0 if here else sum(one.unread for one in others), sum(one.mentions for one in others))
        is_told = unread == self._told.get(page, NOTHING) and page not in self._unsure
        if is_told or (here and here not in rooms):
            return
        self._told[page] = unread
        self._unsure.discard(page)
        if here:
            self._retitle(page, rooms[here])
        else:
            page.show("unread", self._title(unread, page.look))
