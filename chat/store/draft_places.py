"""Where drafts are kept: in places of a few widths, which are emptied and used again.

They are never removed or resized, for the reason that 001.sql of SQLite gives for texts.
"""

from __future__ import annotations

from typing import NamedTuple

from chat.model.drafts import SavedDraft
from chat.store import queries
from chat.store.transaction import Rows, Transaction

WIDTHS = 128, 512, 2048, 8192  # bytes, the last those of the longest text


class Kept(NamedTuple):
    serial: int
    width: int
    draft: SavedDraft

    @property
    def version(self) -> int:
        return self.draft.version


async def kept_of(tx: Transaction, room: int, seat: int, lock: str = "") -> list[Kept]:
    """The newest first. A place that is read without a lock may be somebody else's by the next moment."""
    return load(await tx.fetch(queries.DRAFTS + lock, room, seat))


def load(rows: Rows) -> list[Kept]:
    """As the questions with PLACES answer them."""
    return [
        Kept(serial, width, SavedDraft(version, bytes(text[:size]).decode(), *about))
        for serial, width, version, size, text, *about in rows
    ]


def width_of(body: str) -> int:
    return next(width for width in WIDTHS if width >= len(body.encode()))


async def write(tx: Transaction, serial: int, width: int, room: int, seat: int, draft: SavedDraft) -> None:
    data, about = draft.body.encode(), (draft.page, draft.edited, draft.reply, draft.text_rev)
    await tx.fetch(queries.SET_DRAFT_TEXT, data.ljust(width, b"\0"), serial)
    await tx.fetch(queries.SET_DRAFT, room, seat, *about, draft.version, len(data), serial)


async def place(tx: Transaction, width: int) -> int:
    """One that is free, or a new one."""
    rows = await tx.fetch(tx.dialect.free_place, width)
    return int(rows[0][0]) if rows else await new_place(tx, width)


async def new_place(tx: Transaction, width: int) -> int:
    ((serial,),) = await tx.fetch(queries.NEW_DRAFT_TEXT, bytes(width))
    await tx.fetch(queries.NEW_DRAFT, serial, width)
    return int(serial)


async def drop(tx: Transaction, one: Kept) -> None:
    """It is no secret: it was sent, or goes elsewhere."""
    await tx.fetch(queries.SET_DRAFT_TEXT, bytes(one.width), one.serial)
    await tx.fetch(queries.FREE_DRAFT, one.serial)


async def erase(tx: Transaction, serial: int) -> None:
    """In every byte."""
    await tx.fetch(tx.dialect.erase_draft, serial)
    await tx.fetch(queries.FREE_DRAFT, serial)


async def erase_all(tx: Transaction, rows: Rows) -> int:
    for (serial,) in rows:
        await erase(tx, serial)
    return len(rows)


async def restore(tx: Transaction, room: int, seat: int, draft: SavedDraft) -> None:
    """Put one into a copy of its store."""
    width = width_of(draft.body)
    await write(tx, await new_place(tx, width), width, room, seat, draft)
