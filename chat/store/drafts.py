"""Drafts, by seat and page: kept beside the log, of which they are no change.

Their texts are in places of a few widths, which are emptied and used again but never removed or resized, for
what 001.sql of SQLite says of texts. They are written without the lock of the room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.model.drafts import Note, SavedDraft
from chat.model.messages import Message
from chat.store import queries
from chat.store.records import decode_text, is_storable, message_of
from chat.store.transaction import Rows, Transaction

WIDTHS = 128, 512, 2048, 8192  # bytes, the last those of the longest text
KEPT = 10  # of one seat; then the oldest goes
AGE = 30 * 24 * 3600 * 1000  # ms that one is kept
EXPIRED = 500  # that are removed at a time


class _Kept(NamedTuple):
    serial: int
    width: int
    page: str
    draft: SavedDraft

    @property
    def version(self) -> int:
        return self.draft.version


async def drafts_of(tx: Transaction, code: str, seat: int) -> list[SavedDraft]:
    """Those of a seat, the newest first, but for what was sent: the node that knows of it may have ended."""
    rows = await tx.fetch(queries.HEAD, code)
    kept = await _kept(tx, rows[0][0], seat) if rows else []
    if not any(not one.draft.edited for one in kept):
        return [one.draft for one in kept]
    sent = [(at, Note(code, seat, "", body)) for at, body in await _said_lately(tx, rows[0][0], seat)]
    return [one.draft for one in kept if one.draft.edited or not _is_one_of(sent, one.draft)]


def _is_one_of(sent: Sequence[tuple[int, Note]], draft: SavedDraft) -> bool:
    return any(at >= draft.version and note.sends(draft.body) for at, note in sent)


async def _said_lately(tx: Transaction, room: int, seat: int) -> list[tuple[int, str]]:
    rows = await tx.fetch(queries.OWN_LATELY, room, seat, queries.LATELY)
    return [(at, decode_text(body) or "") for at, body in rows]


async def save(tx: Transaction, notes: Sequence[Note]) -> None:
    """Keep what is being written, and drop what was sent. What cannot be kept is passed over.

    All that may change meanwhile is locked before the first draft is touched, in one order: two nodes never
    wait for one another, and neither does somebody who deletes a message.
    """
    checked = [await _checked(tx, note) for note in sorted(notes, key=_turn)]
    for room, note in filter(None, checked):
        await _keep(tx, room, note)


def _turn(note: Note) -> tuple[str, int, bool]:
    """What was sent goes before what its page has begun since."""
    return note.code, note.seat, note.kind != "sent"


async def _checked(tx: Transaction, note: Note) -> tuple[int, Note] | None:
    """The room of a note, which is about what is still there."""
    rows = await tx.fetch(queries.HEAD, note.code)
    if not rows:
        return None
    room = rows[0][0]
    if note.kind == "sent" or not note.body:
        return room, note
    if not await tx.fetch(queries.HAS_SEAT + tx.dialect.share, room, note.seat):
        return None
    about = await _text(tx, room, note.edited or note.reply)
    if note.edited:
        return (room, note) if about and about.text_rev == note.text_rev else None
    return room, note if about else note._replace(reply=0)


async def _text(tx: Transaction, room: int, id: int) -> Message | None:
    """The message that a draft is about, if it is there."""
    if not id or not is_storable(id) or not await tx.fetch(queries.HAS_MESSAGE + tx.dialect.share, room, id):
        return None
    (row,) = await tx.fetch(queries.MESSAGE, room, id)
    message = message_of(row)
    return message if message.is_text else None


async def _keep(tx: Transaction, room: int, note: Note) -> None:
    kept = await _kept(tx, room, note.seat)
    alike = [one for one in kept if one.draft.edited == note.edited]
    own = _own(alike, note)
    if note.kind == "sent":
        for one in alike:
            if one is own or note.sends(one.draft.body):
                await _drop(tx, one)
    elif not note.body:
        if own:
            await _erase(tx, own.serial)
    elif own or note.kind == "typed" or not (note.base or await _was_sent(tx, room, note)):
        await _put(tx, room, note, own, kept)


def _own(alike: Sequence[_Kept], note: Note) -> _Kept | None:
    """The draft of this page, or the one that it began with and nobody has changed since."""
    mine = (one for one in alike if one.page == note.page)
    return next(mine, None) or next((one for one in alike if one.version == note.base), None)


async def _was_sent(tx: Transaction, room: int, note: Note) -> bool:
    """Whether a page that comes back may hold what was sent from another one meanwhile."""
    lately = await _said_lately(tx, room, note.seat)
    return any(note._replace(body=body).sends(note.body) for _, body in lately)


async def _put(tx: Transaction, room: int, note: Note, own: _Kept | None, kept: Sequence[_Kept]) -> None:
    draft = SavedDraft(0, note.body, note.reply, note.edited, note.text_rev)
    if own and own.draft._replace(version=0) == draft:
        return
    data = note.body.encode()
    width = next(width for width in WIDTHS if width >= len(data))
    if own and own.width != width:
        await _drop(tx, own)
    serial = own.serial if own and own.width == width else await _place(tx, width)
    version = max([tx.now, *(one.version + 1 for one in kept)])
    await tx.fetch(queries.SET_DRAFT_TEXT, data.ljust(width, b"\0"), serial)
    about = note.page, note.edited, note.reply, note.text_rev
    await tx.fetch(queries.SET_DRAFT, room, note.seat, *about, version, len(data), serial)
    for one in [one for one in kept if one is not own][KEPT - 1 :]:
        await _erase(tx, one.serial)


async def _place(tx: Transaction, width: int) -> int:
    """One that is free, or a new one."""
    if rows := await tx.fetch(tx.dialect.free_place, width):
        return int(rows[0][0])
    ((serial,),) = await tx.fetch(queries.NEW_DRAFT_TEXT, bytes(width))
    await tx.fetch(queries.NEW_DRAFT, serial, width)
    return int(serial)


async def _kept(tx: Transaction, room: int, seat: int) -> list[_Kept]:
    """The newest first."""
    return [
        _Kept(serial, width, page, SavedDraft(version, bytes(text[:size]).decode(), *about))
        for serial, width, page, version, size, text, *about in await tx.fetch(queries.DRAFTS, room, seat)
    ]


async def _drop(tx: Transaction, one: _Kept) -> None:
    """It is no secret: it was sent, or goes elsewhere."""
    await tx.fetch(queries.SET_DRAFT_TEXT, bytes(one.width), one.serial)
    await tx.fetch(queries.FREE_DRAFT, one.serial)


async def _erase(tx: Transaction, serial: int) -> None:
    """In every byte."""
    await tx.fetch(tx.dialect.erase_draft, serial)
    await tx.fetch(queries.FREE_DRAFT, serial)


async def _erase_all(tx: Transaction, rows: Rows) -> int:
    for (serial,) in rows:
        await _erase(tx, serial)
    return len(rows)


async def choose(tx: Transaction, code: str, seat: int, version: int, use: bool) -> None:
    """Make one the newest, or remove it, if it is still as it was seen."""
    rows = await tx.fetch(queries.HEAD, code)
    kept = await _kept(tx, rows[0][0], seat) if rows else []
    for one in kept:
        if one.version == version and use:
            await tx.fetch(queries.RAISE_DRAFT, max(tx.now, kept[0].version + 1), one.serial)
        elif one.version == version:
            await _erase(tx, one.serial)


async def carry_over(tx: Transaction, room: int, old: int, new: int) -> None:
    """Somebody has another seat, and goes on writing."""
    await tx.fetch(queries.CARRY_DRAFTS, room, old, new)


async def forget_seat(tx: Transaction, room: int, seat: int) -> None:
    await _erase_all(tx, await tx.fetch(queries.DRAFTS_OF_SEAT, room, seat))


async def forget_message(tx: Transaction, room: int, id: int) -> None:
    """Its text was deleted: so is what was to replace it, or to answer it."""
    await _erase_all(tx, await tx.fetch(queries.DRAFTS_ABOUT, room, id))


async def forget_edits(tx: Transaction, room: int, seat: int, id: int) -> None:
    """Somebody has given a message another text."""
    await _erase_all(tx, await tx.fetch(queries.DRAFTS_OF_EDIT, room, seat, id))


async def forget_room(tx: Transaction, room: int, limit: int) -> int:
    """At most so many. Returns how many."""
    return await _erase_all(tx, await tx.fetch(queries.DRAFTS_OF_ROOM, room, limit))


async def expire(tx: Transaction) -> int:
    """Remove some that are too old. Returns how many."""
    return await _erase_all(tx, await tx.fetch(queries.OLD_DRAFTS, tx.now - AGE, EXPIRED))
