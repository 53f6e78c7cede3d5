"""What people do to messages: by a form, which has a page for it, or by a frame of a live page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from quart import abort, redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features import ACTIONS
from chat.features.action import NOT_THERE, TOO_OFTEN, Action, Answer, Failure, failure_of, perform
from chat.live.connection import Connection
from chat.model.errors import Forbidden, RateLimited
from chat.model.members import Member
from chat.model.messages import Message
from chat.store import NotFound, Unavailable
from chat.store.members import seats_of
from chat.store.messages import text_message
from chat.store.transaction import Transaction
from chat.views.forms import Draft
from chat.web import fields, outcomes
from chat.web.drafting import begun_on
from chat.web.errors import error_page
from chat.web.message import message_page, seen
from chat.web.pacing import pace
from chat.web.requests import (
    canonical_code,
    client_info,
    current_chat,
    current_look,
    find_member,
    pace_reading,
    pages,
)

FIELDS = ("body", "version", "emoji", "on")  # that an action may look at


class Call(NamedTuple):
    """What a button stands for, such as "7/edit" or "edit" of message 7; `fields` follow a question mark."""

    id: int
    name: str
    fields: dict[str, str]
    asks: bool  # to be shown the form
    typed: bool  # by the form, which has fields


def call_of(act: str, id: object, given: Mapping[str, str]) -> Call:
    path, _, query = act.partition("?")
    number, slash, name = path.rpartition("/")
    found = {name: value for name, value in given.items() if name in FIELDS}
    typed = any(found.values())
    try:
        more = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=len(FIELDS)))
    except ValueError:  # too many
        more = {}
    found |= {name: _short(name, value) for name, value in more.items() if name in FIELDS}
    return Call(fields.number(number if slash else id), name, found, "ask" in more, typed)


def _short(name: str, value: str) -> str:
    return fields.encodable(fields.cut(name, value))


@pages.post("/rooms/<code>/<id>/<name>")
async def act(code: str, id: str, name: str) -> ResponseReturnValue:
    """One action, named by the address."""
    form = await request.form
    return await _answer(code, call_of(f"{id}/{name}", 0, fields.given(form, FIELDS)))


@pages.post("/rooms/<code>/act")
async def act_by_button(code: str) -> ResponseReturnValue:
    """One action, named by the button that was pressed."""
    form = await request.form
    call = call_of(fields.text(form, "act"), form.get("id"), fields.given(form, FIELDS))
    return await _answer(code, call)


@pages.get("/rooms/<code>/<id>/<name>")
async def form_of_act(code: str, id: str, name: str) -> ResponseReturnValue:
    """WebKit reloads the error page of a form as if it had been a link."""
    code, number = canonical_code(code), fields.number(id)
    if name not in ACTIONS or not code or not number:
        abort(404)
    return redirect(f"/rooms/{code}/{number}#to-{name}", 303)


async def _answer(code: str, call: Call) -> ResponseReturnValue:
    chat, action = current_chat(), ACTIONS.get(call.name)
    if action is None or not call.id:
        return _kept(Failure(404, NOT_THERE), call) if call.fields.get("body") else abort(404)
    try:
        member = await find_member(chat, code)
    except Unavailable as error:
        return await _failed(chat, None, action, call, failure_of(error))
    if call.asks and member:
        return redirect(f"/rooms/{member.code}/{call.id}#to-{call.name}", 303)
    answer = await perform(chat, member, client_info().address, action, call.id, call.fields, current_look())
    if isinstance(answer, Failure):
        return await _failed(chat, member, action, call, answer)
    return outcomes.done(member, answer)


async def _failed(
    chat: Context, member: Member | None, action: Action, call: Call, failure: Failure
) -> ResponseReturnValue:
    """The page of the message, with the reason and what was typed, or if that cannot be shown, the reason."""
    headers = outcomes.retry_after(failure)
    if member is not None and failure.status not in (404, 503):
        try:
            pace_reading(chat, member.person)
            page = await message_page(chat, member, call.id, action, failure, call.fields)
            return page, failure.status, headers
        except (NotFound, RateLimited, Unavailable):
            pass
    return _kept(failure, call)


def _kept(failure: Failure, call: Call) -> ResponseReturnValue:
    """The reason, and what was typed, to be copied: sent again, it would be another message."""
    body = call.fields.get("body")
    page = error_page(failure.status, "Not done", failure.text, Draft("", [body]) if body else None)
    return page, failure.status, outcomes.retry_after(failure)


async def act_by_frame(chat: Context, connection: Connection, frame: dict[str, Any]) -> None:
    """The same over a socket. What this node does not know, a newer one may: they are replaced one by one."""
    typed = {**frame, "body": "".join(frame.get("body") or ())}
    given = {name: _short(name, typed[name]) for name in FIELDS if isinstance(typed.get(name), str)}
    call = call_of(str(frame["act"]), frame.get("id"), given)
    action, slot = ACTIONS.get(call.name), f"act {call.id}"
    if action is None or not call.id:
        if not await pace(chat, connection) and call.id and call.name == "close":
            connection.answer(slot, chat.render.forms.closed(call.id, connection.look))
        return
    answer = await _perform_or_ask(chat, connection, action, call)
    if isinstance(answer, Answer):
        connection.answer(slot, answer.fragment)
        return
    shown = await _form(chat, connection, action, call, answer) if call.asks or call.typed else ""
    connection.answer(slot, shown or _refused(chat, connection, call, answer))


def _refused(chat: Context, connection: Connection, call: Call, failure: Failure | None) -> str:
    """Why something is not done. A form about a message that is gone would only say so again."""
    look = connection.look
    said = chat.render.alerts.notice(failure.text if failure else NOT_THERE, look)
    is_gone = failure is None or failure.status == 404
    return said + chat.render.forms.gone(call.id, call.fields.get("body", ""), look) if is_gone else said


async def _perform_or_ask(
    chat: Context, connection: Connection, action: Action, call: Call
) -> Answer | Failure | None:
    """None if the form may be shown that was asked for: that has the rate of frames."""
    if not call.asks:
        return await perform(
            chat, connection.member, connection.address, action, call.id, call.fields, connection.look
        )
    return Failure(429, TOO_OFTEN) if await pace(chat, connection) else None


async def _form(
    chat: Context, connection: Connection, action: Action, call: Call, failure: Failure | None
) -> str:
    """The action's form on a live page, or why this member has none for the message; empty if it is gone.

    It is also empty after a refusal that has nothing to do with what was typed: the page keeps its own form.
    So what comes over the rate is refused without a read.
    """
    if failure and failure.status in (404, 429, 503):
        return ""
    member = connection.member
    try:
        found, seats = await chat.store.snapshot(_read_text, member, call.id)
    except (NotFound, Forbidden):
        return ""
    if not action.form:
        return ""
    if denied := action.denied(await seen(chat, found, seats)):
        return "" if failure else chat.render.alerts.notice(denied, connection.look)
    begun = None if failure else begun_on(await chat.drafts.of(member), found.id).get(action.form)
    return chat.render.forms.show(
        member.code, action.form, found, failure, call.fields, connection.look, begun
    )


async def _read_text(tx: Transaction, member: Member, id: int) -> tuple[Message, list[int]]:
    """A text, and the reader's seats. Raises NotFound, Forbidden."""
    return await text_message(tx, member, id), await seats_of(tx, member.code, member.person)
