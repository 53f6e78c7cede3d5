"""Whom members do not want to read, each for themselves: seats in the meta of their own seat."""

from __future__ import annotations

from collections.abc import Sequence

from chat.model.members import IGNORED, Member
from chat.model.meta import with_meta
from chat.store import queries
from chat.store.records import dump_meta, load_member
from chat.store.transaction import Transaction


async def keep(tx: Transaction, room: int, member: Member, ignored: Sequence[int]) -> None:
    """These are ignored from now on, and nobody else."""
    meta = with_meta(member.meta, ignored=list(ignored) or None)
    await tx.fetch(queries.SET_SEAT_META, dump_meta(meta), room, member.number)


async def carry_over(tx: Transaction, room: int, person: str, seat: int) -> None:
    """Somebody has another seat: they ignore whom they ignored, and are ignored by those who did."""
    rows = await tx.fetch(queries.SEATS_BEFORE, room, person, seat)
    mine, *former = map(load_member, rows)
    if not former:
        return
    if former[0].ignored != mine.ignored:
        await keep(tx, room, mine, former[0].ignored)
    known = {member.number for member in former}
    for other in map(load_member, await tx.fetch(queries.IGNORING, room)):
        if seat not in other.ignored and known.intersection(other.ignored):
            await keep(tx, room, other, _with_seat(other.ignored, known, seat))


def _with_seat(ignored: Sequence[int], known: set[int], seat: int) -> Sequence[int]:
    """Where there are as many as there may be, the newest name of a person counts more than the first."""
    if len(ignored) < IGNORED:
        return [*ignored, seat]
    first = next(number for number in ignored if number in known)
    return [*(number for number in ignored if number != first), seat]
