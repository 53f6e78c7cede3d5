"""Whether a room reads of everybody who comes and goes, which any member may change.

Of first arrivals, and of those who leave for good, it reads in any case. Who is here is among the people.
"""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, Fields
from chat.model.changes import Change
from chat.model.errors import Refused
from chat.model.members import Member
from chat.model.notices import Notice
from chat.model.rooms import Room
from chat.store import quota
from chat.store.log import write_notice
from chat.store.members import held_room
from chat.store.rooms import find_room, set_meta
from chat.store.transaction import Transaction

ALL = "all"


async def run(asked: Asked) -> Answer:
    """As it shall be, so to ask twice is harmless."""
    on = asked.fields.get("on", "")
    if on not in ("0", "1"):
        raise Refused("Please choose one of the two.", "on")
    change = await asked.chat.store.write(asked.member.code, tell, asked.member, on == "1")
    return Answer("", changed=change is not None)


async def tell(tx: Transaction, member: Member, everything: bool) -> Change | None:
    """None if it is so already. Raises NotFound, or Forbidden if they have left."""
    await held_room(tx, member)
    room = await find_room(tx, member.code)
    assert room is not None
    if room.tells_comings == everything:
        return None
    await set_meta(tx, room, comings=ALL if everything else None)
    notice = Notice("comings", (member.label, ALL if everything else ""), 1)
    return await write_notice(tx, member.code, lambda last, at: (notice, False))


def _size(fields: Fields) -> int:
    return quota.MESSAGE


def _filled(room: Room, member: Member) -> Fields:
    return {"on": "1" if room.tells_comings else "0"}


COMINGS = Action(
    "comings", run, limits.TITLES, size=_size, form="comings/form.html", filled=_filled, shared=True
)
