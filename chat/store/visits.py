"""What the page of a room is made of, in one read."""

from __future__ import annotations

from typing import NamedTuple

from chat.model.changes import Page
from chat.model.members import Member
from chat.store.log import history
from chat.store.members import find_seat, seats_of
from chat.store.transaction import Transaction


class Visit(NamedTuple):
    """A member, every seat that they ever had in the room, and messages."""

    member: Member
    seats: list[int]
    page: Page


async def visit(
    tx: Transaction, code: str, person: str, before: int | None, limit: int, most: int
) -> Visit | None:
    """None for anybody who has no seat; `before`, `limit` and `most` as for `history`. Raises NotFound."""
    member = await find_seat(tx, code, person)
    if member is None:
        return None
    return Visit(member, await seats_of(tx, code, person), await history(tx, code, before, limit, most))
