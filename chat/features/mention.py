"""Mentioning people: names for what somebody begins to type. What texts mention is chat/store/mentions.py."""

from __future__ import annotations

from collections.abc import Sequence

from chat import limits
from chat.context import Context
from chat.model.lookalikes import skeleton
from chat.model.members import Member
from chat.model.mentions import ALL, EVERYBODY, begun, same
from chat.model.messages import CONTROLS
from chat.store import NotFound
from chat.store.members import seated, seats_numbered
from chat.store.mentions import beginning_with

OFFERED = 100  # people at once where no name was typed


async def suggest(chat: Context, member: Member, text: str) -> Sequence[Member] | None:
    """Who may be meant at the end of a text, at last everybody; None if that is asked too often."""
    name = begun(text)
    if name is None or CONTROLS.search(name):
        return ()
    if chat.own_limits.take(limits.NAMES, member.person):
        return None
    found = await chat.store.read(beginning_with, member, name)
    return [*found, _everybody(member)] if name and ALL.startswith(same(name)) else found


async def mentionable(chat: Context, member: Member) -> tuple[Sequence[Member], int]:
    """The first people whom a member may mention, by name, then everybody, and how many more there are."""
    held = await chat.store.read(seated, member.code, OFFERED + 1)
    found = [one for one in held.members if one.number != member.number][:OFFERED]
    more = max(held.total - 1 - len(found), 0)
    return [*found, _everybody(member)] if found else [], more


def _everybody(member: Member) -> Member:
    """All in the room of a member, offered beside single people."""
    return Member(member.code, EVERYBODY, "", ALL, 1)


async def label_of(chat: Context, member: Member, seat: int) -> str:
    """The name of somebody else, as it is shown. Raises NotFound."""
    known = await chat.store.read(seats_numbered, member.code, [seat])
    if seat not in known or seat == member.number:
        raise NotFound("There is no such seat of somebody else.")
    return known[seat].label


def complete(text: str, label: str) -> str:
    """The text with this name: in place of its beginning, or at the end."""
    name = begun(text)
    if name is not None and skeleton(label).folded.startswith(skeleton(name).folded):
        return f"{text.removesuffix(name)}{label} "
    return f"{begin(text)}{label} "


def begin(text: str) -> str:
    """The text with the beginning of a name at its end."""
    between = " " if text and not text[-1].isspace() else ""
    return f"{text}{between}@"
