"""The registry of several nodes, kept in Redis and on Redis's clock.

Each node has a lease and entries of its own. Once a second, or at once when somebody came or went, it
renews the lease and says in one step what changed with its people; the answer names the rooms that changed
elsewhere. The node that finds a lease run out buries its owner: all its people disappear together, unless
another node has them. If nobody could reach Redis for a while, no lease counts as run out before everybody
had time to come back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from chat.cluster.connection import Redis, RedisUnavailable, Script, end
from chat.model.members import Member

LEASE = 13.5  # s without a sign of a node until its people are gone; with all that follows, 16
BEAT = 1.0  # s between signs
RUSH = 0.05  # s between them when people come and go
WAIT = 1.0  # s for an answer: two in vain, and the rest between them, are less than 6 s
FREEZE = 3.0  # s without an answer until pages say that they cannot know
CLAIM = 30.0  # s for a node to tell a room that somebody left
SWEEP = 60.0  # s between comparisons of the log with the registry, by one node for all
MEMORY = 100_000  # changes of rooms that are remembered
BATCH = 500  # entries of one step, so that none holds Redis up
SCRIPT = Script(Path(__file__).with_name("registry.lua"))

Seat = tuple[str, int]  # room and number
Item = TypeVar("Item")

log = logging.getLogger("chat")


class RedisRegistry:
    changed: Callable[[Collection[str], bool], None]
    doubtful: Callable[[], None]
    surplus: Callable[[int], None]
    freezing: Callable[[], None]

    def __init__(self, redis: Redis, tabs: int, lease: float = LEASE, beat: float = BEAT) -> None:
        self.frozen = False
        self._redis = redis
        self._root = f"{redis.prefix}:{{here}}"
        self._node = secrets.token_hex(6)
        self._tabs = tabs
        self._lease = lease
        self._beat = beat
        self._mine: dict[str, dict[int, Member]] = {}
        self._others: dict[str, dict[int, Member]] = {}
        self._glimpses: dict[str, asyncio.Task[dict[int, Member]]] = {}  # of rooms without people of ours
        self._counted: set[Seat] = set()
        self._unsaid: dict[Seat, Member | None] = {}
        self._held: dict[Seat, Member | None] = {}  # said, but somebody is telling the room that they left
        self._stale: set[str] = set()  # rooms to be read
        self._connections: dict[int, tuple[str, float]] = {}  # person, when opened
        self._opened: set[int] = set()  # not yet said
        self._closed: dict[int, str] = {}
        self._joined = False
        self._paused = False
        self._seq = 0
        self._answered = time.monotonic()
        self._turn = asyncio.Lock()  # one step at a time: what is said last must arrive last
        self._stir = asyncio.Event()
        self._living = 0
        self._until = 0.0  # when our lease ends, on Redis's clock
        self._bereaved = False  # a node is gone, and not yet from every room
        self._task: asyncio.Task[None] | None = None

    @property
    def nodes(self) -> int:
        return 0 if self.frozen else self._living

    async def open(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """The lease runs out by itself, when most people will be back on another node."""
        if self._task is not None:
            await end(self._task, *self._glimpses.values())

    # This node's people -------------------------------------------------------------------------------

    def add(self, member: Member) -> None:
        room = self._mine.get(member.code)
        if room is None:
            room = self._mine[member.code] = {}
            self._stale.add(member.code)
        if room.get(member.number) != member:
            room[member.number] = member
            self._say(member.code, member.number, member)

    def drop(self, member: Member) -> None:
        self._forget(member.code, member.number)
        self._say(member.code, member.number, None)

    def counted(self, code: str, number: int) -> bool:
        return (code, number) in self._counted

    async def last(self, code: str, numbers: Sequence[int]) -> list[int] | None:
        for number in numbers:
            self._forget(code, number)
        if self.frozen or self._redis.away:
            return None
        async with self._turn:
            said = {"code": code, "life": round(1000 * CLAIM), "numbers": [str(n) for n in numbers]}
            try:
                ours = await self._run("leave", said)
            except RedisUnavailable:
                return None
        return None if ours is None else [int(number) for number in ours]

    async def told(self, code: str, numbers: Sequence[int]) -> None:
        try:
            await self._run("told", {"code": code, "numbers": [str(n) for n in numbers]})
        except RedisUnavailable:
            pass  # the claim ends by itself
        self._stir.set()  # those who came meanwhile may be counted now

    def opened(self, person: str, connection: int) -> None:
        self._connections[connection] = (person, time.monotonic())
        self._opened.add(connection)
        self._stir.set()

    def closed(self, person: str, connection: int) -> None:
        self._connections.pop(connection, None)
        self._opened.discard(connection)
        self._closed[connection] = person
        self._stir.set()

    def _say(self, code: str, number: int, member: Member | None) -> None:
        self._unsaid[code, number] = member
        self._held.pop((code, number), None)
        self._counted.discard((code, number))
        self._stir.set()

    def _forget(self, code: str, number: int) -> None:
        room = self._mine.get(code, {})
        room.pop(number, None)
        self._counted.discard((code, number))
        self._unsaid.pop((code, number), None)
        self._held.pop((code, number), None)
        if not room:
            self._mine.pop(code, None)
            self._others.pop(code, None)
            self._stale.discard(code)

    # Everybody's --------------------------------------------------------------------------------------

    def elsewhere(self, code: str) -> Collection[Member]:
        return self._others.get(code, {}).values()

    async def ask(self, code: str) -> Collection[Member]:
        if code in self._others or self.frozen or self._redis.away:
            return self.elsewhere(code)
        glimpse = self._glimpses.get(code)
        if glimpse is None:
            glimpse = self._glimpses[code] = asyncio.create_task(self._glimpse(code))
        return (await asyncio.shield(glimpse)).values()

    async def _glimpse(self, code: str) -> dict[int, Member]:
        try:
            (entries,) = await self._run("rosters", [code])
        except RedisUnavailable:
            return {}
        return self._people(code, entries)

    async def missing(self, members: Sequence[Member]) -> Sequence[Member] | None:
        found: list[Member] = []
        try:
            for some in _batches(members):
                places = await self._run("missing", [[m.code, str(m.number)] for m in some])
                found += [some[place] for place in places]
        except RedisUnavailable:
            return None
        return found

    # The exchange with Redis --------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            try:
                await self._exchange()
            except RedisUnavailable:
                if time.monotonic() - self._answered > FREEZE:
                    self._freeze(True)
                await asyncio.sleep(self._beat * (0.5 + secrets.randbelow(1000) / 1000))
            except Exception:
                log.exception("registry-failed")
                await asyncio.sleep(self._beat)
            else:
                self._answered = time.monotonic()
                self._freeze(False)
                await self._rest()

    async def _rest(self) -> None:
        """Until the next beat, or until there is something to say."""
        rush = min(RUSH, self._beat / 2)
        await asyncio.sleep(rush)
        try:
            async with asyncio.timeout(self._beat - rush):
                await self._stir.wait()
        except TimeoutError:
            pass

    def _freeze(self, frozen: bool) -> None:
        if frozen != self.frozen:
            self.frozen = frozen
            log.warning("presence-frozen" if frozen else "presence-moves")
            self.freezing()
            self.changed(list(self._mine), False)

    async def _exchange(self) -> None:
        self._stir.clear()
        self._glimpses.clear()
        async with self._turn:
            if not self._joined:
                self._say_everything()
            self._unsaid, self._held = self._held | self._unsaid, {}
            for seats, opened, closed in self._parts():
                await self._tell(seats, opened, closed)
                if not self._joined:
                    return  # given up by the others: everything again, at once
        await self._read()

    def _say_everything(self) -> None:
        for code, room in self._mine.items():
            for number, member in room.items():
                self._say(code, number, member)
        self._opened = set(self._connections)
        self._stale.update(self._mine)

    def _parts(self) -> Iterator[tuple[dict[Seat, Member | None], set[int], dict[int, str]]]:
        """What is unsaid, a bounded part at a time, and at least one, which says that we live."""
        first = True
        while first or self._unsaid or self._opened or self._closed:
            first = False
            seats = _taken(self._unsaid)
            opened = set(islice(self._opened, BATCH))
            self._opened -= opened
            yield seats, opened, _taken(self._closed)

    async def _tell(self, seats: dict[Seat, Member | None], opened: set[int], closed: dict[int, str]) -> None:
        now = time.monotonic()
        said = {
            "join": not self._joined,
            "ttl": round(1000 * self._lease),
            "lease": self._until,
            "gap": 1000 * self._lease / 3,
            "sweep": round(1000 * SWEEP),
            "memory": MEMORY,
            "most": self._tabs,
            "since": self._seq,
            "seats": [[code, str(number), _packed(member)] for (code, number), member in seats.items()],
            "opened": [
                [str(id), person, 1000 * (now - at)]
                for id in sorted(opened)
                for person, at in [self._connections[id]]
            ],
            "closed": [[str(id), person] for id, person in closed.items()],
        }
        try:
            lives, *news = await self._run("exchange", said)
        except RedisUnavailable:
            self._take_back(seats, opened, closed)
            raise
        if lives:
            self._hear(seats, *news)
        else:
            self._joined = False
            self._take_back(seats, opened, closed)
            self._stir.set()
            log.warning("registry-given-up")

    def _take_back(self, seats: Iterable[Seat], opened: Iterable[int], closed: dict[int, str]) -> None:
        """This was said in vain: say it again as it is by now."""
        for code, number in seats:
            if (code, number) not in self._unsaid:
                self._unsaid[code, number] = self._mine.get(code, {}).get(number)
        self._opened.update(id for id in opened if id in self._connections)
        self._closed = closed | self._closed

    def _hear(
        self,
        seats: dict[Seat, Member | None],
        lease: bytes,
        living: int,
        seq: int,
        paused: int,
        sweep: int,
        held: list[bytes],
        surplus: list[bytes],
        changed: list[bytes],
    ) -> None:
        self._until = float(lease)
        self._bereaved, self._living = self._bereaved or living < self._living, living
        waiting = {(code, int(number)) for code, number in (seat.decode().split(" ") for seat in held)}
        for (code, number), member in seats.items():
            if member is None or (code, number) in self._unsaid or number not in self._mine.get(code, {}):
                continue
            if (code, number) in waiting:
                self._held[code, number] = member
            else:
                self._counted.add((code, number))
        if self._paused and not paused:
            self._stale.update(self._mine)
        self._stale.update(code for code in map(bytes.decode, changed) if code in self._mine)
        rejoined, self._joined, self._paused, self._seq = not self._joined, True, bool(paused), seq
        for connection in surplus:
            self.surplus(int(connection))
        if sweep or rejoined:
            self.doubtful()

    async def _read(self) -> None:
        """Read the rooms that changed."""
        different: list[str] = []
        for codes in _batches(list(self._stale)):
            for code, entries in zip(codes, await self._run("rosters", list(codes)), strict=True):
                self._stale.discard(code)
                people = self._people(code, entries)
                if self._paused:  # other nodes may have yet to come back
                    people = self._others.get(code, {}) | people
                if code in self._mine and people != self._others.get(code):
                    self._others[code] = people
                    different.append(code)
        if different:
            self.changed(different, self._bereaved)
        self._bereaved = False

    def _people(self, code: str, entries: Sequence[bytes]) -> dict[int, Member]:
        """The people of other nodes, each once."""
        found: dict[int, Member] = {}
        for seat, packed in zip(entries[::2], entries[1::2], strict=True):
            number, node = seat.decode().split(" ")
            if node != self._node:
                person, name, mark = json.loads(packed)
                found[int(number)] = Member(code, int(number), person, name, mark)
        return found

    async def _run(self, verb: str, said: Any) -> Any:
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return await self._redis.run(SCRIPT, self._root, verb, self._node, text, wait=WAIT)


def _packed(member: Member | None) -> str:
    return json.dumps([member.person, member.name, member.mark], ensure_ascii=False) if member else ""


def _taken(unsaid: dict[Any, Any]) -> dict[Any, Any]:
    """The first few, taken out."""
    return {key: unsaid.pop(key) for key in list(islice(unsaid, BATCH))}


def _batches(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
