"""Whether a room reads of everybody who comes and goes, which any member may change.

Of first arrivals, and of those who leave for good, it reads in any case. Who is here is among the people.
"""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, Fields, is_on
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.notices import Notice
from chat.model.rooms import Room
from chat.store import quota
from chat.store.log import add_notice
from chat.store.members import own_room
from chat.store.rooms import set_meta
from chat.store.transaction import Transaction

ALL = "all"


async def run(asked: Asked) -> Answer:
    """As it shall be, so to ask twice is harmless."""
    on = is_on(asked.fields)
    change = await asked.chat.store.write(asked.member.code, tell, asked.member, on)
    return Answer("", changed=change is not None)


async def tell(tx: Transaction, member: Member, everything: bool) -> Change | None:
    """None if it is so already. Raises NotFound, or Forbidden if they have left."""
    room = await own_room(tx, member)
    if room.tells_comings == everything:
        return None
    await set_meta(tx, room, comings=ALL if everything else None)
    return await add_notice(tx, member.code, Notice("comings", (member.label, ALL if everything else ""), 1))


def _size(fields: Fields) -> int:
    return quota.MESSAGE


def _filled(room: Room, member: Member) -> Fields:
    return {"on": "1" if room.tells_comings else "0"}


COMINGS = Action(
    "comings", run, limits.TITLES, size=_size, form="comings/form.html", filled=_filled, shared=True
)
