"""Messages and drafts by ordinary forms: without JavaScript, from curl, or when scripts are blocked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from quart import redirect, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from chat import limits
from chat.context import Context
from chat.features import posting
from chat.features.action import NOT_STORED, Failure, check_disk, failure_of
from chat.features.mention import begin, complete, label_of, suggest
from chat.model.drafts import Note
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member
from chat.model.mentions import ALL, begun
from chat.model.quotes import read_reply
from chat.store import NotFound, OutcomeUnknown, Unavailable, quota
from chat.views.forms import Draft
from chat.web import fields, repeats
from chat.web.drafting import begun_as, quoted_by
from chat.web.errors import TRY_AGAIN, error_page
from chat.web.outcomes import retry_after
from chat.web.requests import (
    canonical_code,
    client_info,
    current_chat,
    current_look,
    find_member,
    pages,
)
from chat.web.room import remember_forms, room_page


@pages.post("/rooms/<code>/messages")
async def post(code: str) -> ResponseReturnValue:
    """Post by an ordinary form: without JavaScript, from curl, or when scripts are blocked."""
    chat, form = current_chat(), await request.form
    acked, bodies = fields.number(form.get("acked")), form.getlist("body") or [""]
    replies = [read_reply(id) for id in form.getlist("reply")[: len(bodies)]]
    form_key, forms = fields.text(form, "key"), request.cookies.get(repeats.COOKIE, "")
    key = repeats.key_of(forms, form_key) if form_key else secrets.token_urlsafe(9)
    try:
        member = await find_member(chat, code)
    except Unavailable:
        return draft_page(NOT_STORED, Draft(canonical_code(code), bodies, key, acked, True, replies))
    if member is None:
        return left_page(bodies)
    base = fields.number(form.get("draft"))
    written = Draft(member.code, bodies, key, acked, True, replies, version=base)
    is_help = False
    for index, body in enumerate(bodies):
        try:
            before = begun_as(chat, member, form_key)
            is_stored = await _send(chat, member, written, index)
        except (Refused, Unavailable, OutcomeUnknown, NotFound) as reason:
            return await _not_sent(chat, member, written.after(index), reason)
        if is_stored:
            sent = Note(member.code, member.number, form_key, body, base=base, kind="sent")
            chat.drafts.note(sent, before)
        else:
            is_help = True
    response = redirect(f"/help?room={member.code}" if is_help else f"/rooms/{member.code}", 303)
    remember_forms(response, member.code, repeats.answered(forms, form_key))
    return response


async def _send(chat: Context, member: Member, written: Draft, index: int) -> bool:
    """Store one of the texts; False if it is no message. Raises as `post_message`."""
    body, formatter = written.bodies[index], chat.render.messages.formatter
    if wait := await chat.limits.take(limits.MESSAGES, member.person):
        raise RateLimited("Not sent yet: a few too many at once.", wait)
    if posting.asks_for_help(body):
        return False
    check_disk(chat, member, client_info().address, quota.cost(body))
    await posting.format_first(formatter, body)
    place, reply = written.acked + index, written.reply(index)
    await posting.post_message(chat.store, formatter, member, written.key, place, body, reply)
    return True


async def _not_sent(chat: Context, member: Member, draft: Draft, reason: Exception) -> ResponseReturnValue:
    """The text comes back with the reason, in the room if that can be shown.

    It keeps its key: sent again after an unknown outcome, it must not be stored twice.
    """
    if isinstance(reason, RateLimited):
        chat.metrics.refusals.labels("messages").inc()
    if isinstance(reason, NotFound):  # the seat ended just now; sent again, it is of a new one
        return draft_page(NOT_STORED, draft)
    if not isinstance(reason, Refused) and len(draft.bodies) > 1:
        # Joined in the room's one field, they would be another text.
        return draft_page(NOT_STORED, draft)
    failure = failure_of(reason)
    if failure.field == "reply":
        draft = replace(draft, replies=(0, *draft.replies[1:]))
    return await kept_page(chat, member, draft, failure)


async def kept_page(chat: Context, member: Member, draft: Draft, failure: Failure) -> ResponseReturnValue:
    """What was written and why it was not taken, in the room if that can be shown."""
    try:
        draft = replace(draft, quoted=await quoted_by(chat, member, draft.reply(0)))
        page = await room_page(chat, member, draft=draft, error=failure.text)
        return page, failure.status, retry_after(failure)
    except (Unavailable, NotFound, RateLimited):
        return draft_page(failure.text, draft, failure.status)


def draft_page(reason: str, draft: Draft, status: int = 503) -> tuple[str, int]:
    """A page with nothing but what was written, to be sent again if its room is known."""
    return error_page(status, "Not sent", reason, draft), status


def left_page(bodies: Sequence[str]) -> ResponseReturnValue:
    """For somebody who has no seat any more."""
    return draft_page("You are not in this room any more.", Draft("", bodies), 403)


@pages.post("/rooms/<code>/composer")
async def composer(code: str) -> ResponseReturnValue:
    """Switch between one line and many, or name somebody, keeping the draft."""
    chat, written = current_chat(), draft_of(await request.form, canonical_code(code))
    try:
        member = await find_member(chat, code)
        return left_page(written.bodies) if member is None else await _composed(chat, member, written)
    except NotFound:  # of who was chosen, or they have left meanwhile
        return draft_page(TRY_AGAIN, written, 404)
    except (Unavailable, RateLimited) as error:
        failure = failure_of(error)
        return *draft_page(failure.text, written, failure.status), retry_after(failure)


def draft_of(form: MultiDict[str, str], code: str) -> Draft:
    """The last text of a form, which is being written, under a new key."""
    reply, key = read_reply((form.getlist("reply") or [""])[-1]), secrets.token_urlsafe(9)
    bodies = (form.getlist("body") or [""])[-1:]
    return Draft(code, bodies, key, replies=[reply], version=fields.number(form.get("draft")))


async def _composed(chat: Context, member: Member, draft: Draft) -> ResponseReturnValue:
    """Raises NotFound, Unavailable, RateLimited."""
    form, text = await request.form, draft.text
    many_lines = fields.text(form, "lines") == "many"
    if "HX-Request" in request.headers and "names" in form:
        return await _begin_name(chat, member, text, fields.text(form, "lines") == "one")
    if "at" in form:
        at = form.get("at")
        text = complete(text, ALL if at == ALL else await label_of(chat, member, fields.number(at)))
    if "HX-Request" in request.headers and "at" in form:
        # The switch leads to the other kind of field.
        return chat.render.composer.completed(text, fields.text(form, "lines") == "one", current_look())
    if "HX-Request" in request.headers:
        spare = fields.number(form.get("spare"))
        return chat.render.composer.switched(text, many_lines, member.code, spare, current_look())
    draft = replace(draft, bodies=[text], quoted=await quoted_by(chat, member, draft.reply(0)))
    return await room_page(chat, member, draft=draft, many_lines=many_lines, names="names" in form)


async def _begin_name(chat: Context, member: Member, text: str, many_lines: bool) -> str:
    """Somebody is to be named behind a text: whom one may mean stands above its field."""
    text, look = text if begun(text) is not None else begin(text), current_look()
    names = await suggest(chat, member, text)
    field = chat.render.composer.completed(text, many_lines, look)
    return field + chat.render.composer.names(member.code, names or (), look)
