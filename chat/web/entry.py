"""Getting in: the first page, new rooms, invitations, other names."""

from __future__ import annotations

from quart import abort, redirect, request
from quart.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from chat import limits, logs
from chat.context import Context
from chat.features import seats
from chat.limits import Rate
from chat.model.codes import clean_code, is_code
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member, clean_name
from chat.model.rooms import Room, clean_title
from chat.store import OutcomeUnknown, Unavailable, quota, rooms
from chat.views.forms import Form
from chat.web import fields
from chat.web.home import home_page
from chat.web.requests import (
    client_info,
    current_chat,
    current_reader,
    find_member,
    give_cookie,
    known_person,
    pages,
    within_rate,
)

NOT_NOW = "Nothing can be loaded or saved just now. Please try again in a moment."
NO_COOKIE = (
    "Your browser did not keep the cookie by which this chat knows you. Please allow cookies for this site, "
    "then try again."
)


@pages.post("/")
async def enter() -> ResponseReturnValue:
    """Create a room or join one, whichever button was pressed. Enter presses `go`: with a code it joins."""
    chat, form = current_chat(), await request.form
    typed = {field: fields.text(form, field) for field in ("name", "code", "title")}
    errors: dict[str, str] = {}
    status = 422
    try:
        clean_name(typed["name"])
    except Refused as refused:
        errors["name"] = refused.text
    try:
        if "create" in form or ("go" in form and not typed["code"].strip()):
            title = clean_title(typed["title"])
            if not errors:
                return _asked_for_cookie(chat, form, "/") or await _create(chat, typed["name"], title)
        else:
            member = await find_member(chat, typed["code"])
            code = member.code if member else (await existing_room(chat, clean_code(typed["code"]))).code
            if not errors:
                if member is None and (asked := _asked_for_cookie(chat, form, "/")):
                    return asked
                return await _come_in(chat, code, member, typed["name"])
    except Refused as refused:
        errors[refused.field] = refused.text
        status = 429 if isinstance(refused, RateLimited) else 422
    except (Unavailable, OutcomeUnknown):
        errors["name"], status = NOT_NOW, 503
    return await home_page(chat, Form(typed, errors)), status


@pages.post("/rooms/<code>")
async def join(code: str) -> ResponseReturnValue:
    """Accept an invitation: only a name is needed."""
    chat, form = current_chat(), await request.form
    name, choice = fields.text(form, "name"), fields.text(form, "choice")
    try:
        member = await find_member(chat, code)
        room = await _room(chat, code, member)
    except RateLimited:
        raise
    except Refused:
        abort(404)
    try:
        clean_name(name)
        if member is None and (asked := _asked_for_cookie(chat, form, f"/rooms/{room.code}")):
            return asked
        return await _come_in(chat, room.code, member, name, choice)
    except Refused as refused:
        status = 429 if isinstance(refused, RateLimited) else 422
        field, text = refused.field, refused.text
    except (Unavailable, OutcomeUnknown):
        status, field, text = 503, "name", NOT_NOW
    return await invitation(chat, room, Form({"name": name}, {field: text})), status


async def invitation(chat: Context, room: Room, form: Form) -> str:
    """What somebody sees who has no seat in the room."""
    here, client = await chat.presence.number(room.code), client_info()
    return chat.render.pages.invitation(
        room, here, form, current_reader(), f"{client.scheme}://{client.host}"
    )


async def _room(chat: Context, code: str, member: Member | None) -> Room:
    """The room that an invitation is to. Raises Refused or RateLimited."""
    if member is None:
        return await existing_room(chat, clean_code(code))
    room = await chat.store.read(rooms.find_room, member.code)
    if room is None:
        raise Refused(seats.NO_ROOM, "code")
    return room


async def _create(chat: Context, name: str, title: str) -> ResponseReturnValue:
    async with within_rate(chat, limits.ROOMS, "Many rooms were made from your network just now."):
        chat.quota.take(quota.MESSAGE, "name")
        member = await seats.open_room(
            chat.store, chat.codes, known_person(chat) or chat.identities.new(), name, title
        )
    logs.event("room-opened", room=chat.codes.logged(member.code))
    return _seated(chat, member)


async def _come_in(
    chat: Context, code: str, member: Member | None, name: str, choice: str = ""
) -> ResponseReturnValue:
    """Take a seat. Who has one already under another name decides what is meant. Raises Refused."""
    if member is None:
        return await _join(chat, code, name, known_person(chat) or chat.identities.new())
    if choice == "somebody-else":
        return await _join(chat, code, name, chat.identities.new())
    if clean_name(name) != member.name:
        if choice != "rename":
            return chat.render.pages.already_here(member, clean_name(name), current_reader()), 422
        await _rename(chat, member, name)
    return redirect(f"/rooms/{code}", 303)


async def _join(chat: Context, code: str, name: str, person: str) -> ResponseReturnValue:
    async with within_rate(chat, limits.JOINS, "Many people are joining from your network just now."):
        chat.quota.take(quota.MESSAGE, "name")
        member = await seats.join_room(chat.store, code, person, name)
    logs.event("seat-taken", room=chat.codes.logged(code), seat=member.number)
    return _seated(chat, member)


async def _rename(chat: Context, member: Member, name: str) -> None:
    if wait := await chat.limits.take(limits.RENAMES, member.person):
        chat.metrics.refusals.labels("renames").inc()
        raise RateLimited("You have changed your name often just now.", wait, "name")
    await seats.rename(chat, member, name)


def _seated(chat: Context, member: Member) -> ResponseReturnValue:
    response = redirect(f"/rooms/{member.code}", 303)
    give_cookie(response, member.person)
    return response


def _asked_for_cookie(chat: Context, form: MultiDict[str, str], path: str) -> ResponseReturnValue | None:
    """Have a browser without a cookie send its form again with one, before it takes a seat. Raises Refused.

    A seat that nobody can be recognised in would be lost at once, and its owner invited again and again.
    Our forms say that they come from a browser; programs that do not are taken at their word.
    """
    if "browser" not in form or known_person(chat) is not None:
        return None
    if "cookie" in request.args:
        raise Refused(NO_COOKIE, "")
    response = redirect(f"{path}?cookie=sent", 307)
    give_cookie(response, chat.identities.new())
    return response


async def existing_room(chat: Context, code: str) -> Room:
    """A room, if the person who asks knows its code. Raises Refused or RateLimited.

    A code that is vouched for is no guess. Any other one counts as a wrong code before it is looked up, so
    that no more are looked up than the rate allows, however many come at once.
    """
    guess = not chat.codes.vouches_for(code)
    if guess:
        await _count_guess(chat)
    room, wrong = None, False
    try:
        room = await chat.store.read(rooms.find_room, code) if is_code(code) else None
        wrong = room is None
    finally:
        if guess and not wrong:
            for rate, subject in _guesses():
                await limits.give_back_address(chat.limits, rate, subject)
    if room is None:
        raise Refused(seats.NO_ROOM, "code")
    return room


async def _count_guess(chat: Context) -> None:
    """Raises RateLimited, having counted nothing."""
    taken: list[tuple[Rate, str]] = []
    for rate, subject in _guesses():
        if wait := await limits.take_address(chat.limits, rate, subject):
            chat.metrics.refusals.labels(rate.name).inc()
            for earlier in taken:
                await limits.give_back_address(chat.limits, *earlier)
            raise RateLimited("Too many wrong codes.", wait, "code")
        taken.append((rate, subject))


def _guesses() -> list[tuple[Rate, str]]:
    return [(limits.WRONG_CODES, client_info().address), (limits.ALL_WRONG_CODES, "everybody")]
