"""What was said last in a room, for counting what of it somebody has not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.model.members import Member
from chat.model.meta import seats_in
from chat.model.rooms import Room
from chat.store import queries
from chat.store.members import seats_of
from chat.store.messages import text_message
from chat.store.my_rooms import COUNTED, LOOKED_AT
from chat.store.records import load_meta
from chat.store.rooms import find_room
from chat.store.transaction import Transaction

TEXTS = 2 * COUNTED  # that are looked at: some are one's own


class Text(NamedTuple):
    id: int
    author: int
    mentions: tuple[int, ...]


class Said(NamedTuple):
    """The room, and its newest texts that are not deleted, the newest first."""

    room: Room
    texts: list[Text]


class Reader(NamedTuple):
    """Up to where a person has read, and every seat that they ever had in the room."""

    read: int
    seats: frozenset[int]


NOBODY = Reader(0, frozenset())


async def said_last(tx: Transaction, code: str, after: int) -> Said | None:
    """After a rev, however much else happened since."""
    room = await find_room(tx, code)
    if room is None:
        return None
    rows = await tx.fetch(queries.NEWEST_TEXTS, code, after, LOOKED_AT, TEXTS)
    return Said(room, [Text(id, author, seats_in(load_meta(meta), "mentions")) for id, author, meta in rows])


async def can_be_unread(tx: Transaction, member: Member, id: int) -> bool:
    """Whether a text, or anything after it, can be new to a member. Raises NotFound, Forbidden."""
    message = await text_message(tx, member, id)
    hidden = {*await seats_of(tx, member.code, member.person), *member.ignored}
    if message.author not in hidden:
        return True
    rows = await tx.fetch(queries.NEWEST_TEXTS, member.code, id - 1, LOOKED_AT, TEXTS)
    return any(author not in hidden for _, author, _ in rows)


async def readers_of(tx: Transaction, code: str, seats: Sequence[int]) -> dict[int, Reader]:
    """The person of each of these seats that there is."""
    rows = await tx.fetch(tx.dialect.readers, code, seats)
    read = {seat: rev for seat, rev, _ in rows}
    held: dict[int, set[int]] = {seat: set() for seat in read}
    for seat, _, other in rows:
        held[seat].add(other)
    return {seat: Reader(rev, frozenset(held[seat])) for seat, rev in read.items()}
