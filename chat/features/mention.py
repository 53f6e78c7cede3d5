"""Mentioning people: names for what somebody begins to type. What texts mention is chat/store/mentions.py."""

from __future__ import annotations

from collections.abc import Sequence

from chat import limits
from chat.context import Context
from chat.model.lookalikes import skeleton
from chat.model.members import Member
from chat.model.mentions import begun
from chat.model.messages import CONTROLS
from chat.store import NotFound
from chat.store.members import seated, seats_numbered
from chat.store.mentions import beginning_with

OFFERED = 100  # people at once where no name was typed


async def suggest(chat: Context, member: Member, text: str) -> Sequence[Member] | None:
    """Who may be meant at the end of a text; None if that is asked too often."""
    name = begun(text)
    if name is None or CONTROLS.search(name):
        return ()
    if chat.own_limits.take(limits.NAMES, member.person):
        return None
    return await chat.store.read(beginning_with, member, name)


async def mentionable(chat: Context, member: Member) -> tuple[Sequence[Member], int]:
    """The first people whom a member may mention, by name, and how many more there are."""
    held = await chat.store.read(seated, member.code, OFFERED + 1)
    found = [one for one in held.members if one.number != member.number][:OFFERED]
    return found, max(held.total - 1 - len(found), 0)


async def complete(chat: Context, member: Member, text: str, seat: int) -> str:
    """The text with the name of that seat: in place of its beginning, or at the end. Raises NotFound."""
    known = await chat.store.read(seats_numbered, member.code, [seat])
    if seat not in known or seat == member.number:
        raise NotFound("There is no such seat of somebody else.")
    name, label = begun(text), known[seat].label
    if name is not None and skeleton(label).folded.startswith(skeleton(name).folded):
        return f"{text.removesuffix(name)}{label} "
    return f"{begin(text)}{label} "


def begin(text: str) -> str:
    """The text with the beginning of a name at its end."""
    between = " " if text and not text[-1].isspace() else ""
    return f"{text}{between}@"
