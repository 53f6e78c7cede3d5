"""What only the page of a message shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.model.members import Member
from chat.model.messages import Message, Version
from chat.store.members import seats_numbered
from chat.store.messages import earlier_texts
from chat.store.read_positions import read_up_to
from chat.store.transaction import Transaction
from chat.views.reactions import NAMED, Reacted, reacted


class Details(NamedTuple):
    earlier: Sequence[Version]
    reacted: Sequence[Reacted]
    read: int  # up to where the reader of the page has read, as the store knows


async def details_of(tx: Transaction, member: Member, message: Message) -> Details:
    """What it said before, who reacted to it, and whether a member has read it."""
    code = member.code
    earlier = await earlier_texts(tx, code, message.id) if message.edited else []
    given = message.reactions
    seats = [seat for some in given.values() for seat in some[:NAMED]]
    people = await seats_numbered(tx, code, seats) if seats else {}
    return Details(earlier, reacted(given, people), await read_up_to(tx, code, member.number))
