"""The newest text of a member, to be changed: what a key leads to."""

from __future__ import annotations

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.features.edit import EDIT
from chat.model.members import Member
from chat.model.messages import Message
from chat.store.members import seats_of
from chat.store.messages import own_newest
from chat.store.transaction import Transaction
from chat.views.forms import NOTHING
from chat.web.drafting import begun_on
from chat.web.message import seen
from chat.web.requests import current_chat, current_look, pace_reading, pages, require_member

NONE_YET = "You have not written anything here lately."


@pages.get("/rooms/<code>/last")
async def last(code: str) -> ResponseReturnValue:
    """The form on a live page, else the page of the message."""
    chat, look = current_chat(), current_look()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    message, seats = await chat.store.snapshot(_read, member)
    if "HX-Request" not in request.headers:
        return redirect(f"/rooms/{member.code}{f'/{message.id}' if message else ''}", 303)
    if message is None:
        return chat.render.alerts.notice(NONE_YET, look)
    if denied := EDIT.denied(await seen(chat, message, seats)):
        return chat.render.alerts.notice(denied, look)
    begun = begun_on(await chat.drafts.of(member), message.id).get(EDIT.form)
    return chat.render.forms.show(member.code, EDIT.form, message, None, NOTHING, look, begun)


async def _read(tx: Transaction, member: Member) -> tuple[Message | None, list[int]]:
    return await own_newest(tx, member), await seats_of(tx, member.code, member.person)
