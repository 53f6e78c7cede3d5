"""One message in its place in the conversation, with everything that can be done to it as plain forms."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quart import abort, redirect
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features import ACTIONS
from chat.features.action import Action, Failure, Seen
from chat.model.changes import Page
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.store import NotFound
from chat.store.members import seats_of
from chat.store.past import around
from chat.store.rooms import find_room
from chat.store.transaction import Transaction
from chat.views.excerpts import fitting
from chat.views.forms import NOTHING
from chat.views.message_view import MessageView, Surroundings
from chat.views.messages import PAGE
from chat.web import fields
from chat.web.drafting import begun_on, show_once
from chat.web.message_details import Details, details_of
from chat.web.requests import (
    current_chat,
    current_look,
    current_reader,
    link_to,
    pace_reading,
    pages,
    require_member,
)

AROUND = 5  # messages before and after the one that a page is about


class Found(NamedTuple):
    """A message at its place among those around it, the reader's seats, and the room."""

    page: Page
    place: int
    details: Details
    seats: list[int]
    room: Room

    @property
    def message(self) -> Message:
        return self.page.messages[self.place]


@pages.get("/rooms/<code>/<id>")
async def message(code: str, id: str) -> ResponseReturnValue:
    """A message among those around it; others lead to further ones, both ways."""
    chat = current_chat()
    if not (number := fields.number(id)):
        abort(404)
    member = await require_member(chat, code)
    if member.code != code:
        return redirect(f"/rooms/{member.code}/{number}", 301)
    pace_reading(chat, member.person)
    return await message_page(chat, member, number)


async def message_page(
    chat: Context,
    member: Member,
    id: int,
    failed: Action | None = None,
    failure: Failure | None = None,
    given: Mapping[str, str] = NOTHING,
) -> str:
    saves = chat.reading.saves
    found = await chat.store.snapshot(_read_page, member, id)
    chat.reading.gather(chat.hub.connections.of(member.person))
    read = chat.reading.known(member, found.details.read, saves)
    asks = await seen(chat, found.message, found.seats)
    drafts = {} if failure else begun_on(await chat.drafts.of(member), id)
    if drafts:
        show_once()
    view = MessageView(
        member,
        found.room,
        f"{link_to(member.code)}/{id}",
        found.seats,
        found.message,
        found.details.earlier,
        found.details.reacted,
        id > read,
        await _context(chat, member.code, found.page, found.place),
        secrets.token_urlsafe(9),
        [action.form for action in ACTIONS.values() if action.form and not action.denied(asks)],
        failed.form if failed else "",
        failure,
        given,
        drafts,
    )
    return chat.render.pages.message(view, current_reader())


async def _read_page(tx: Transaction, member: Member, id: int) -> Found:
    """Raises NotFound."""
    page, room = await around(tx, member.code, id, AROUND), await find_room(tx, member.code)
    if room is None:
        raise NotFound(f"There is no room {member.code}.")
    place = next(n for n, message in enumerate(page.messages) if message.id == id)
    details = await details_of(tx, member, page.messages[place])
    return Found(page, place, details, await seats_of(tx, member.code, member.person), room)


async def seen(chat: Context, message: Message, seats: Sequence[int]) -> Seen:
    """A message as somebody with these seats has it before them."""
    if message.author not in seats:  # its age makes no difference
        return Seen(chat, message, seats, 0)
    return Seen(chat, message, seats, int(await chat.store.time() * 1000) - message.at)


async def _context(chat: Context, code: str, page: Page, place: int) -> Surroundings:
    """What is shown around a message, and the ids from which further ones are led to."""
    before, after = page.messages[:place], page.messages[place + 1 :]
    earlier = await _nearest(chat, code, before[::-1])
    later = await _nearest(chat, code, after)
    first, last = place - len(earlier), place + len(later)
    return Surroundings(
        earlier[::-1],
        later,
        page.messages[first].id if page.more or first else 0,
        page.messages[last].id if page.later or last < len(page.messages) - 1 else 0,
    )


async def _nearest(chat: Context, code: str, messages: Sequence[Message]) -> list[str]:
    """As many of the first ones as make half of a page."""
    return await fitting(chat.hub.rendered, code, messages, current_look(), PAGE // 2)
