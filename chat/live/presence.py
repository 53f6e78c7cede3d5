"""Who is here: tabs counted per person, short absences forgiven, notices written, rosters pushed.

Nothing here decides what the log says: the store marks a seat as here or away in the same write as the
notice, so a notice is written once, whatever restarts in between. And this is one node's view: the registry
knows who is on other nodes, and which of the nodes writes a notice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from chat.live.away import NOBODY, Away, find_away
from chat.live.hub import Hub
from chat.live.room_presence import RoomPresence
from chat.model.members import Member
from chat.store import NotFound, OutcomeUnknown, Store, Unavailable, members
from chat.views.look import Look

GRACE = 10.0  # s after the last tab closed before somebody is away
RESTART_GRACE = 30.0  # s after a start for those to come back who were here before
PACE = 1.0  # s between notices, and between rosters, of one room
CROWD = 1000  # every so many people add a second between rosters: their cost is people × pushes

log = logging.getLogger("chat")


class Roster(Protocol):
    """The panel with who is here, and who is away."""

    def __call__(self, people: Sequence[Member], frozen: bool, look: Look, away: Away) -> str: ...


class Presence:
    def __init__(
        self,
        store: Store,
        hub: Hub,
        roster: Roster,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._hub = hub
        self._roster = roster
        self._now = now
        self._started = now()
        self._registry = hub.registry
        hub.on_seats_ended(lambda code: self.refresh((code,), urgent=False))
        self._rooms: dict[str, RoomPresence] = {}
        self._busy: set[str] = set()
        self._wake = asyncio.Event()
        self._doubtful = False
        self._compare_at = 0.0

    def people(self, code: str) -> list[Member]:
        """On this node, and on the others if this one has people in the room."""
        return self._with(code, self._registry.elsewhere(code))

    def member(self, code: str, person: str) -> Member | None:
        """Somebody who is on this node, or was within the grace."""
        room = self._rooms.get(code)
        return next((m for m in room.people.values() if m.person == person), None) if room else None

    async def everybody(self, code: str) -> list[Member]:
        return self._with(code, await self._registry.fetch_elsewhere(code) or ())

    async def number(self, code: str) -> int | None:
        """How many people are in a room. None if none are known, and other nodes cannot be asked just now."""
        elsewhere = await self._registry.fetch_elsewhere(code)
        return len(self._with(code, elsewhere or ())) or (None if elsewhere is None else 0)

    async def away(self, code: str, here: Sequence[Member]) -> Away:
        """Who has a seat and is not among those `here`. Raises store errors.

        Where a page of the room is open on this node, that was found out when its roster was shown last.
        """
        room = self._rooms.get(code)
        if room is None or room.away is None:
            return await find_away(self._store, code, here)
        return room.away.without(here)

    @property
    def frozen(self) -> bool:
        """True while it is not known who comes and goes on other nodes."""
        return self._registry.frozen

    def _with(self, code: str, others: Collection[Member]) -> list[Member]:
        room = self._rooms.get(code)
        mine = room.present() if room else []
        if not others:
            return mine
        return sorted({m.number: m for m in (*others, *mine)}.values(), key=lambda m: m.number)

    def rooms(self) -> int:
        return len(self._rooms)

    def count(self) -> int:
        """People here on this node, each once a room."""
        return sum(room.count for room in self._rooms.values())

    def arrive(self, member: Member) -> None:
        """A tab was opened."""
        self._rooms.setdefault(member.code, RoomPresence()).arrive(member)
        self._registry.add(member)
        self._mark_busy(member.code)

    def depart(self, member: Member) -> None:
        """A tab was closed, or its connection lost."""
        room = self._rooms.get(member.code)
        if room is not None and room.depart(member.number, self._now() + GRACE):
            self._mark_busy(member.code)

    def forget(self, member: Member) -> None:
        """The seat ended, and the log knows."""
        room = self._rooms.get(member.code)
        if room is not None:
            self._registry.drop(member)
            room.forget(member.number)
            self._mark_busy(member.code)

    def follow(self, code: str) -> None:
        """A connection follows its room from now on: it must see the roster even if nobody comes or goes."""
        room, feed = self._rooms.get(code), self._hub.feeds.get(code)
        if room is not None and feed is not None and "roster" not in feed.panels:
            room.roster_due = True
            self._mark_busy(code)

    async def restore(self) -> None:
        """Expect those back who were here when the process ended. Raises store errors."""
        logged = await self._store.read(members.present)
        missing = await self._registry.missing(logged)
        self._expect(logged if missing is None else missing)

    def _expect(self, missing: Sequence[Member]) -> None:
        """Nobody has these, though the log says that they are here: soon after a start they may come back."""
        for member in missing:
            room = self._rooms.setdefault(member.code, RoomPresence())
            if room.expect(member, max(self._now(), self._started + RESTART_GRACE)):
                self._mark_busy(member.code)

    async def _compare(self) -> None:
        """Set right what the log says: a node may have died, or this one been given up by the others."""
        self._doubtful, self._compare_at = False, self._now() + PACE
        try:
            logged = await self._store.read(members.present)
        except Unavailable:
            self._doubtful = True
            return
        self._expect(await self._registry.missing(logged) or ())
        seats = {member.seat for member in logged}
        for code, room in self._rooms.items():
            for number in room.in_log - room.restored - set(room.entering):
                if (code, number) not in seats:
                    room.entering.append(number)
                    self._mark_busy(code)

    def recheck(self) -> None:
        """The log may be wrong about who is here."""
        self._doubtful = True
        self._wake.set()

    def refresh(self, codes: Collection[str], urgent: bool) -> None:
        """The rosters of these rooms look different now, because of other nodes."""
        for code in codes:
            if room := self._rooms.get(code):
                room.roster_due = True
                if urgent:  # their lease was all the waiting there may be
                    room.roster_at = 0.0
                self._mark_busy(code)

    async def run(self) -> None:
        """Keep notices and rosters up to date for ever; ends by cancellation."""
        while True:
            await self._wake.wait()
            await self.tick()
            if not self._busy and not self._doubtful:
                self._wake.clear()
            await asyncio.sleep(0.1)

    async def tick(self) -> None:
        """Do what is due now."""
        if self._doubtful and self._now() >= self._compare_at:
            await self._compare()
        for code in list(self._busy):
            room = self._rooms[code]
            room.expire(self._now())
            try:
                await self._write_notices(code, room)
                await self._push_roster(code, room)
            except Exception:  # one room's fault must not silence the others
                log.exception("presence-failed")
            if not room.busy:
                self._busy.discard(code)
                if room.empty:
                    del self._rooms[code]

    def _mark_busy(self, code: str) -> None:
        self._busy.add(code)
        self._wake.set()

    async def _write_notices(self, code: str, room: RoomPresence) -> None:
        if self._hub.health.store_down:  # each would wait for it, and hold up the rooms behind
            return
        if self._now() < room.notice_at:
            return
        entering, leaving = room.take_due(partial(self._registry.counted, code))
        if not (entering or leaving):
            return
        room.notice_at = self._now() + PACE
        try:
            if entering:
                await self._store.write(code, members.announce, code, "entered", entering)
                entering = []
            if leaving and await self._write_left(code, leaving):
                leaving = []
        except (Unavailable, OutcomeUnknown):
            log.warning("notice-delayed reason=store-unavailable")
        except NotFound:
            entering, leaving = [], []
        finally:
            room.put_back(entering, leaving)

    async def _write_left(self, code: str, numbers: Sequence[int]) -> bool:
        """Write who left, unless they are on another node. False if that is not known now."""
        left = await self._registry.claim_left(code, numbers)
        if left:
            await self._store.write(code, members.announce, code, "away", left)
            await self._registry.release_left(code, left)
        return left is not None

    async def _push_roster(self, code: str, room: RoomPresence) -> None:
        now = self._now()
        if not room.roster_due or now < room.roster_at:
            return
        people = self.people(code)
        room.roster_due = False
        room.roster_at = now + PACE * (1 + len(people) / CROWD)
        feed = self._hub.feeds.get(code)
        if feed is None:
            room.away = None
            return
        if not self._hub.health.store_down:  # else those last known are shown
            with suppress(Unavailable):
                room.away = await find_away(self._store, code, people)
        feed.show("roster", partial(self._roster, people, self.frozen, away=room.away or NOBODY))
