"""Up to where people have read: one number for each seat, which rises unless its person sets it back.

It is no change of a room: it raises no rev, and is written without the lock of the room.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.store import queries
from chat.store.transaction import Transaction

Read = tuple[str, int, int]  # a code, a seat, and the rev up to which its person has read


async def save(tx: Transaction, positions: Sequence[Read]) -> None:
    """Raise the positions that are lower. None gets higher than its room; what is not there is passed over.

    In the order of rooms and seats, so that two nodes never wait for one another.
    """
    await tx.execute_many(queries.READ, sorted(positions))


async def set_back(tx: Transaction, code: str, seat: int, rev: int) -> None:
    """Somebody has read no further than this, however far they had."""
    await tx.fetch(queries.SET_BACK, code, seat, rev)


async def read_up_to(tx: Transaction, code: str, seat: int) -> int:
    """The rev up to which the person of a seat has read; 0 if that is nothing."""
    rows = await tx.fetch(queries.READ_UP_TO, code, seat)
    return int(rows[0][0]) if rows else 0


async def start(tx: Transaction, room: int, seat: int) -> None:
    """A newcomer has nothing to catch up with."""
    await tx.fetch(queries.START_READING, room, seat)


async def carry_over(tx: Transaction, room: int, old: int, new: int) -> None:
    """Somebody has another seat, and has read what they had read."""
    await tx.fetch(queries.CARRY_POSITION, room, old, new)
