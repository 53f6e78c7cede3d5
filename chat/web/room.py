"""The room of a member, and its older messages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from quart import Response, abort, make_response, redirect, request
from quart.typing import ResponseReturnValue
from werkzeug.wrappers import Response as WerkzeugResponse

from chat.context import Context
from chat.features.mention import mentionable
from chat.model.changes import Page
from chat.model.codes import clean_code
from chat.model.drafts import SavedDraft
from chat.model.errors import RateLimited, Refused
from chat.model.members import Member
from chat.store import NotFound, past, rooms
from chat.store.past import ReadPage
from chat.store.visits import Visit
from chat.views.days import Past
from chat.views.excerpts import from_start
from chat.views.forms import Draft, Form
from chat.views.messages import PAGE
from chat.views.people import with_oneself
from chat.views.qr import qr_code
from chat.views.room_pages import RoomView
from chat.views.unread import NewLine
from chat.web import repeats
from chat.web.drafting import opened, show_once
from chat.web.entry import existing_room, invitation
from chat.web.reading import line_on, note_later, note_scrolled, note_visit
from chat.web.requests import (
    NEWEST,
    asked_number,
    client_info,
    current_chat,
    current_look,
    current_reader,
    find_visit,
    link_to,
    pace_reading,
    pages,
    require_member,
)

QR_PAGES = 4  # that the picture of a link counts as: it takes 4 ms, if nobody asked for the same before


@pages.get("/rooms/<code>")
async def room(code: str) -> ResponseReturnValue:
    """The room for a member, an invitation for anyone else."""
    chat = current_chat()
    before, after = asked_number("before") or None, asked_number("after")
    found = await find_visit(chat, code, _messages(before, after))
    if found is None:
        return await _invite(chat, code)
    if found.member.code != code:
        return redirect(f"/rooms/{found.member.code}", 301)
    if after is not None:
        first = found.page.messages[:1]
        note_later(chat, found, after)
        return await show_room(chat, found, past=Past(from_start=bool(first) and first[0].id > after))
    shown = await show_room(chat, found, past=Past() if before else None, visited=before is None)
    response = await make_response(shown)
    if forms := repeats.shown(request.cookies.get(repeats.COOKIE, "")):
        remember_forms(response, code, forms)
    return response


async def _invite(chat: Context, code: str) -> ResponseReturnValue:
    pace_reading(chat, None)
    try:
        existing = await existing_room(chat, clean_code(code))
    except RateLimited:
        raise
    except Refused:
        abort(404)
    if existing.code != code:
        return redirect(f"/rooms/{existing.code}", 301)
    return await invitation(chat, existing, Form())


def _messages(before: int | None, after: int | None) -> ReadPage:
    if after is not None:
        return partial(past.or_newest, read=partial(past.later, after=after, most=PAGE), most=PAGE)
    return partial(past.earlier, before=before, most=PAGE) if before else NEWEST


def remember_forms(response: Response | WerkzeugResponse, code: str, forms: str) -> None:
    secure = client_info().scheme == "https"
    path = f"/rooms/{code}"
    response.set_cookie(repeats.COOKIE, forms, path=path, httponly=True, samesite="Lax", secure=secure)


async def room_page(
    chat: Context,
    member: Member,
    *,
    draft: Draft | None = None,
    many_lines: bool = False,
    error: str = "",
    names: bool = False,
) -> str:
    """With the `names` of whom to mention. Raises RateLimited, and NotFound if they have left meanwhile."""
    found = await find_visit(chat, member.code)
    if found is None:
        raise NotFound("They have left.")
    offered = await mentionable(chat, member) if names else None
    return await show_room(chat, found, draft=draft, many_lines=many_lines, error=error, offered=offered)


async def show_room(
    chat: Context,
    found: Visit,
    *,
    draft: Draft | None = None,
    many_lines: bool = False,
    error: str = "",
    offered: tuple[Sequence[Member], int] | None = None,
    past: Past | None = None,
    visited: bool = False,
) -> str:
    """`visited` says that it is the newest page, and read unless what is new begins before it."""
    member, seats, page, known, _ = found
    chat.reading.gather(chat.hub.connections.of(member.person))
    draft, others = await _in_field(chat, member, draft, past)
    reader, rendered = current_reader(), chat.hub.rendered
    show = partial(from_start, rendered) if past and past.from_start else rendered.page
    shown = await show(member.code, page, reader.look)
    here = with_oneself(await chat.presence.everybody(member.code), member)
    new = None if past or error else await _line(chat, found, shown.page)
    if visited and not (new and new.is_beyond):
        note_visit(chat, member, page.position.rev)
    view = RoomView(
        member,
        known,
        seats,
        shown,
        here,
        link_to(member.code),
        draft,
        many_lines=many_lines,
        error=error,
        past=past,
        new=new,
        frozen=chat.presence.frozen,
        away=await chat.presence.away(member.code, here),
        others=others,
        offered=offered,
        kept="saved" in request.args,
    )
    return chat.render.pages.room(view, reader)


async def _in_field(
    chat: Context, member: Member, draft: Draft | None, past: Past | None
) -> tuple[Draft, Sequence[SavedDraft]]:
    """What stands in the field, and what was begun besides. A page of the past has no field."""
    others: Sequence[SavedDraft] = ()
    if draft is None and past is None:
        draft, others = await opened(chat, member)
    if draft and draft.version:
        show_once()
    return draft or Draft(member.code, key=secrets.token_urlsafe(9)), others


async def _line(chat: Context, found: Visit, shown: Page) -> NewLine | None:
    """Before the first message that is new to who visits the room."""
    read = chat.reading.known(found.member, found.read)
    return await line_on(chat, found.member, found.seats, shown, read)


@pages.get("/rooms/<code>/qr.svg")
async def qr(code: str) -> ResponseReturnValue:
    """The link to a room as a picture, for its members."""
    chat = current_chat()
    member = await require_member(chat, code)
    pace_reading(chat, member.person, pages=QR_PAGES)
    picture = await asyncio.to_thread(qr_code, link_to(member.code))
    kept = {"Cache-Control": "private, max-age=3600"}
    return Response(picture, content_type="image/svg+xml", headers=kept)


@pages.get("/rooms/<code>/earlier")
async def earlier(code: str) -> ResponseReturnValue:
    """Older messages, for a page that has scrolled to its oldest one."""
    chat = current_chat()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    before = asked_number("before") or None
    shown = await chat.hub.page(member.code, before, current_look())
    if before and "HX-Request" in request.headers and (first := asked_number("behind")):
        await note_scrolled(chat, member, before, first)
    known = None if shown.page.more else await chat.store.read(rooms.find_room, member.code)
    stays = before if "by" in request.args else None
    is_behind = "behind" in request.args
    return chat.render.messages.earlier(member.code, shown, current_look(), known, stays, is_behind=is_behind)


@pages.get("/rooms/<code>/messages")
@pages.get("/rooms/<code>/composer")
@pages.get("/rooms/<code>/draft")
async def form_address(code: str) -> ResponseReturnValue:
    """WebKit reloads the error page of a form as if it had been a link."""
    return redirect(f"/rooms/{quote(code, safe='')}", 303)
