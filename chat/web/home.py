"""Home: a visitor's rooms, and the form to get into another one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from quart import Response, redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.store import Unavailable
from chat.store.members import Left
from chat.store.my_rooms import Home, MyRoom, home_of
from chat.views.forms import Form
from chat.web import left
from chat.web.requests import (
    current_chat,
    current_look,
    current_reader,
    known_person,
    pace_lists,
    pace_reading,
    pages,
)

NOBODY = Home("", [])


@pages.get("/")
async def home() -> str:
    chat = current_chat()
    pace_reading(chat, known_person(chat))
    return await home_page(chat, Form(), await left.find(chat))


async def home_page(chat: Context, form: Form, just_left: Left | None = None) -> str:
    person = known_person(chat)
    found = await _home_of(chat, person) if person else NOBODY
    return chat.render.home.page(
        form, found, _now(), current_reader(), known=person is not None, left=just_left
    )


@pages.get("/rooms")
async def list_of_rooms() -> ResponseReturnValue:
    """The list alone, for a page that keeps it current; for `rail` with all that stands beside a room."""
    chat = current_chat()
    person = known_person(chat)
    if "HX-Request" not in request.headers:
        return redirect("/", 303)
    if person is None:
        return "", 204
    pace_lists(chat, person)
    found = await _home_of(chat, person)
    if found is None:
        return "", 204  # the page keeps what it has
    is_rail = "rail" in request.args
    beside = request.args.get("rail" if is_rail else "beside")
    current = next((one.room.code for one in found.rooms if one.room.code == beside), "")
    shown = chat.render.home.rail if is_rail else chat.render.home.rooms
    html = shown(found.rooms, _now(), current_look(), current)
    version = hashlib.sha256(html.encode()).hexdigest()[:16]
    if request.if_none_match.contains_weak(version):
        return "", 304
    response = Response(html, content_type="text/html; charset=utf-8")
    response.set_etag(version, weak=True)
    return response


async def _home_of(chat: Context, person: str) -> Home | None:
    """None if the store does not answer. What was read on this node counts, though it is yet to be stored."""
    if chat.hub.health.store_down:
        return None
    chat.reading.gather(chat.hub.connections.of(person))
    try:
        found = await chat.store.snapshot(home_of, person)
        if _is_behind(chat, found.rooms):
            await chat.reading.save()
            found = await chat.store.snapshot(home_of, person)
    except Unavailable:
        return None
    return found


def _is_behind(chat: Context, rooms: Sequence[MyRoom]) -> bool:
    return any(chat.reading.due.get((one.room.code, one.member.number), 0) > one.read for one in rooms)


def _now() -> int:
    return int(time.time() * 1000)
