"""Drafts by ordinary forms: kept without JavaScript, and chosen where there are several."""

from __future__ import annotations

import secrets

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat import limits
from chat.context import Context
from chat.features.action import TOO_OFTEN, failure_of
from chat.model.drafts import Note, clean_draft
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member
from chat.model.quotes import read_reply
from chat.store import NO_ROOM, OutcomeUnknown, Unavailable, drafts
from chat.views.forms import Draft
from chat.web import fields
from chat.web.drafting import draft_bytes_wait
from chat.web.errors import error_page
from chat.web.posting import kept_page, left_page
from chat.web.requests import client_info, current_chat, find_member, pages

TOO_LONG = "This draft is too long to be kept. Shorten it, or send part of it."
CHOICES = "use", "drop"
NO_CHOICE = "Please choose one of the two."


@pages.post("/rooms/<code>/draft")
async def draft(code: str) -> ResponseReturnValue:
    """Keep what is in the field, or with `choice`, use or drop what was kept of another device."""
    chat, form = current_chat(), await request.form
    member = await find_member(chat, code)
    if member is None:
        return left_page((form.getlist("body") or [""])[-1:])
    choice = fields.text(form, "choice")
    if not choice:
        failed = await _keep(chat, member)
        return failed or redirect(f"/rooms/{member.code}", 303)
    if choice not in CHOICES:
        return error_page(422, "Not done", NO_CHOICE), 422
    _pace(chat, member)
    await chat.drafts.save_of(member)
    asked = member.code, member.number, fields.number(form.get("version")), choice == "use"
    await chat.store.write(NO_ROOM, drafts.choose, *asked)
    return redirect(f"/rooms/{member.code}", 303)


def _pace(chat: Context, member: Member) -> None:
    """Raises RateLimited."""
    if wait := chat.own_limits.take(limits.DRAFTS, member.person):
        raise RateLimited(TOO_OFTEN, wait)


async def _keep(chat: Context, member: Member) -> ResponseReturnValue | None:
    """Not None if it could not be kept: then the text comes back."""
    form = await request.form
    typed, reply = (form.getlist("body") or [""])[-1], read_reply((form.getlist("reply") or [""])[-1])
    base = fields.number(form.get("draft"))
    key = fields.text(form, "key") or secrets.token_urlsafe(9)
    try:
        _pace(chat, member)
        body = clean_draft(typed)
        if body is None:
            raise Refused(TOO_LONG, "body")
        if body and (wait := draft_bytes_wait(chat, member, client_info().address, body)):
            raise RateLimited(TOO_OFTEN, wait)
        if body:  # an emptied field gives something back
            chat.quota.take(len(body.encode()), "body")
        note = Note(member.code, member.number, key, body, max(reply, 0), base=base)
        await chat.store.write(NO_ROOM, drafts.save, [note])
    except (Refused, Unavailable, OutcomeUnknown) as error:
        written = Draft(member.code, [typed], key, replies=[reply], version=base)
        return await kept_page(chat, member, written, failure_of(error))
    return None
