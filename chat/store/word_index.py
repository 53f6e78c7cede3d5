"""The index of words, which stays behind the log: a segment of a room is indexed once it is whole.

What was written since is read when somebody searches. So a text costs nothing more when it is written, and a
room that is no longer than a segment has no index at all. What is deleted or changed leaves the index in the
same transaction. The index only says where to look: see `chat.store.search`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from chat.model.messages import Message
from chat.store import Store, queries
from chat.store.postings import NO_MARKS, SEGMENT, Segment, Text, is_marked, toggled, without
from chat.store.queries import SHARDS
from chat.store.records import decode_text
from chat.store.transaction import Transaction

ROOMS = 100  # that are looked at together
PORTION = 32  # ids whose texts are read together
REST = 9.0  # times as long as the work takes: indexing is never in a hurry

Room = tuple[int, str, int, int]  # id, code, rev, and how many segments are indexed


async def index_rooms(store: Store, rest: float = REST) -> int:
    """Index what is due in every room; returns how many segments that were.

    Several nodes may do it at the same time. Raises Unavailable, OutcomeUnknown.
    """
    done, after = 0, 0
    while rooms := await store.read(_due, after):
        for room in rooms:
            done += await _index_room(store, room, rest)
        after = rooms[-1][0]
    return done


async def _due(tx: Transaction, after: int) -> Sequence[Room]:
    return [tuple(row) for row in await tx.fetch(queries.UNINDEXED, after, SEGMENT, ROOMS)]


async def _index_room(store: Store, room: Room, rest: float) -> int:
    id, code, rev, indexed = room
    done = 0
    for number in range(indexed, (rev + 1) // SEGMENT):
        segment = Segment()
        for first in range(number * SEGMENT, (number + 1) * SEGMENT, PORTION):
            start = time.perf_counter()
            texts = await store.read(texts_between, id, first, first + PORTION)
            await asyncio.to_thread(segment.add, texts)
            await asyncio.sleep(rest * (time.perf_counter() - start))
        if not await store.write(code, _seal, id, number, rev, list(segment.parts())):
            break
        done += 1
    return done


async def texts_between(tx: Transaction, room: int, first: int, end: int) -> list[Text]:
    rows = await tx.fetch(queries.TEXTS, room, first, end)
    return [(id, name, decode_text(body) or "") for id, name, body in rows]


async def _seal(
    tx: Transaction, room: int, number: int, rev: int, parts: Sequence[tuple[int, bytes]]
) -> bool:
    """Keep the index of a segment.

    Not if another node has, if one of its messages changed after `rev`, or if the room is gone.
    """
    rows = await tx.fetch(queries.TO_INDEX, room)
    if not rows or rows[0][0] != number:
        return False
    ((newest,),) = await tx.fetch(queries.NEWEST_REV, room, number * SEGMENT, (number + 1) * SEGMENT)
    if (newest or 0) > rev:
        return False
    await _add(tx, room, number, parts)
    await tx.fetch(queries.SET_INDEXED, number + 1, room)
    return True


async def replace(tx: Transaction, room: int, message: Message, body: str | None) -> None:
    """A message has another text from now on, or none: of the former one nothing stays in the index.

    The new words are not indexed: who edits often would make the index longer each time. The message is read
    by every search from then on.
    """
    number = message.id // SEGMENT
    ((indexed,),) = await tx.fetch(queries.INDEXED, room)
    if number >= indexed:
        return
    rows = await tx.fetch(queries.PLACES_TO_READ, room, number)
    serial, bits = (rows[0][0], bytes(rows[0][1])) if rows else (None, NO_MARKS)
    was_edited = is_marked(bits, message.id)
    if not was_edited:
        await _take_out(tx, room, message.id)
    if was_edited == (body is not None):
        return
    if serial is None:
        await _add(tx, room, number, [(SHARDS, toggled(bits, message.id))])
    else:
        await tx.fetch(queries.SET_PART, toggled(bits, message.id), serial)


async def _take_out(tx: Transaction, room: int, id: int) -> None:
    for serial, part in await tx.fetch(queries.PARTS_OF_SEGMENT, room, id // SEGMENT):
        rest = without(part, id)
        if rest != part:
            await tx.fetch(queries.SET_PART, rest, serial)


async def _add(tx: Transaction, room: int, number: int, parts: Sequence[tuple[int, bytes]]) -> None:
    if parts:
        await tx.execute_many(queries.NEW_PART, [(room, shard, number, part) for shard, part in parts])
