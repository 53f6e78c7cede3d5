"""What is unread or begun in the other rooms of those who have a page open: it is told to that page.

That is once a second at most. The store is asked for all rooms of a person at once, however much is said
in how many of them, and for a twentieth of the time: whose turn did not come is first the next time. Of
people who have no page outside of a room, what is said in it costs nothing. What gets lost is put right when
the page asks, as it does by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from chat.live.connection import Connection
from chat.live.other_rooms import OtherRoom, PersonPages
from chat.live.reading import Reading
from chat.live.titles_elsewhere import TitlesElsewhere
from chat.model.unread import NOTHING
from chat.store import Store, Unavailable
from chat.store.my_rooms import MyRoom, my_rooms
from chat.views.look import Look

SPENT = 0.05  # s of each second in which the store is asked: half a ms for who has few rooms, 2 ms for many
ROWS = 3  # rooms of which a page is told in a second
LATER = 5  # s after which a new page is told again: other nodes store what is read within less

log = logging.getLogger("chat")

Row = Callable[[MyRoom, int, Look], str]  # the time in ms
Badge = Callable[[Sequence[MyRoom], Look, str], str]  # the code of the room that the page is about


class Elsewhere:
    """`sound` lets a person hear that they are mentioned in a room of which they have no page here.

    `titles` say something of other rooms, too.
    """

    def __init__(
        self,
        store: Store,
        reading: Reading,
        row: Row,
        badge: Badge,
        titles: TitlesElsewhere,
        sound: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._reading, self._sound, self._now = store, reading, sound, now
        self._row, self._badge, self.titles = row, badge, titles
        self._people: dict[str, PersonPages] = {}
        self._rooms: dict[str, dict[int, str]] = {}  # by seat, who of them has a page here
        self._changed: set[str] = set()  # of these rooms
        self._due: dict[str, None] = {}  # people, who was first comes first
        self._again: dict[str, int] = {}  # people, and in how many s they are due
        self._is_asking = False  # for rooms that may not be known yet
        self._saves = 0  # when that began

    def follow(self, connection: Connection) -> None:
        """A page is open that shows other rooms of its person."""
        person = connection.member.person
        mine = self._people.setdefault(person, PersonPages())
        if connection not in mine.pages:
            mine.pages.append(connection)
            mine.new = *mine.new, connection
        self._due[person] = None

    def come_back(self, connection: Connection) -> None:
        """A page that follows has lost its connection, and its title says what was so before."""
        if connection.member.person in self._people:
            self.titles.come_back(connection)

    def leave(self, connection: Connection) -> None:
        """It has ended."""
        self.titles.leave(connection)
        person = connection.member.person
        if mine := self._people.get(person):
            if connection in mine.pages:
                mine.pages.remove(connection)
            if not mine.pages:
                self._keep(person, mine, {})
                del self._people[person]
                self._due.pop(person, None)
                self._again.pop(person, None)

    def concerns(self, code: str) -> bool:
        """Whether somebody with a seat in this room has, or may have, a page here that is not about it."""
        return code in self._rooms or self._is_asking

    def note(self, codes: Iterable[str]) -> None:
        """Something has changed in these rooms, on whatever node."""
        for code in codes:
            if self.concerns(code):
                self._changed.add(code)

    def note_gap(self) -> None:
        """Something may have changed in any room."""
        self._due |= dict.fromkeys(self._people)

    def check(self, person: str, found: Iterable[MyRoom]) -> None:
        """The store was asked for the rooms of a person: if pages say something else, they are told."""
        if mine := self._people.get(person):
            others = [one for one in found if mine.has_page_outside(one.room.code)]
            known = ((mine.rooms.get(one.room.code), one) for one in others)
            if not all(room and room.shows(one) for room, one in known):
                self._due[person] = None

    def read(self, code: str, seat: int, rev: int) -> None:
        """Somebody has read up to a rev, on whatever node; the store may know later."""
        if (person := self._rooms.get(code, {}).get(seat)) is None:
            return
        mine = self._people[person]
        room = mine.rooms[code]
        room.read = max(room.read, rev)
        if room.shown != NOTHING and mine.has_page_outside(code):
            self._due[person] = None

    def begun(self, code: str, seat: int, has_draft: bool) -> None:
        """Somebody has a draft in a room, or none any more, on whatever node."""
        if person := self._rooms.get(code, {}).get(seat):
            mine = self._people[person]
            if mine.rooms[code].has_draft != has_draft and mine.has_page_outside(code):
                self._due[person] = None

    def set_back(self, code: str, seat: int) -> None:
        """Somebody has read less than was known; what another node says, the store may know later."""
        if person := self._rooms.get(code, {}).get(seat):
            room = self._people[person].rooms[code]
            room.read, room.set_back = 0, True
            self._changed.add(code)
            self._again[person] = LATER

    async def tick(self) -> None:
        """Tell those whose turn it is."""
        self._find_due()
        ends = time.monotonic() + SPENT
        for person in list(self._due):
            self._due.pop(person, None)
            if person not in self._people:
                continue  # they left meanwhile
            try:
                await self._ask(person)
            except Unavailable:
                self._due[person] = None
                return
            except Exception:  # one person's fault must not silence the others
                log.exception("elsewhere-failed")
            if time.monotonic() >= ends:
                return

    def _find_due(self) -> None:
        changed, self._changed = self._changed, set()
        for code in changed:
            people = set(self._rooms.get(code, {}).values())
            self._due |= dict.fromkeys(one for one in people if self._people[one].has_page_outside(code))
        self._due |= dict.fromkeys(person for person, left in self._again.items() if left <= 1)
        self._again = {person: left - 1 for person, left in self._again.items() if left > 1}

    async def _ask(self, person: str) -> None:
        self._is_asking, self._saves = True, self._reading.saves
        try:
            await self._ask_of(person)
        finally:
            self._is_asking = False

    async def _ask_of(self, person: str) -> None:
        found = await self._store.snapshot(my_rooms, person)
        pages = self._people[person].pages if person in self._people else ()
        rooms = await self.titles.rooms_of(tuple(pages), found)
        if mine := self._people.get(person):
            found = [self._as_read(one, mine.rooms.get(one.room.code)) for one in found]
            self._tell(person, mine, found)
            for page in mine.pages:
                self.titles.tell(page, found, rooms)
            self._listen(person, mine, found)

    def _as_read(self, one: MyRoom, known: OtherRoom | None) -> MyRoom:
        """With what was read a moment ago, if that is all; else the store will know soon."""
        read = self._read_up_to(one, known)
        is_all = one.last is not None and read >= one.last.id
        return one._replace(unread=0, mentions=0, read=read) if is_all else one

    def _read_up_to(self, one: MyRoom, known: OtherRoom | None) -> int:
        return self._reading.known(one.member, known.read if known else 0, self._saves)

    def _tell(self, person: str, mine: PersonPages, found: Sequence[MyRoom]) -> None:
        """A page that is new is told of everything: it may have been rendered a moment before."""
        others = [one for one in found if mine.has_page_outside(one.room.code)]
        self._keep(person, mine, {one.room.code: one.member.number for one in others})
        changed = [one for one in others if not mine.rooms[one.room.code].shows(one)]
        some = [one for one in others if one.unread or one.has_draft][:ROWS]
        for page in mine.pages:
            self._show(page, [*changed[:ROWS], *some] if page in mine.new else changed[:ROWS], found)
        if mine.new and some:
            self._again[person] = LATER
        mine.new = ()
        for one in changed[:ROWS]:
            mine.rooms[one.room.code].show(one)
        if len(changed) > ROWS:
            self._due[person] = None

    def _listen(self, person: str, mine: PersonPages, found: Iterable[MyRoom]) -> None:
        """What is new of mentions is heard, but by the pages of that room itself where there are some."""
        rooms = [(one, mine.rooms[one.room.code]) for one in found if one.room.code in mine.rooms]
        new = [one for one, room in rooms if self._is_certain(person, one, room) and room.is_new(one)]
        if not all(mine.has_page_of(one.room.code) for one in new):
            self._sound(person)
        if person not in self._again:
            for _, room in rooms:
                room.set_back = False

    def _is_certain(self, person: str, one: MyRoom, room: OtherRoom) -> bool:
        """Whether the store counts nothing that has been read; if it does, it is asked again, once."""
        if not one.unread or self._read_up_to(one, room) <= one.read:
            return True
        room.read = 0
        self._again.setdefault(person, LATER)
        return False

    def _keep(self, person: str, mine: PersonPages, seats: dict[str, int]) -> None:
        """These are the rooms of a person now, and the number of the seat in each."""
        for code, room in mine.rooms.items():
            if seats.get(code) != room.seat:
                self._rooms[code].pop(room.seat)
                if not self._rooms[code]:
                    del self._rooms[code]
        known = {code: room for code, room in mine.rooms.items() if seats.get(code) == room.seat}
        mine.rooms = {code: known.get(code) or OtherRoom(seat) for code, seat in seats.items()}
        for code, seat in seats.items():
            self._rooms.setdefault(code, {})[seat] = person

    def _show(self, page: Connection, rows: Iterable[MyRoom], found: Sequence[MyRoom]) -> None:
        """A slot for each room, so that no row waits in vain behind a newer one."""
        now, look, here = int(self._now() * 1000), page.look, page.member.code
        others = {one.room.code: one for one in rows if one.room.code != here}
        for code, one in others.items():
            page.show(f"room {code}", self._row(one, now, look))
        if others and here:
            page.show("elsewhere", self._badge(found, look, here))
