"""Searching: a plain form, which asks by GET, so that a search can be kept and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from quart import abort, redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features.search import Hits, pace_searches, search_everywhere, search_room
from chat.model.errors import Forbidden, RateLimited, Refused
from chat.model.search import Query, names_rooms, parse_query
from chat.views.search import Outcome
from chat.web import fields
from chat.web.requests import (
    client_info,
    current_chat,
    current_look,
    current_reader,
    known_person,
    pages,
    require_member,
    require_store,
    room_of,
)


@pages.get("/rooms/<code>/search")
async def search_in_room(code: str) -> ResponseReturnValue:
    chat = current_chat()
    member = await require_member(chat, code)
    if member.code != code:
        return redirect(f"/rooms/{member.code}/search?{request.query_string.decode()}", 301)
    if names_rooms(_typed()):
        return redirect(f"/search?{urlencode({'q': _typed()})}", 303)
    room = await room_of(chat, member)
    before = fields.number(request.args.get("before"))

    async def search(query: Query) -> Hits:
        return await search_room(chat, member, room, query, before, current_look())

    outcome, status, headers = await _outcome(chat, member.person, search)
    return chat.render.search.room(room, _typed(), outcome, current_reader()), status, headers


@pages.get("/search")
async def search_my_rooms() -> ResponseReturnValue:
    chat, person = current_chat(), known_person(current_chat())
    require_store(chat)
    if person is None:
        abort(403)
    page = fields.number(request.args.get("page")) or 1

    async def search(query: Query) -> Hits:
        return await search_everywhere(chat, person, query, page, current_look())

    outcome, status, headers = await _outcome(chat, person, search)
    return chat.render.search.everywhere(_typed(), outcome, current_reader()), status, headers


def _typed() -> str:
    return fields.encodable(fields.text(request.args, "q"))


async def _outcome(
    chat: Context, person: str, search: Callable[[Query], Awaitable[Hits]]
) -> tuple[Outcome, int, dict[str, str]]:
    try:
        pace_searches(chat, person, client_info().address)
        query = parse_query(_typed())
        outcome = Outcome(query, *await search(query)) if query else Outcome()
        return outcome, 200, {}
    except RateLimited as refused:
        return Outcome(failure=refused), 429, {"Retry-After": str(round(refused.wait) + 1)}
    except Forbidden:
        abort(403)
    except Refused as refused:
        return Outcome(failure=refused), 422, {}
