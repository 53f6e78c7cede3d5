"""A copy of everything into an empty store: resumed after an interruption, and compared at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import zip_longest
from typing import Protocol

from chat.store import metadata
from chat.store.archive.parts import (
    PARTS,
    ROOMS,
    Key,
    Line,
    Part,
    before_room,
    count,
    last_key,
    page,
    put,
)
from chat.store.exclusive import ExclusiveStore
from chat.store.metadata import COPYING, HISTORY, IDENTITY
from chat.store.queries import LARGEST

CHUNK = 1000  # rows that share a commit, and are held in memory
OWN = {IDENTITY, COPYING, HISTORY, "schema", "oldest"}  # metadata of one store only

Say = Callable[[str], object]


class NotCopied(Exception):
    """Why there is no complete copy, and what to do."""


def describe(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__


class Source(Protocol):
    """What can be copied: a store, or an archive of one."""

    place: str

    async def identity(self) -> str:
        """Tells it from every other."""

    async def metadata(self) -> dict[str, str]: ...

    async def count(self, part: Part) -> int: ...

    def chunks(self, part: Part, after: Key | None = None) -> AsyncIterator[list[Line]]:
        """At most CHUNK lines at a time, in the order of keys."""


class StoredRooms:
    """What a store holds, or what it holds of one room."""

    def __init__(self, store: ExclusiveStore, room: int | None = None) -> None:
        self.place = store.place
        self._store = store
        self._room = room
        self._first, self._last = (0, LARGEST) if room is None else (room, room)

    async def identity(self) -> str:
        return await self._store.run(metadata.identity)

    async def metadata(self) -> dict[str, str]:
        if self._room is not None:
            return {}
        kept = await self._store.run(metadata.all_metadata)
        return {name: kept[name] for name in sorted(kept.keys() - OWN)}

    async def count(self, part: Part) -> int:
        return 0 if self._leaves_out(part) else await self._store.run(count, part, self._first, self._last)

    def _leaves_out(self, part: Part) -> bool:
        return part.is_personal and self._room is not None

    async def chunks(self, part: Part, after: Key | None = None) -> AsyncIterator[list[Line]]:
        if self._leaves_out(part):
            return
        after = after or before_room(part, self._first)
        while lines := await self._store.run(page, part, after, self._last, CHUNK):
            yield lines
            after = part.key_of(lines[-1])


async def copy(source: Source, target: ExclusiveStore, say: Say) -> None:
    """Raises NotCopied. Until all is copied and compared, no server starts on the target."""
    await _begin(source, target, say)
    copied = StoredRooms(target)
    for part in PARTS:
        await _copy(source, target, part, say)
    for name, value in (await source.metadata()).items():
        await target.run(metadata.keep, name, value)
    for part in PARTS:
        await _compare(source, copied, part, say)
    await target.finish()
    await target.run(metadata.forget, COPYING)


async def require_finished(store: ExclusiveStore) -> None:
    if COPYING in await store.run(metadata.all_metadata):
        raise NotCopied(f"{store.place} is an unfinished copy itself. Finish that first.")


async def _begin(source: Source, target: ExclusiveStore, say: Say) -> None:
    """Mark the target as the unfinished copy that it is, or will be."""
    identity = await source.identity()
    begun = (await target.run(metadata.all_metadata)).get(COPYING)
    if begun == identity:
        say(f"Going on with the copy that {target.place} has already begun.")
    elif begun:
        raise NotCopied(f"{target.place} holds an unfinished copy of another store. Name an empty database.")
    elif await target.run(last_key, ROOMS):
        raise NotCopied(f"{target.place} is not empty. Name an empty database; this one was left as it was.")
    else:
        await target.run(metadata.keep, COPYING, identity)


async def _copy(source: Source, target: ExclusiveStore, part: Part, say: Say) -> None:
    total, done = await source.count(part), await target.run(count, part)
    async for lines in source.chunks(part, await target.run(last_key, part)):
        try:
            await target.run(put, part, lines)
        except target.refusals as error:
            raise NotCopied(
                f"{part.table}, lines {done + 1} to {done + len(lines)}: {target.place} cannot keep what "
                f"{source.place} holds: {describe(error)}. Correct that, empty the database and start again."
            ) from error
        done += len(lines)
        say(f"{part.table}: {done} of {total}")


async def _compare(source: Source, target: Source, part: Part, say: Say) -> None:
    ours, theirs = source.chunks(part), target.chunks(part)
    rows, rooms, room = 0, 0, b""
    while True:
        one, other = await anext(ours, None), await anext(theirs, None)
        if one != other:
            raise NotCopied(_difference(source, target, part, one or [], other or []))
        if one is None:
            break
        for line in one:
            before, room = room, line.partition(b",")[0]  # the first field
            rows, rooms = rows + 1, rooms + (room != before)
    say(f"{part.table}: {rows} checked, of {rooms} rooms")


def _difference(source: Source, target: Source, part: Part, ours: list[Line], theirs: list[Line]) -> str:
    pair = next((one, other) for one, other in zip_longest(ours, theirs) if one != other)
    room, *_ = min(part.key_of(line) for line in pair if line)
    return (
        f"{part.table}, room number {room}: {target.place} does not hold what {source.place} does. Was one "
        "of them used since the copy was begun? Empty the second and start again."
    )
