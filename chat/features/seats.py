"""Coming into a room, taking another name, and leaving."""

from __future__ import annotations

from dataclasses import replace

from chat import limits, logs
from chat.context import Context
from chat.features.action import NOT_A_MEMBER, Action, Answer, Asked, Fields
from chat.live.connection import POLICY, Close
from chat.model.changes import Change
from chat.model.codes import Codes
from chat.model.errors import Forbidden, Refused
from chat.model.members import Member, clean_name
from chat.model.meta import NO_META
from chat.model.rooms import Room, clean_title
from chat.model.sentences import Sentence
from chat.store import AlreadyExists, NotFound, Store, members, quota, rooms

NO_ROOM = Sentence("Room does not exist.", after=("Is a letter missing?",))


async def open_room(store: Store, codes: Codes, person: str, name: str, title: str = "") -> Member:
    """A new room with its first member. Raises Refused."""
    name, title = clean_name(name), clean_title(title)
    meta = {"title": title} if title else NO_META
    while True:
        try:
            code = codes.new()
            await store.write(code, rooms.open_room, code, meta)
        except AlreadyExists:
            continue
        return await store.write(code, members.take_seat, code, person, name)


async def join_room(store: Store, code: str, person: str, name: str) -> Member:
    """The person's seat in an existing room. Raises Refused."""
    try:
        return await store.write(code, members.take_seat, code, person, clean_name(name))
    except NotFound:
        raise Refused(NO_ROOM, "code") from None


async def rename(chat: Context, member: Member, name: str) -> None:
    """Give the person another seat in the room, under another name; what they wrote keeps the old one.

    Raises Refused, NotFound.
    """
    code, person, name = member.code, member.person, clean_name(name)
    await chat.drafts.save_of(member)
    chat.reading.gather(chat.hub.connections.of(person))
    await chat.reading.save()  # the other seat begins where this one has read
    change = await chat.store.write(code, members.rename_seat, code, person, name)
    if change is None:
        return
    if notice := change.message.notice:  # another seat, if another tab has given them a name meanwhile
        (ended,) = notice.ended
        chat.presence.forget(replace(member, number=ended))
    renamed = await chat.store.read(members.find_seat, code, person)
    if renamed is None:
        raise NotFound("They left meanwhile.")
    chat.hub.connections.close(code, person, Close(POLICY, why_ended(renamed)))
    chat.presence.arrive(renamed)  # their page is about to open; if it does not, they are away
    chat.presence.depart(renamed)
    logs.event("seat-renamed", room=chat.codes.logged(code), seat=renamed.number)


async def run_rename(asked: Asked) -> Answer:
    try:
        await rename(asked.chat, asked.member, asked.fields.get("name", ""))
    except NotFound:
        raise Forbidden(NOT_A_MEMBER) from None
    return Answer("")


def why_ended(seat: Member | None, verb: str = "left") -> str:
    """What the open pages of a seat that ended are to say.

    `seat` is the one its person holds now, `verb` that of the notice. A newer release may write one that
    this one does not know: then it does not say that they left.
    """
    if seat:
        return Sentence("You are %(name)s in this room now.", name=seat.label)
    return "You left this room." if verb in ("left", "renamed") else "You are not in this room any more."


async def leave_room(store: Store, member: Member) -> Change | None:
    """End the person's stay and tell the room; what they wrote stays."""
    return await store.write(member.code, members.end_seat, member.code, member.person)


def _size(fields: Fields) -> int:
    return quota.MESSAGE


def _filled(room: Room, member: Member) -> Fields:
    return {"name": member.name}


NAME = Action("name", run_rename, limits.RENAMES, size=_size, form="name/form.html", filled=_filled)
