"""What the page of a room is made of, in one read."""

from __future__ import annotations

from typing import NamedTuple

from chat.model.changes import Page
from chat.model.members import Member
from chat.model.rooms import Room
from chat.store.members import find_seat, seats_of
from chat.store.past import ReadPage
from chat.store.read_positions import read_up_to
from chat.store.rooms import find_room
from chat.store.transaction import Transaction


class Visit(NamedTuple):
    """A member, every seat they ever had in the room, messages, the room, and up to where they have read."""

    member: Member
    seats: list[int]
    page: Page
    room: Room
    read: int


async def visit(tx: Transaction, code: str, person: str, read: ReadPage) -> Visit | None:
    """What a member sees, with the messages that `read` finds; None for anybody else. Raises NotFound."""
    member = await find_seat(tx, code, person)
    room = await find_room(tx, code) if member else None
    if member is None or room is None:
        return None
    page, seats = await read(tx, code), await seats_of(tx, code, person)
    return Visit(member, seats, page, room, await read_up_to(tx, code, member.number))
