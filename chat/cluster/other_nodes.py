"""The people on other nodes, as this node last read them from Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from chat.cluster.connection import RedisUnavailable
from chat.cluster.own_entries import BATCH, load_entry
from chat.cluster.tasks import end
from chat.model.members import Member

Item = TypeVar("Item")

log = logging.getLogger("chat")


class OtherNodes:
    """`run` calls the script of the registry. Only rooms with people of this node, `own_rooms`, are kept."""

    def __init__(
        self, node: str, own_rooms: Collection[str], run: Callable[[str, Any], Awaitable[Any]]
    ) -> None:
        self._node = node
        self._own_rooms = own_rooms
        self._run = run
        self._rooms: dict[str, dict[int, Member]] = {}
        self._stale: set[str] = set()  # rooms to be read
        # Looks at rooms without people of this node.
        self._peeks: dict[str, asyncio.Task[dict[int, Member] | None]] = {}

    async def close(self) -> None:
        await end(*self._peeks.values())

    def people(self, code: str) -> Collection[Member]:
        return self._rooms.get(code, {}).values()

    def changed(self, codes: Iterable[str]) -> None:
        """Read these rooms at the next `read`."""
        self._stale.update(code for code in codes if code in self._own_rooms)

    def forget(self, code: str) -> None:
        """This node has no people in the room any more."""
        self._rooms.pop(code, None)
        self._stale.discard(code)

    async def peek(self, code: str) -> Collection[Member] | None:
        """The people of a room, read once for all who ask before `forget_peeks`; None if they cannot be."""
        if code in self._rooms:
            return self.people(code)
        peek = self._peeks.get(code)
        if peek is None:
            peek = self._peeks[code] = asyncio.create_task(self._peek(code))
        people = await asyncio.shield(peek)
        return None if people is None else people.values()

    def forget_peeks(self) -> None:
        self._peeks.clear()

    async def read(self, add_only: bool) -> AsyncIterator[list[str]]:
        """Read the rooms that changed, and yield those whose people are different as they are read: a later
        part may fail. With `add_only` nobody is removed but who is known to be gone, since other nodes may
        not have sent their entries again yet."""
        for codes in _batches(list(self._stale)):
            different: list[str] = []
            for code, (entries, gone) in zip(codes, await self._run("rosters", list(codes)), strict=True):
                self._stale.discard(code)
                people = self._parse(code, entries)
                if add_only:
                    people = self._kept(code, gone) | people
                if code in self._own_rooms and people != self._rooms.get(code):
                    self._rooms[code] = people
                    different.append(code)
            if different:
                yield different

    def _kept(self, code: str, gone: Iterable[bytes]) -> dict[int, Member]:
        """Those last known, without those who are gone."""
        numbers = set(map(int, gone))
        return {number: m for number, m in self._rooms.get(code, {}).items() if number not in numbers}

    async def missing(self, members: Sequence[Member]) -> list[Member]:
        """Those whom no node has."""
        found: list[Member] = []
        for some in _batches(members):
            places = await self._run("missing", [[m.code, str(m.number)] for m in some])
            found += [some[place] for place in places]
        return found

    async def _peek(self, code: str) -> dict[int, Member] | None:
        try:
            ((entries, _),) = await self._run("rosters", [code])
        except RedisUnavailable:
            return None
        return self._parse(code, entries)

    def _parse(self, code: str, entries: Sequence[bytes]) -> dict[int, Member]:
        """The people of other nodes, each once. What is no entry keeps nobody else from the roster."""
        found: dict[int, Member] = {}
        for seat, packed in zip(entries[::2], entries[1::2], strict=True):
            try:
                number, node = seat.decode().split(" ")
                if node != self._node:
                    found[int(number)] = load_entry(code, int(number), packed)
            except (ValueError, TypeError, RecursionError):
                log.warning("entry-ignored bytes=%d", len(packed))
        return found


def _batches(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
