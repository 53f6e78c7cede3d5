"""Who has a seat in a room and is not here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.model.members import Member
from chat.store import Store
from chat.store.members import members_of

AWAY = 50  # people listed; the others are counted


class Away(NamedTuple):
    """The first few by name, and how many there are."""

    members: Sequence[Member]
    total: int

    def without(self, here: Sequence[Member]) -> Away:
        """But those who are here meanwhile."""
        present = {member.number for member in here}
        members = [member for member in self.members if member.number not in present]
        return Away(members, self.total - len(self.members) + len(members))


NOBODY = Away((), 0)


async def find_away(store: Store, code: str, here: Sequence[Member]) -> Away:
    """All but those who are `here`, of whom the store need not know. Raises store errors.

    What is read grows with how many are here, and not with how many seats the room ever had. Of more than
    that, the total counts everybody here as one of them, though somebody may have come just now.
    """
    held = await store.read(members_of, code, len(here) + AWAY)
    present = {member.number for member in here}
    absent = [member for member in held.members if member.number not in present]
    unread = held.total - len(held.members)
    return Away(absent[:AWAY], max(len(absent), held.total - len(here)) if unread else len(absent))
