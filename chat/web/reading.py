"""What is read: said by a form, or by asking for the newest page."""

from __future__ import annotations

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.model.members import Member
from chat.store.log import head_of
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
    """To go to the newest page is to read it; to fetch it ahead is not.

    Browsers say which it is, but over plain HTTP only to this machine.
    """
    headers = request.headers
    ahead = headers.get("Sec-Purpose", "") or headers.get("Purpose", "")
    goes = headers.get("Sec-Fetch-Mode", "navigate") == "navigate" and "HX-Request" not in headers
    if goes and "prefetch" not in ahead:
        chat.reading.note(member.code, member.number, rev)
