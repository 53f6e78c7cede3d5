"""What the page of a room is made of, in one read."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from chat.model.changes import Page
from chat.model.members import Member
from chat.model.rooms import Room
from chat.store import past
from chat.store.log import history
from chat.store.members import find_seat, seats_of
from chat.store.past import ReadPage
from chat.store.read_positions import read_up_to
from chat.store.rooms import find_room
from chat.store.transaction import Transaction


class Visit(NamedTuple):
    """A member, every seat that they ever had in the room, messages, and the room.

    `read` is up to where they have read; 0 for a page of the past.
    """

    member: Member
    seats: list[int]
    page: Page
    room: Room
    read: int = 0


async def visit(
    tx: Transaction, code: str, person: str, before: int | None, limit: int, most: int
) -> Visit | None:
    """None for anybody who has no seat; `before`, `limit` and `most` as for `history`. Raises NotFound."""
    if before is None:
        found = await visit_page(tx, code, person, partial(history, limit=limit, most=most))
        return found and found._replace(read=await read_up_to(tx, code, found.member.number))
    return await visit_page(tx, code, person, partial(past.earlier, before=before, limit=limit, most=most))


async def visit_page(tx: Transaction, code: str, person: str, read: ReadPage) -> Visit | None:
    """As `visit`, with the messages that `read` finds."""
    member = await find_seat(tx, code, person)
    room = await find_room(tx, code) if member else None
    if member is None or room is None:
        return None
    page = await read(tx, code)
    return Visit(member, await seats_of(tx, code, person), page, room)
