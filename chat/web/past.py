"""The past of a room: a day of it, and messages that are later than what a page has."""

from __future__ import annotations

import re
from datetime import date
from functools import partial

from quart import abort, redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.model.changes import Page
from chat.model.members import Member
from chat.store import HISTORY, past
from chat.views.days import Day, Past
from chat.views.excerpts import from_start
from chat.views.forms import Form
from chat.views.look import Look
from chat.views.messages import PAGE
from chat.views.times import date_of, start_of
from chat.web import fields
from chat.web.requests import (
    asked_number,
    current_chat,
    current_look,
    current_reader,
    find_visit,
    pace_reading,
    pages,
    require_member,
    room_of,
)
from chat.web.room import show_room

ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NO_DAY = "There is no such day. Please write it like 2026-11-22."


@pages.get("/rooms/<code>/later")
async def later(code: str) -> ResponseReturnValue:
    """Later messages, for a page of the past that is asked for more."""
    chat, look = current_chat(), current_look()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    page = await chat.store.snapshot(past.later, member.code, asked_number("after") or 0, HISTORY, PAGE)
    shown = await from_start(chat.hub.rendered, member.code, page, look)
    return chat.render.messages.later(member.code, shown, look)


@pages.get("/rooms/<code>/on")
async def choose_day(code: str) -> ResponseReturnValue:
    """Which day shall it be? The form leads to its page."""
    chat = current_chat()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    typed = fields.text(request.args, "date")
    if day := _day(typed):
        return redirect(f"/rooms/{member.code}/on/{day}", 303)
    is_asked = "date" in request.args
    return await _form(chat, member, typed if is_asked else None), 422 if is_asked else 200


@pages.get("/rooms/<code>/on/<day>")
async def on_day(code: str, day: str) -> ResponseReturnValue:
    """What was said on a day in the reader's zone, or else on the next one on which something was."""
    chat, look = current_chat(), current_look()
    asked = _day(fields.cut("date", day))
    if asked is None:
        member = await require_member(chat, code)
        pace_reading(chat, member.person)
        return await _form(chat, member, fields.cut("date", day)), 404
    start = start_of(asked, look)
    read = partial(past.since, start=start, most=PAGE)
    found = await find_visit(chat, code, partial(past.or_newest, read=read, most=PAGE))
    if found is None:
        abort(403)
    if found.member.code != code:
        return redirect(f"/rooms/{found.member.code}/on/{asked}", 301)
    shown = _found(found.page, start, look)
    return await show_room(chat, found, past=Past(shown is not None, Day(asked, shown)))


def _found(page: Page, start: int, look: Look) -> date | None:
    """The day with which a page begins; None if it has the newest messages instead, which are older."""
    first = page.messages[0] if page.messages else None
    return date_of(first.at, look) if first and first.at >= start else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if ISO.fullmatch(text) else None
    except ValueError:
        return None


async def _form(chat: Context, member: Member, typed: str | None) -> str:
    """With what was typed and why it is none, unless that is None."""
    room = await room_of(chat, member)
    form = Form(first="date") if typed is None else Form({"date": typed}, {"date": NO_DAY})
    return chat.render.days.form(room, form, current_reader())
