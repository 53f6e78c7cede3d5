"""Rooms: opened, found, and removed if nobody ever says anything in them."""

from __future__ import annotations

from typing import Any

from chat.model.meta import NO_META, Meta, with_meta
from chat.model.rooms import Room, new_epoch
from chat.store import AlreadyExists, drafts, queries
from chat.store.records import dump_meta, load_room
from chat.store.transaction import Transaction

UNUSED = 24 * 3600 * 1000  # ms that a room is kept in which nothing was said
IN_USE = 3600 * 1000  # ms that it is kept at least once somebody came
REMOVED = 500  # rows of an expired room that are removed at a time


async def open_room(tx: Transaction, code: str, meta: Meta = NO_META) -> Room:
    """Raises AlreadyExists."""
    room = Room(code, new_epoch(), tx.now, meta)
    values = code, room.epoch, tx.now, tx.now + UNUSED, dump_meta(meta)
    if not await tx.fetch(queries.NEW_ROOM, *values):
        raise AlreadyExists(code)
    return room


async def find_room(tx: Transaction, code: str) -> Room | None:
    rows = await tx.fetch(queries.ROOM, code)
    return load_room(rows[0]) if rows else None


async def set_meta(tx: Transaction, room: Room, **values: Any) -> None:
    """Keep these with a room; what is None is kept no longer."""
    await tx.fetch(queries.SET_ROOM_META, dump_meta(with_meta(room.meta, **values)), room.code)


async def expire(tx: Transaction) -> int:
    """Remove rooms in which nothing was said for a day, unless somebody is there; a portion at a time.

    Returns how many rows it dealt with: 0 once there is nothing left to remove. Several nodes may do it at
    the same time. `Expiry` is for a clock that may be wrong.
    """
    expired = await tx.fetch(tx.dialect.expired, tx.now, REMOVED)
    for (room,) in expired:
        if await tx.fetch(queries.SPOKEN_IN, room):  # by a node of a former release
            await tx.fetch(queries.KEEP_ROOM, room)
        elif await tx.fetch(queries.HAS_PRESENT, room):
            await tx.fetch(queries.PROLONG, tx.now + IN_USE, room)
        else:
            await tx.fetch(queries.CLOSE_ROOM, f"expired {room}", room)
    closed = await tx.fetch(tx.dialect.closed)
    return len(expired) + (await _remove(tx, closed[0][0]) if closed else 0)


async def _remove(tx: Transaction, room: int) -> int:
    removed = await drafts.forget_room(tx, room, REMOVED)
    for delete in queries.EMPTY:
        removed += len(await tx.fetch(delete, room, REMOVED - removed))
        if removed == REMOVED:
            return removed
    await tx.fetch(queries.REMOVE_ROOM, room)
    return removed + 1
