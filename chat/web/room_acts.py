"""What people do to a room as a whole: by a form on its live page, or on a page of its own."""

from __future__ import annotations

from collections.abc import Mapping

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features import ROOM_ACTIONS
from chat.features.action import Action, Failure, Fields
from chat.model.rooms import Room
from chat.views.forms import Draft
from chat.web import fields, outcomes
from chat.web.errors import error_page
from chat.web.requests import (
    canonical_code,
    current_chat,
    current_look,
    current_reader,
    pace_reading,
    pages,
    require_member,
    room_of,
)

TYPED = "title", "topic", "name"
FIELDS = ("title", "topic", "former_title", "former_topic", "name", "on")  # that an action may look at


async def form_of_room_act(code: str, name: str) -> ResponseReturnValue:
    """The form of an action, with what is so now."""
    chat = current_chat()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    if member.code != code:
        return redirect(f"/rooms/{member.code}/{name}", 301)
    room, action = await room_of(chat, member), ROOM_ACTIONS[name]
    return _form(chat, room, action, action.filled(room, member))


async def room_act(code: str, name: str) -> ResponseReturnValue:
    chat, action, form = current_chat(), ROOM_ACTIONS[name], await request.form
    given = fields.given(form, FIELDS)
    member, answer = await outcomes.attempt(chat, code, action, given)
    if isinstance(answer, Failure):
        return _failed(chat, code, action, answer, given)
    return outcomes.done(member, answer)


def _form(chat: Context, room: Room, action: Action, shown: Fields, failure: Failure | None = None) -> str:
    live = "HX-Request" in request.headers
    return chat.render.rooms.form(room, action.form, current_reader(), shown, failure, live=live)


def _failed(
    chat: Context, code: str, action: Action, failure: Failure, given: Mapping[str, str]
) -> ResponseReturnValue:
    """The form with the reason and what was typed; for those who have no seat in the room, the reason."""
    headers = outcomes.retry_after(failure)
    if failure.status not in (403, 404):
        room = Room(canonical_code(code), "", 0)  # all that the form needs beside what was typed
        return _form(chat, room, action, given, failure), failure.status, headers
    if "HX-Request" in request.headers:
        return chat.render.rooms.refused(failure, current_look()), failure.status, headers
    typed = [given[field] for field in TYPED if given.get(field)]
    page = error_page(failure.status, "Not done", failure.text, Draft("", typed) if typed else None)
    return page, failure.status, headers


for _name in ROOM_ACTIONS:  # spelled out, each goes before the address of a message
    pages.get(f"/rooms/<code>/{_name}", defaults={"name": _name})(form_of_room_act)
    pages.post(f"/rooms/<code>/{_name}", defaults={"name": _name})(room_act)
