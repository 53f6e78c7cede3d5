"""Home: a visitor's rooms, and the form to get into another one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from quart import Response, redirect, request
from quart.typing import ResponseReturnValue

from chat import limits
from chat.context import Context
from chat.limits import Rate
from chat.model.errors import RateLimited
from chat.store import Unavailable
from chat.store.members import Left
from chat.store.my_rooms import Home, MyRoom, home_of
from chat.views.forms import Form
from chat.web import left
from chat.web.requests import (
    count_rooms,
    current_chat,
    current_look,
    current_reader,
    known_person,
    pace_lists,
    pace_reading,
    pages,
)

NOBODY = Home("", [])
BESIDE = "rail", "badge", "beside"  # a room; the list stands alone at home


@pages.get("/")
async def home() -> str:
    chat = current_chat()
    person = known_person(chat)
    pace_reading(chat, person)
    return _page(chat, Form(), await _home_of(chat, person), await left.find(chat))


async def home_page(chat: Context, form: Form) -> str:
    """Home with what was typed and why it was not done.

    Its list of rooms counts as a page. Over the rate of those it comes without: what was typed is not lost.
    """
    found: Home | None = NOBODY
    if person := known_person(chat):
        try:
            pace_reading(chat, person)
            found = await _home_of(chat, person)
        except RateLimited:
            found = None
    return _page(chat, form, found)


def _page(chat: Context, form: Form, found: Home | None, just_left: Left | None = None) -> str:
    known = known_person(chat) is not None
    return chat.render.home.page(form, found, _now(), current_reader(), known=known, left=just_left)


@pages.get("/rooms")
async def list_of_rooms() -> ResponseReturnValue:
    """The list alone, for a page that keeps it current; for `rail` with all that stands beside a room.

    For `badge` only how much is unread in the others.
    """
    chat = current_chat()
    person = known_person(chat)
    beside = next((name for name in BESIDE if name in request.args), "")
    if "HX-Request" not in request.headers:
        return redirect("/", 303)
    if person is not None:
        pace_lists(chat, person)
    found = await _home_of(chat, person, limits.LISTS_OF_ADDRESS)
    if found is None:
        return "", 204  # the page keeps what it has
    if not found.rooms:  # left or logged out, in another tab; a room says that itself
        return "", 204, {} if beside else {"HX-Refresh": "true"}
    html = _shown(chat, found.rooms, beside)
    version = hashlib.sha256(html.encode()).hexdigest()[:16]
    if request.if_none_match.contains_weak(version):
        return "", 304
    response = Response(html, content_type="text/html; charset=utf-8")
    response.set_etag(version, weak=True)
    return response


def _shown(chat: Context, rooms: Sequence[MyRoom], beside: str) -> str:
    look, home = current_look(), chat.render.home
    current = next((one.room.code for one in rooms if one.room.code == request.args.get(beside)), "")
    if beside == "badge":
        return home.badge(rooms, look, current)
    return (home.rail if beside == "rail" else home.rooms)(rooms, _now(), look, current)


async def _home_of(chat: Context, person: str | None, rate: Rate = limits.PAGES_OF_ADDRESS) -> Home | None:
    """None if the store does not answer. What was read on this node counts, though it is yet to be stored."""
    if person is None:
        return NOBODY
    if chat.hub.health.store_down:
        return None
    chat.reading.gather(chat.hub.connections.of(person))
    try:
        found = await chat.store.snapshot(home_of, person)
        if await _stored(chat, found.rooms):
            found = await chat.store.snapshot(home_of, person)
    except Unavailable:
        return None
    count_rooms(chat, rate, len(found.rooms))
    chat.unread_titles.elsewhere.check(person, found.rooms)
    return found


async def _stored(chat: Context, rooms: Sequence[MyRoom]) -> bool:
    """Store what was yet to be; whether there was anything."""
    is_read = any(chat.reading.due.get(one.member.seat, 0) > one.read for one in rooms)
    if is_read:
        await chat.reading.save()
    drafts = [one.member for one in rooms if chat.drafts.has_due(*one.member.seat)]
    await chat.drafts.save_of(*drafts)
    return is_read or bool(drafts)


def _now() -> int:
    return int(time.time() * 1000)
