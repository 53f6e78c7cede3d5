"""What is read: said by a form, or by asking for the newest page."""

from __future__ import annotations

from collections.abc import Sequence

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.model.changes import Page
from chat.model.members import Member
from chat.store import HISTORY, past
from chat.store.log import head_of
from chat.store.read_positions import read_up_to
from chat.store.visits import Visit
from chat.views.messages import PAGE
from chat.views.unread import NewLine, is_unread, new_line
from chat.web import fields
from chat.web.errors import DID_NOT_WORK, error_page
from chat.web.requests import current_chat, pace_reading, pages, require_member

NO_NUMBER = "This is not the number of a message."


@pages.post("/rooms/<code>/read")
async def read(code: str) -> ResponseReturnValue:
    """A member has read everything up to a message, and not beyond the newest, whatever is said later."""
    chat, form = current_chat(), await request.form
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    if not (id := fields.number(form.get("id"))):
        return error_page(422, DID_NOT_WORK, NO_NUMBER), 422
    head = await chat.store.read(head_of, member.code)
    chat.reading.note(member.code, member.number, min(id, head.rev))
    await chat.reading.save()
    if "HX-Request" in request.headers:
        return "", 204
    return redirect(f"/rooms/{member.code}", 303)


def note_visit(chat: Context, member: Member, rev: int) -> None:
    """To go to the newest page is to read it; to fetch it ahead is not."""
    if is_gone_to():
        chat.reading.note(member.code, member.number, rev)


def is_gone_to() -> bool:
    """Whether somebody goes to what is asked for, and it is not fetched ahead.

    Browsers say so, but over plain HTTP only to this machine.
    """
    headers = request.headers
    ahead = headers.get("Sec-Purpose", "") or headers.get("Purpose", "")
    goes = headers.get("Sec-Fetch-Mode", "navigate") == "navigate" and "HX-Request" not in headers
    return goes and "prefetch" not in ahead


def note_later(chat: Context, found: Visit, after: int) -> None:
    """To go to what comes after what one has read is to read it."""
    page, read = found.page, chat.reading.known(found.member, found.read)
    if after <= read and page.messages:
        note_visit(chat, found.member, page.messages[-1].id if page.later else page.position.rev)


async def read_by(chat: Context, member: Member) -> int:
    """Up to where somebody has read."""
    saves = chat.reading.saves
    return chat.reading.known(member, await chat.store.read(read_up_to, *member.seat), saves)


async def note_scrolled(chat: Context, member: Member, before: int, first: int) -> None:
    """To scroll from the message that a page begins with to what one has read is to read what is between."""
    if before <= await read_by(chat, member) + 1:
        head = await chat.store.read(head_of, member.code)
        chat.reading.note(member.code, member.number, min(first - 1, head.rev))


async def line_on(
    chat: Context, member: Member, seats: Sequence[int], page: Page, read: int
) -> NewLine | None:
    """The line on the newest page; if older messages may be new, it is looked whether one of them is."""
    hidden = (*seats, *member.ignored)
    line = new_line(page, read, hidden)
    if line is None or not line.is_beyond:
        return line
    next = (await chat.store.snapshot(past.later, member.code, read, HISTORY, PAGE)).messages
    before = [message for message in next if message.id < line.oldest]
    if unread := [message.id for message in before if is_unread(message, read, hidden)]:
        return line._replace(first=unread[0])
    return new_line(page, read, hidden, is_all=len(before) < len(next))
