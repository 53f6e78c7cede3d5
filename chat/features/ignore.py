"""To ignore a person: their messages are hidden from oneself, and nobody is told."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, is_on
from chat.model.digits import to_number
from chat.model.errors import Refused
from chat.model.members import IGNORED, SEAT_DIGITS, Member
from chat.model.sentences import Sentence
from chat.store import queries
from chat.store.ignored import keep
from chat.store.members import find_seat, held_room, seated, seats_numbered
from chat.store.transaction import Transaction

OFFERED = 100  # people to choose from, by name
BYTES = 8  # of disk that one may take
TOO_MANY = "You can ignore %(n)s names in a room. Stop ignoring somebody first."


async def run(asked: Asked) -> Answer:
    """As it shall be, so to ask twice is harmless."""
    on, seat = is_on(asked.fields), asked.fields.get("seat", "")
    number = to_number(seat, SEAT_DIGITS) or 0
    await asked.chat.store.write(asked.member.code, ignore, asked.member, number, on)
    asked.chat.ignoring.changed(asked.member)
    return Answer("")


async def ignore(tx: Transaction, member: Member, seat: int, on: bool) -> None:
    """Every name that somebody ever had in the room. Raises NotFound, Forbidden, Refused."""
    room = await held_room(tx, member)
    seats = [number for (number,) in await tx.fetch(queries.SEATS_LIKE, room, seat)]
    held = await find_seat(tx, member.code, member.person)
    if held is None or not seats:
        raise Refused("Please choose somebody of this room.", "seat")
    if held.number in seats:
        raise Refused("You cannot ignore yourself.", "seat")
    others = [number for number in held.ignored if number not in seats]
    if on and len(others) + len(seats) > IGNORED:
        raise Refused(Sentence(TOO_MANY, n=IGNORED), "seat")
    await keep(tx, room, held, [*others, *seats] if on else others)


async def choices(tx: Transaction, member: Member) -> list[tuple[Member, bool]]:
    """The first people of the room but oneself, and all who are ignored; and whether each is."""
    held = await find_seat(tx, member.code, member.person) or member
    found = await seats_numbered(tx, member.code, held.ignored)
    ignored = {found[seat].person: found[seat] for seat in held.ignored if seat in found}
    people = ignored | {one.person: one for one in (await seated(tx, member.code, OFFERED)).members}
    return [(one, one.person in ignored) for one in people.values() if one.person != member.person]


IGNORE = Action("ignore", run, limits.REACTIONS, size=lambda fields: BYTES)
