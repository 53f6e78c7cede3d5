"""Drafts by ordinary forms: kept without JavaScript, and chosen where there are several."""

from __future__ import annotations

from dataclasses import replace

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat import limits
from chat.context import Context
from chat.features.action import NOT_STORED, TOO_OFTEN, failure_of
from chat.live.frames import Texts
from chat.model.drafts import Note, clean_draft
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member
from chat.model.quotes import read_reply
from chat.model.receipts import read_life
from chat.store import OutcomeUnknown, Unavailable
from chat.views.forms import Draft
from chat.web import fields
from chat.web.drafting import draft_bytes_wait, note_of
from chat.web.errors import error_page
from chat.web.posting import draft_of, draft_page, kept_page, left_page
from chat.web.requests import canonical_code, client_info, current_chat, current_look, find_member, pages

TOO_LONG = "This draft is too long to be kept. Shorten it, or send part of it."
CHOICES = "use", "drop"
NO_CHOICE = "Please choose one of the two."


@pages.post("/rooms/<code>/draft")
async def draft(code: str) -> ResponseReturnValue:
    """Keep what is in the field. With `choice`, then use or drop the version of what was begun elsewhere."""
    chat, form = current_chat(), await request.form
    try:
        member = await find_member(chat, code)
    except Unavailable:
        return draft_page(NOT_STORED, draft_of(form, canonical_code(code)))
    if member is None:
        return left_page((form.getlist("body") or [""])[-1:])
    choice, _, version = fields.text(form, "choice").partition("/")
    if choice:
        return await _choose(chat, member, choice, fields.number(version))
    if "HX-Request" in request.headers:
        _pace(chat, member)
        await _note(chat, member)
        return "", 204
    failed = await _keep(chat, member)
    return failed or redirect(f"/rooms/{member.code}?saved", 303)


async def _choose(chat: Context, member: Member, choice: str, version: int) -> ResponseReturnValue:
    """Nothing is chosen where what is in the field cannot be kept."""
    if choice not in CHOICES:
        return error_page(422, "Not done", NO_CHOICE), 422
    is_live, written = "HX-Request" in request.headers, await _written(member)
    try:
        _pace(chat, member)
        note = _checked(chat, member, written) if "body" in await request.form else None
        await chat.drafts.choose(member, version, choice == "use", note)
    except (Refused, Unavailable, OutcomeUnknown) as error:
        if not is_live:
            return await kept_page(chat, member, written, failure_of(error))
        return chat.render.alerts.notice(failure_of(error).text, current_look())
    return ("", 204, {"HX-Refresh": "true"}) if is_live else redirect(f"/rooms/{member.code}", 303)


def _pace(chat: Context, member: Member) -> None:
    """Raises RateLimited."""
    if wait := chat.own_limits.take(limits.DRAFTS, member.person):
        raise RateLimited(TOO_OFTEN, wait)


async def _note(chat: Context, member: Member) -> None:
    """What is in a field just now, on the page of a message."""
    form = await request.form
    texts = Texts(form.getlist("body")[-1:], [read_reply((form.getlist("reply") or [""])[-1])])
    frame = {"body": texts, "draft": form.get("draft")}
    frame |= {name: fields.text(form, name) for name in ("act", "version")}
    note = note_of(member, frame, _page_of(form))
    if note is None:
        return
    if note.body and (chat.quota.full or draft_bytes_wait(chat, member, client_info().address, note.body)):
        return
    chat.drafts.note(note._replace(kind="posted"))
    chat.drafts.hurry(*member.seat)


def _page_of(form: fields.Values) -> str:
    """The key of its life, or of its form."""
    return read_life(fields.text(form, "life"))[0] or read_life(f"{fields.text(form, 'key')}.0")[0]


async def _written(member: Member) -> Draft:
    """What is in the field of a room, as it comes back if it cannot be kept."""
    form = await request.form
    draft = draft_of(form, member.code)
    return replace(draft, key=_page_of(form) or draft.key)


def _checked(chat: Context, member: Member, written: Draft) -> Note:
    """The same to be kept, and counted. Raises Refused."""
    body = clean_draft(written.text)
    if body is None:
        raise Refused(TOO_LONG, "body")
    if body and (wait := draft_bytes_wait(chat, member, client_info().address, body)):
        raise RateLimited(TOO_OFTEN, wait)
    if body:  # an emptied field gives something back
        chat.quota.take(len(body.encode()), "body")
    return Note(member.code, member.number, written.key, body, max(written.reply(0), 0), base=written.version)


async def _keep(chat: Context, member: Member) -> ResponseReturnValue | None:
    """Not None if it could not be kept: then the text comes back."""
    written = await _written(member)
    try:
        _pace(chat, member)
        await chat.drafts.keep([_checked(chat, member, written)])
    except (Refused, Unavailable, OutcomeUnknown) as error:
        return await kept_page(chat, member, written, failure_of(error))
    return None
