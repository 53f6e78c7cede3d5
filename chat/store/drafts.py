"""Drafts, by seat and page: kept beside the log, of which they are no change.

They are written without the lock of the room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chat.model.drafts import Note, SavedDraft, became
from chat.model.members import Seat
from chat.model.messages import Message
from chat.store import queries
from chat.store.draft_places import Kept, drop, erase, erase_all, kept_of, load, place, width_of, write
from chat.store.records import decode_text, is_storable, message_of
from chat.store.transaction import Transaction

KEPT = 10  # of one seat; then the oldest goes
AGE = 30 * 24 * 3600 * 1000  # ms that one is kept
EXPIRED = 500  # that are removed at a time


class Begun(NamedTuple):
    """The drafts of a seat, the newest first."""

    drafts: Sequence[SavedDraft]
    sent: Sequence[SavedDraft] = ()  # since, and yet to be dropped: the node that knows of it may have ended


async def drafts_of(tx: Transaction, code: str, seat: int) -> Begun:
    rows = await tx.fetch(queries.HEAD, code)
    drafts = [one.draft for one in await kept_of(tx, rows[0][0], seat)] if rows else []
    if all(one.edited for one in drafts):
        return Begun(drafts)
    said = await _said_lately(tx, rows[0][0], seat)
    sent = [one for one in drafts if not one.edited and _is_one_of(said, one)]
    return Begun([one for one in drafts if one not in sent], sent)


def _is_one_of(said: Sequence[tuple[int, str]], draft: SavedDraft) -> bool:
    return any(at >= draft.version and became(draft.body, body) for at, body in said)


async def _said_lately(tx: Transaction, room: int, seat: int) -> list[tuple[int, str]]:
    rows = await tx.fetch(queries.OWN_LATELY, room, seat, queries.LATELY)
    return [(at, decode_text(body) or "") for at, body in rows]


async def save(tx: Transaction, notes: Sequence[Note]) -> Mapping[Seat, int]:
    """Keep what is being written, and drop what was sent. What cannot be kept is passed over.

    Returns the seats whose other pages may show something else now, and how many new texts each has begun.
    All that may change meanwhile is locked before the first draft is touched, in one order: two nodes that
    save for a seat do so one after the other, and neither they nor who deletes a message wait for ever.
    """
    checked = [await _checked(tx, note) for note in sorted(notes, key=_turn)]
    changed = {}
    for room, note in filter(None, checked):
        if await _keep(tx, room, note) and not note.edited:
            changed[note.code, note.seat] = await _number(tx, room, note.seat)
    return changed


async def _number(tx: Transaction, room: int, seat: int) -> int:
    ((number,),) = await tx.fetch(queries.NEW_TEXTS, room, seat)
    return int(number)


def _turn(note: Note) -> tuple[str, int, bool]:
    """What was sent goes before what its page has begun since."""
    return note.code, note.seat, note.kind != "sent"


async def _checked(tx: Transaction, note: Note) -> tuple[int, Note] | None:
    """The room of a note, which is about what is still there."""
    room = await _lock(tx, note.code, note.seat)
    if room is None:
        return None
    if note.kind == "sent" or not note.body:
        return room, note
    about = await _text(tx, room, note.edited or note.reply)
    if note.edited:
        return (room, note) if about and about.text_rev == note.text_rev else None
    return room, note if about else note._replace(reply=0)


async def _lock(tx: Transaction, code: str, seat: int) -> int | None:
    """The room of a seat, if it is held: until the commit no other node saves drafts of it."""
    rows = await tx.fetch(queries.ROOM_OF_SEAT + tx.dialect.alone, code, seat)
    return rows[0][0] if rows else None


async def _text(tx: Transaction, room: int, id: int) -> Message | None:
    """The message that a draft is about, if it is there."""
    if not id or not is_storable(id) or not await tx.fetch(queries.HAS_MESSAGE + tx.dialect.share, room, id):
        return None
    (row,) = await tx.fetch(queries.MESSAGE, room, id)
    message = message_of(row)
    return message if message.is_text else None


async def _keep(tx: Transaction, room: int, note: Note) -> bool:
    """Whether there is one more or less, or another than its own has a new text beside it."""
    kept = await kept_of(tx, room, note.seat, tx.dialect.alone)
    alike = [one for one in kept if one.draft.edited == note.edited]
    own = _own(alike, note)
    if note.kind == "sent":
        gone = [one for one in alike if one is own or became(one.draft.body, note.body)]
        for one in gone:
            await drop(tx, one)
        return bool(gone)
    if not note.body:
        if own:
            await erase(tx, own.serial)
        return own is not None
    if own or note.kind == "typed" or await _is_new(tx, room, note, alike):
        return await _put(tx, room, note, own, kept) and (own is None or len(alike) > 1)
    return False


def _own(alike: Sequence[Kept], note: Note) -> Kept | None:
    """The draft of this page, or the one that it began with and nobody has changed since."""
    mine = (one for one in alike if one.draft.page == note.page)
    return next(mine, None) or next((one for one in alike if one.version == note.base), None)


async def _is_new(tx: Transaction, room: int, note: Note, alike: Sequence[Kept]) -> bool:
    """Whether it is neither what was sent or gone on with elsewhere, nor what its page only began with.

    An edit that is too late is of an older text: `_checked`.
    """
    if note.edited:
        message = await _text(tx, room, note.edited)
        return message is not None and message.body != note.body
    if note.base and note.kind == "held":
        return False
    said = [body for _, body in await _said_lately(tx, room, note.seat)]
    return not any(became(note.body, body) for body in (*said, *(one.draft.body for one in alike)))


async def _put(tx: Transaction, room: int, note: Note, own: Kept | None, kept: Sequence[Kept]) -> bool:
    draft = SavedDraft(0, note.body, note.reply, note.edited, note.text_rev)
    if own and own.draft._replace(version=0, page="") == draft:
        return False
    width = width_of(note.body)
    if own and own.width != width:
        await drop(tx, own)
    serial = own.serial if own and own.width == width else await place(tx, width)
    version = max([tx.now, *(one.version + 1 for one in kept)])
    await write(tx, serial, width, room, note.seat, draft._replace(version=version, page=note.page))
    for one in [one for one in kept if one is not own][KEPT - 1 :]:
        await erase(tx, one.serial)
    return True


async def choose(tx: Transaction, code: str, seat: int, version: int, use: bool) -> Mapping[Seat, int]:
    """Make one the newest, or remove it, if it is still as it was seen. Returns what `save` does."""
    room = await _lock(tx, code, seat)
    if room is None:
        return {}
    kept = await kept_of(tx, room, seat, tx.dialect.alone)
    for one in [one for one in kept if one.version == version]:
        if use:
            await tx.fetch(queries.RAISE_DRAFT, max(tx.now, kept[0].version + 1), one.serial)
        else:
            await erase(tx, one.serial)
        return {(code, seat): await _number(tx, room, seat)}
    return {}


async def carry_over(tx: Transaction, room: int, old: int, new: int) -> None:
    """Somebody has another seat, and goes on writing."""
    await tx.fetch(queries.CARRY_DRAFTS, room, old, new)


async def forget_seat(tx: Transaction, room: int, seat: int) -> None:
    await _forget(tx, queries.DRAFTS_OF_SEAT, room, seat)


async def forget_message(tx: Transaction, room: int, seat: int, old: Message) -> None:
    """Its text is deleted by a seat: so is what was to replace it or to answer it, and what it was before."""
    for one in load(await tx.fetch(queries.DRAFTS_ABOUT + tx.dialect.alone, room, old.id, seat)):
        draft = one.draft
        is_about = old.id in (draft.edited, draft.reply)
        if is_about or (not draft.edited and became(draft.body, old.body or "")):
            await erase(tx, one.serial)


async def forget_edits(tx: Transaction, room: int, seat: int, id: int) -> None:
    """Somebody has given a message another text."""
    await _forget(tx, queries.DRAFTS_OF_EDIT, room, seat, id)


async def forget_room(tx: Transaction, room: int, limit: int) -> int:
    """At most so many. Returns how many."""
    return await _forget(tx, queries.DRAFTS_OF_ROOM, room, limit)


async def expire(tx: Transaction) -> int:
    """Remove some that are too old. Returns how many."""
    return await erase_all(tx, await tx.fetch(tx.dialect.old_drafts, tx.now - AGE, EXPIRED))


async def _forget(tx: Transaction, sql: str, *values: int) -> int:
    """Those whose places the question answers. Returns how many."""
    return await erase_all(tx, await tx.fetch(sql + tx.dialect.alone, *values))
