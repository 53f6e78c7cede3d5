"""Seats: taken, left, renamed, marked as present or away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from chat.model.changes import Change
from chat.model.errors import Forbidden, Refused
from chat.model.lookalikes import skeleton
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.notices import Notice, Verb, folded, renamed
from chat.model.rooms import Room
from chat.model.sentences import Sentence
from chat.store import NotFound, drafts, ignored, queries, read_positions
from chat.store.log import add_notice, head_of, missing, write_notice
from chat.store.records import is_storable, load_member
from chat.store.rooms import IN_USE, find_room
from chat.store.transaction import Transaction

NAMES = 64  # of one person in one room: each is a seat that is never given to anybody else
TOO_MANY_NAMES = "You have had %(n)s names in this room. Please use one of them again."


class HeldRoom(NamedTuple):
    """A room in which somebody holds a seat."""

    id: int
    rev: int
    indexed: int  # segments


class Left(NamedTuple):
    """A room that somebody left, and the name that they had there last."""

    room: Room
    name: str


class Held(NamedTuple):
    """The first few people of a room, and how many it has."""

    members: Sequence[Member]
    total: int


async def take_seat(tx: Transaction, code: str, person: str, name: str) -> Member:
    """The person's seat; the one they hold already, if any, whatever name is asked for.

    A seat that this person left is taken up again if its name is the same. Raises NotFound, and Refused
    for one name too many.
    """
    room = (await head_of(tx, code)).room
    if held := await find_seat(tx, code, person):
        return held
    member = await _seat_named(tx, room, code, person, name)
    await read_positions.start(tx, room, member.number)
    return member


async def _seat_named(tx: Transaction, room: int, code: str, person: str, name: str) -> Member:
    """The seat that this person had under this name, or a new one."""
    rows = await tx.fetch(queries.FORMER_SEAT, room, person, name)
    number, mark, meta = rows[0] if rows else await _new_seat(tx, room, person, name)
    await ignored.carry_over(tx, room, person, number)
    await tx.fetch(queries.PROLONG, tx.now + IN_USE, room)
    return load_member((code, number, person, name, mark, meta))


async def _new_seat(tx: Transaction, room: int, person: str, name: str) -> Sequence[int]:
    await _check_names(tx, room, person)
    ((mark,),) = await tx.fetch(queries.MARK, room, person, *skeleton(name))
    (row,) = await tx.fetch(queries.NEW_SEAT, room, person, name, mark, *skeleton(name), tx.now)
    return row


async def _check_names(tx: Transaction, room: int, person: str) -> None:
    ((names,),) = await tx.fetch(queries.NAMES_OF, room, person)
    if names >= NAMES:
        raise Refused(Sentence(TOO_MANY_NAMES, n=NAMES), "name")


async def find_seat(tx: Transaction, code: str, person: str) -> Member | None:
    """The seat the person holds now."""
    rows = await tx.fetch(queries.HELD_SEAT, code, person)
    return load_member(rows[0]) if rows else None


async def seated(tx: Transaction, code: str, limit: int) -> Held:
    """Those who hold a seat, by name, whether they were ever here or not."""
    rows = await tx.fetch(queries.SEATED, code, limit)
    ((total,),) = await tx.fetch(queries.COUNT_SEATED, code)
    return Held([load_member(row) for row in rows], total)


async def left_room(tx: Transaction, code: str, person: str) -> Left | None:
    """The room, and the name that the person had there last; None if they are in it, or never were."""
    if await find_seat(tx, code, person):
        return None
    rows = await tx.fetch(queries.LAST_NAME, code, person)
    room = await find_room(tx, code) if rows else None
    return Left(room, rows[0][0]) if room else None


async def held_room(tx: Transaction, member: Member) -> int:
    """The id of the room in which somebody holds a seat. Raises NotFound, or Forbidden if they have left."""
    return (await room_held(tx, member)).id


async def room_held(tx: Transaction, member: Member) -> HeldRoom:
    """Raises NotFound, or Forbidden if they have left."""
    rows = await tx.fetch(queries.HELD_ROOM, member.code, member.number, member.person)
    if not rows:
        raise missing(member.code)
    *held, seat = rows[0]
    if seat is None:
        raise Forbidden("You are not in this room any more.")
    return HeldRoom(*held)


async def own_room(tx: Transaction, member: Member) -> Room:
    """The room in which somebody holds a seat. Raises as `held_room`."""
    await held_room(tx, member)
    room = await find_room(tx, member.code)
    if room is None:
        raise missing(member.code)
    return room


async def seats_numbered(tx: Transaction, code: str, numbers: Sequence[int]) -> dict[int, Member]:
    """Each of these seats that there is, held or not, by its number."""
    known = [number for number in numbers if is_storable(number)]
    found = map(load_member, await tx.fetch(tx.dialect.numbered_seats, code, known))
    return {member.number: member for member in found}


async def seats_of(tx: Transaction, code: str, person: str) -> list[int]:
    """Numbers of every seat the person ever held in the room: whose messages are theirs."""
    rows = await tx.fetch(queries.SEATS_OF, code, person)
    return [number for (number,) in rows]


async def present(tx: Transaction, code: str | None = None) -> list[Member]:
    """Everybody marked as present, in one room or in all: whom a restart has to account for."""
    rows = await tx.fetch(queries.PRESENT, code)
    return [load_member(row) for row in rows]


async def members_of(tx: Transaction, code: str, limit: int) -> Held:
    """Those of whom the room was told that they are in it, be they here or away, by name."""
    rows = await tx.fetch(queries.MEMBERS_OF, code, limit)
    ((total,),) = await tx.fetch(queries.COUNT_MEMBERS, code)
    return Held([load_member(row) for row in rows], total)


async def rooms_of(tx: Transaction, person: str, limit: int) -> list[str]:
    """Codes of at most `limit` rooms in which the person has a seat, be it one that ended."""
    rows = await tx.fetch(queries.ROOMS_OF, person, limit)
    return [code for (code,) in rows]


async def end_seat(tx: Transaction, code: str, person: str, successor: str | None = None) -> Change | None:
    """End the person's stay and tell the room; None if they hold no seat.

    Every seat that the person ever had in the room passes to `successor`, if one is named: with an id
    that nobody has, the person is a stranger there from now on.
    """
    member = await find_seat(tx, code, person)
    if member is None and successor is None:
        return None
    room = (await head_of(tx, code)).room
    done = None
    if member is not None:
        await tx.fetch(queries.END_SEAT, tx.now, room, member.number)
        await drafts.forget_seat(tx, room, member.number)
        done = await _notify(tx, code, {"left": [member]}, ended=True)
    if successor is not None:
        await tx.fetch(queries.HAND_OVER_SEATS, successor, room, person)
    return done


async def rename_seat(tx: Transaction, code: str, person: str, name: str) -> Change | None:
    """End the person's seat, take one of another name and tell the room.

    What they wrote keeps its name. None if that is their name already. Raises NotFound, Refused.
    """
    old = await find_seat(tx, code, person)
    if old is None:
        raise NotFound("This person holds no seat in the room.")
    if old.name == name:
        return None
    room = (await head_of(tx, code)).room
    if not await tx.fetch(queries.HAS_NAME, room, person, name):
        await _check_names(tx, room, person)  # before anything is written: what is refused is not taken back
    ((present,),) = await tx.fetch(queries.IS_PRESENT, room, old.number)
    await tx.fetch(queries.END_SEAT, tx.now, room, old.number)
    new = await _seat_named(tx, room, code, person, name)
    await read_positions.carry_over(tx, room, old.number, new.number)
    await drafts.carry_over(tx, room, old.number, new.number)
    await tx.fetch(tx.dialect.mark_seats, present, room, [new.number])
    return await add_notice(tx, code, renamed(old, new))


FIRST: Mapping[int, Verb] = {0: "arrived", 2: "returned"}  # by what the room was told of them


async def announce(
    tx: Transaction, code: str, verb: Literal["entered", "away"], seats: Iterable[int]
) -> Change | None:
    """Mark seats as present or away, and tell the room of those of whom it wants to know.

    These are people who are here for the first time, or again after leaving for good; others only if
    it is set so.
    Seats already so marked, and ended ones, are passed over. None if the log is as before.
    """
    present = int(verb == "entered")
    numbers = [n for n in dict.fromkeys(seats) if is_storable(n)]
    rows = await tx.fetch(tx.dialect.asked_seats, code, 1 - present, numbers)
    if not rows:
        return None
    room, known = (await head_of(tx, code)).room, await find_room(tx, code)
    await tx.fetch(tx.dialect.mark_seats, present, room, [number for _, number, *_ in rows])
    everything = known is not None and known.tells_comings
    done: dict[Verb, list[Member]] = {}
    for *row, announced in rows:
        what = FIRST.get(announced, "entered") if present else "away"
        if everything or what in FIRST.values():
            done.setdefault(what, []).append(load_member(row))
    return await _notify(tx, code, done)


async def _notify(
    tx: Transaction, code: str, done: Mapping[Verb, Sequence[Member]], ended: bool = False
) -> Change | None:
    def after(last: Message | None, at: int) -> tuple[Notice, bool]:
        (verb, members), *more = done.items()
        notice, replaces = folded(last, verb, members, at, ended)
        for verb, members in more:
            notice = notice.plus(verb, members, ended)
        return notice, replaces

    return await write_notice(tx, code, after) if done else None
