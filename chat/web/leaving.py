"""Leaving a room, and logging out."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from quart import redirect
from quart.typing import ResponseReturnValue
from werkzeug.wrappers import Response as WerkzeugResponse

from chat import limits, logs
from chat.context import Context
from chat.features import seats
from chat.live.connection import POLICY, Close
from chat.model.members import Member
from chat.store import NotFound, members, rooms
from chat.views.forms import Form
from chat.web import left
from chat.web.home import home_page
from chat.web.requests import (
    check_rate,
    client_info,
    current_chat,
    current_reader,
    find_member,
    known_person,
    pace_reading,
    pages,
)

STILL_LOGGED_IN = "You are still in many other rooms. Please log out once more."
LOGGED_OUT = 200  # rooms that are left at once


@pages.get("/rooms/<code>/leave")
async def ask_to_leave(code: str) -> ResponseReturnValue:
    """What it means to leave. Those who have no seat go to the invitation."""
    chat = current_chat()
    member = await find_member(chat, code)
    if member is None:
        return redirect(f"/rooms/{quote(code, safe='')}", 303)
    pace_reading(chat, member.person)
    if member.code != code:
        return redirect(f"/rooms/{member.code}/leave", 301)
    room = await chat.store.read(rooms.find_room, member.code)
    return chat.render.pages.leave(room, current_reader()) if room else redirect("/", 303)


@pages.post("/rooms/<code>/leave")
async def leave(code: str) -> ResponseReturnValue:
    chat = current_chat()
    member = await find_member(chat, code)
    response = _forgotten(redirect("/", 303))
    if member is not None:
        await seats.leave_room(chat.store, member)
        _dismiss(chat, member, seats.why_ended(None))
        left.remember(response, member.code)
    return response


@pages.post("/logout")
async def log_out() -> ResponseReturnValue:
    """End the identity of this browser: its seats pass to an id that nobody has."""
    chat, person = current_chat(), known_person(current_chat())
    if person is not None and await _has_seats(chat, person):
        await check_rate(chat, limits.LOGOUTS, "Many people are logging out from your network just now.")
        successor = chat.identities.new()
        for code in await chat.store.read(members.rooms_of, person, LOGGED_OUT):
            member = await chat.store.read(members.find_seat, code, person)
            with suppress(NotFound):  # the room expired meanwhile
                await chat.store.write(code, members.end_seat, code, person, successor)
            if member is not None:
                _dismiss(chat, member, "You logged out of this browser.")
        if await _has_seats(chat, person):
            return await home_page(chat, Form({}, {"": STILL_LOGGED_IN})), 503
        logs.event("logged-out")
    response = redirect("/", 303)
    for name in chat.identities.cookie_names():
        response.delete_cookie(name, secure=client_info().scheme == "https", httponly=True, samesite="Lax")
    return _forgotten(response)


async def _has_seats(chat: Context, person: str) -> bool:
    return bool(await chat.store.read(members.rooms_of, person, 1))


def _forgotten(response: WerkzeugResponse) -> WerkzeugResponse:
    """Have the browser drop the pages it keeps, so that Back does not show what was left.

    It obeys over https and on its own machine only. Elsewhere the page is emptied when its socket is back.
    """
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _dismiss(chat: Context, member: Member, reason: str) -> None:
    chat.presence.forget(member)
    chat.drafts.forget(member.code, member.number)
    chat.hub.connections.close(member.code, member.person, Close(POLICY, reason, over=True))
    logs.event("seat-ended", room=chat.codes.logged(member.code), seat=member.number)
