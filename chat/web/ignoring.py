"""The page on which a member chooses whom to ignore."""

from __future__ import annotations

from quart import abort, redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features.action import Failure
from chat.features.ignore import IGNORE, choices
from chat.model.members import Member
from chat.model.rooms import Room
from chat.store.rooms import find_room
from chat.store.transaction import Transaction
from chat.web import fields, outcomes
from chat.web.errors import error_page
from chat.web.requests import (
    current_chat,
    current_reader,
    pace_reading,
    pages,
    require_member,
)


@pages.get("/rooms/<code>/ignore")
async def whom_to_ignore(code: str) -> ResponseReturnValue:
    chat = current_chat()
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    if member.code != code:
        return redirect(f"/rooms/{member.code}/ignore", 301)
    return await _page(chat, member)


@pages.post("/rooms/<code>/ignore")
async def ignore(code: str) -> ResponseReturnValue:
    chat, form = current_chat(), await request.form
    member, answer = await outcomes.attempt(chat, code, IGNORE, fields.given(form, ("seat", "on")))
    if isinstance(answer, Failure):
        return await _failed(chat, member, answer)
    return outcomes.done(member, answer)


async def _failed(chat: Context, member: Member | None, failure: Failure) -> ResponseReturnValue:
    """The page with the reason where there is something to choose, else the reason alone."""
    headers = outcomes.retry_after(failure)
    if member is not None and failure.status == 422:
        pace_reading(chat, member.person)
        return await _page(chat, member, failure), failure.status, headers
    return error_page(failure.status, "Not done", failure.text), failure.status, headers


async def _page(chat: Context, member: Member, failure: Failure | None = None) -> str:
    room, people = await chat.store.snapshot(_read_page, member)
    return chat.render.ignored.page(room, people, current_reader(), failure)


async def _read_page(tx: Transaction, member: Member) -> tuple[Room, list[tuple[Member, bool]]]:
    room = await find_room(tx, member.code)
    if room is None:
        abort(404)
    return room, await choices(tx, member)
