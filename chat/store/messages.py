"""One message of a log: found, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chat.model.changes import Change
from chat.model.errors import Forbidden
from chat.model.members import Member
from chat.model.messages import NOT_THEIRS, Message, Version
from chat.model.meta import with_meta
from chat.store import NoMessage, queries, versions
from chat.store.log import change_message, head_of
from chat.store.members import held_room
from chat.store.records import is_storable, message_of
from chat.store.transaction import Transaction

LOOKED_BACK = 1000  # revs before the newest in which the newest text of a member is looked for


async def text_message(tx: Transaction, member: Member, id: int) -> Message:
    """A text in a member's room that was not deleted. Raises NotFound, or Forbidden if they have left."""
    return await _text(tx, await held_room(tx, member), id)


async def own_text(tx: Transaction, member: Member, id: int) -> Message:
    """The same, of a text that they wrote, under whatever name; anybody else's raises Forbidden."""
    room = await held_room(tx, member)
    return await _own(tx, room, member, await _text(tx, room, id))


async def own_or_deleted(tx: Transaction, member: Member, id: int) -> Message:
    """The same, also of a text that they have deleted."""
    room = await held_room(tx, member)
    return await _own(tx, room, member, await _text_or_stub(tx, room, id))


async def _own(tx: Transaction, room: int, member: Member, message: Message) -> Message:
    if message.author != member.number:
        ((people, seats),) = await tx.fetch(queries.PEOPLE_OF, room, member.number, message.author)
        if (people, seats) != (1, 2):
            raise Forbidden(NOT_THEIRS)
    return message


async def _text(tx: Transaction, room: int, id: int) -> Message:
    message = await _text_or_stub(tx, room, id)
    if message.body is None:
        raise NoMessage(f"There is no text message {id} any more.")
    return message


async def _text_or_stub(tx: Transaction, room: int, id: int) -> Message:
    rows = await tx.fetch(queries.MESSAGE, room, id) if is_storable(id) else ()
    message = message_of(rows[0]) if rows else None
    if message is None or message.kind != "text":
        raise NoMessage(f"There is no text message {id}.")
    return message


async def replies_to(tx: Transaction, code: str, ids: Iterable[int], first: int, limit: int) -> list[Message]:
    """Messages from `first` on that answer one of these, `limit` at most. Raises NotFound."""
    room, found = (await head_of(tx, code)).room, list[Message]()
    for id in ids:
        if len(found) < limit:
            rows = await tx.fetch(queries.REPLIES, room, id, first, limit - len(found))
            found.extend(map(message_of, rows))
    return found


async def own_newest(tx: Transaction, member: Member) -> Message | None:
    """The newest of the member's texts, if it is among the newest of the room. Raises Forbidden."""
    room = await held_room(tx, member)
    rows = await tx.fetch(queries.OWN_NEWEST, room, member.person, LOOKED_BACK)
    return message_of(rows[0]) if rows else None


async def set_meta(tx: Transaction, code: str, message: Message, **values: Any) -> Change:
    """Keep what a feature has to say of a message, or forget what is None, and tell the room."""
    return await change_message(tx, code, message, meta=with_meta(message.meta, **values))


async def earlier_texts(tx: Transaction, code: str, id: int) -> list[Version]:
    """What a message of the room said before it was changed, the oldest first."""
    return await versions.earlier(tx, (await head_of(tx, code)).room, id)
