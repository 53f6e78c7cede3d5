"""Drafts: said by live pages while somebody types, and shown again where they go on."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from quart import after_this_request

from chat import limits
from chat.context import Context
from chat.features.edit import EDIT
from chat.features.reply import REPLY
from chat.live.connection import Connection
from chat.live.frames import Texts
from chat.model.drafts import Kind, Note, SavedDraft, clean_draft
from chat.model.errors import Forbidden
from chat.model.members import Member
from chat.model.quotes import Quoted
from chat.model.receipts import read_life
from chat.store import NotFound, Unavailable
from chat.store.messages import text_message
from chat.views.forms import Draft
from chat.web import fields
from chat.web.pacing import pace


async def take_draft(chat: Context, connection: Connection, frame: dict[str, Any], life: str) -> None:
    """What is written on a page that calls itself `life`; over the rate it waits like any frame."""
    if chat.own_limits.take(limits.DRAFTS, connection.member.person):
        await pace(chat, connection)
    note = note_of(connection.member, frame, life)
    if "again" in frame and not connection.offered:
        connection.offered = True
        if note is not None and not note.body:
            await offer_draft(chat, connection, note.base)
            return
    if note is None or (not note.body and connection.draft is None):
        return  # the page has none
    if note.body and (
        chat.quota.full or draft_bytes_wait(chat, connection.member, connection.address, note.body)
    ):
        return
    if not note.edited:
        connection.draft, connection.life = note.base, note.page
    chat.drafts.note(note)


def draft_bytes_wait(chat: Context, member: Member, address: str, body: str) -> float:
    """Seconds until so much may be written; if that is now, it counts."""
    person, place = (limits.DRAFT_BYTES, member.person), (limits.DRAFT_BYTES_OF_ADDRESS, address)
    return chat.own_limits.take_both(person, place, count=len(body.encode()))


def note_of(member: Member, frame: dict[str, Any], life: str) -> Note | None:
    """What a frame says, or a form; None if it has no one text that can be kept."""
    bodies, own = frame.get("body"), frame.get("life")
    page = (read_life(own)[0] if isinstance(own, str) else "") or life
    if not isinstance(bodies, Texts) or len(bodies) != 1 or not page:
        return None
    (text,) = bodies
    body = clean_draft(text)
    if body is None:
        return None
    edited, _, name = str(frame.get("act") or "").partition("/")
    if name == "edit":
        rev, id = fields.number(frame.get("version")), fields.number(edited)
        return Note(member.code, member.number, page, body, edited=id, text_rev=rev) if id else None
    kind: Kind = "held" if "again" in frame else "typed"
    base, reply = fields.number(frame.get("draft")), max(bodies.reply(0), 0)
    return Note(member.code, member.number, page, body, reply, base=base, kind=kind)


def begun_as(chat: Context, member: Member, key: str) -> Note | None:
    """What is due of a text that is taken just now under this key."""
    return chat.drafts.due(member.code, member.number, key.partition("+")[0])


def note_sent(chat: Context, connection: Connection, key: str, body: str, begun: Note | None) -> None:
    """A text of a page is stored: it is no draft any more."""
    if connection.draft is None:
        return
    member, page = connection.member, key.partition("+")[0]
    chat.drafts.note(Note(member.code, member.number, page, body, base=connection.draft, kind="sent"), begun)
    connection.draft = None


async def opened(chat: Context, member: Member) -> tuple[Draft | None, Sequence[SavedDraft]]:
    """What stands in the field of a member who opens the page, and what they have begun besides."""
    kept = [one for one in await chat.drafts.of(member) if not one.edited]
    if not kept:
        return None, ()
    newest = kept[0]
    quoted = await quoted_by(chat, member, newest.reply)
    key = secrets.token_urlsafe(9)
    return Draft(member.code, [newest.body], key, quoted=quoted, version=newest.version), kept[1:]


def show_once() -> None:
    """Back must not show a draft that was sent meanwhile: no cache keeps the page that is being made."""

    @after_this_request
    def forbid(response: Any) -> Any:
        response.headers["Cache-Control"] = "no-store"
        return response


def begun_on(kept: Sequence[SavedDraft], id: int) -> dict[str, SavedDraft]:
    """The newest drafts that are about a message, by the form that they stand in."""
    pairs = [(EDIT.form if one.edited else REPLY.form, one) for one in kept if id in (one.edited, one.reply)]
    return dict(reversed(pairs))


async def quoted_by(chat: Context, member: Member, reply: int) -> Quoted | None:
    """What a draft answers, if that is still there. Raises Unavailable."""
    try:
        return (await chat.store.read(text_message, member, reply)).as_quoted if reply else None
    except (NotFound, Forbidden):
        return None


def ask_for_draft(chat: Context, connection: Connection) -> None:
    """A page that comes back says what it holds: it may have been typed while nobody listened.

    Of one that Back shows again, WebKit empties the field after it has said so.
    """
    connection.draft = connection.draft or 0
    shown_again, connection.offered = connection.offered, False
    connection.answer("draft", chat.render.composer.ask_for_draft(connection.look, shown_again))


async def offer_draft(chat: Context, connection: Connection, version: int) -> None:
    """A page is shown with an empty field, and a draft of this version or 0: put a newer one into it.

    Its HTML may come out of a cache.
    """
    member = connection.member
    with suppress(Unavailable):
        kept = [one for one in await chat.drafts.of(member) if not one.edited]
        if kept and kept[0].version > version:
            quoted = await quoted_by(chat, member, kept[0].reply)
            filled = chat.render.composer.fill(member.code, kept[0], quoted, connection.look)
            connection.answer("draft", filled)
