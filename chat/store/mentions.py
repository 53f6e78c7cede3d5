"""Whom a text mentions: names are looked up once, when it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chat.model.errors import RateLimited, Refused
from chat.model.lookalikes import skeleton
from chat.model.marks import label, unlabelled
from chat.model.members import Member
from chat.model.mentions import (
    ALL,
    ASK,
    CERTAINLY_ALL,
    CROWD,
    EVERYBODY,
    TOO_SOON,
    Named,
    possible,
    same,
)
from chat.model.messages import Message
from chat.model.sentences import Sentence
from chat.store import queries
from chat.store.log import head_of
from chat.store.records import load_member
from chat.store.rooms import find_room, set_meta
from chat.store.transaction import Transaction

SHOWN = 6  # people at once while a name is typed
ALIKE = 50  # seats of one name that are looked at
APART = 60 * 1000  # ms between two calls of more than a few
TOLD = 100  # seats that one message may mention in all, however often it is changed
People = Mapping[str, Sequence[tuple[int, int, str]]]  # by `same` name: mark, number, label


async def mentioned(
    tx: Transaction, member: Member, spoken: Sequence[str], before: Message | None = None
) -> dict[str, Any]:
    """What the meta of a text says of whom it names, `spoken` being what stands behind each "@".

    `before` is the message whose text it is to be from now on. Raises Refused for a call of too many.
    """
    room = (await head_of(tx, member.code)).room if spoken else 0
    places = possible(spoken)
    people = await _people(tx, room, places) if places else {}
    found = [one for names in places if (one := _first(names, people))]
    named = dict(found)
    own = {member.number, before.author if before else None}
    seats = sorted({who.seat for who in named.values()}.difference(own))
    told = sorted({*before.told, *before.mentions}) if before else []
    if EVERYBODY in seats and EVERYBODY not in told:
        await _call(tx, member, room, is_certain=CERTAINLY_ALL in map(same, named))
    if len(told) >= TOLD:
        told = sorted({*told[:TOLD], *seats})
    return {"mentions": seats or None, "named": named or None, "told": told or None}


async def beginning_with(tx: Transaction, member: Member, name: str) -> list[Member]:
    """Some others who hold a seat, and whose names begin so, in any case."""
    begin = skeleton(name).folded
    rows = await tx.fetch(tx.dialect.held_like, member.code, begin, f"{begin}\U0010ffff", SHOWN + 1)
    return [one for one in map(load_member, rows) if one.number != member.number][:SHOWN]


async def _people(tx: Transaction, room: int, places: Sequence[Sequence[str]]) -> People:
    """Who may be meant, of those who hold a seat. Where several have a name, the first mark is first."""
    folded = {skeleton(unlabelled(name)[0]).folded for names in places for name in names}
    people: dict[str, list[tuple[int, int, str]]] = {}
    for number, name, mark in await tx.fetch(tx.dialect.held_names, room, list(folded), ALIKE):
        people.setdefault(same(name), []).append((mark, number, label(name, mark)))
    return {name: sorted(them) for name, them in people.items()}


def _first(names: Sequence[str], people: People) -> tuple[str, Named] | None:
    """The longest name that is somebody's, and who that is; without a number it is the first of them."""
    for typed in names:
        if same(typed) in (ALL, CERTAINLY_ALL):
            return typed, Named(EVERYBODY, ALL)
        name, marked = unlabelled(typed)
        for mark, number, shown in people.get(same(name), ()):
            if name == typed or mark == marked:
                return typed, Named(number, shown)
    return None


async def _call(tx: Transaction, member: Member, number: int, is_certain: bool) -> None:
    """When many were called is kept with the room: the text that did may be changed or deleted at once."""
    ((people,),) = await tx.fetch(queries.COUNT_HELD, number, CROWD + 1)
    if people <= CROWD:
        return
    if not is_certain:
        raise Refused(Sentence(ASK, n=CROWD), "body")
    room = await find_room(tx, member.code)
    called = room.meta.get("called") if room else None
    if type(called) is int and abs(tx.now - called) < APART:  # the clock may have been set back
        raise RateLimited(TOO_SOON, APART / 1000, "body")
    if room:
        await set_meta(tx, room, called=tx.now)
