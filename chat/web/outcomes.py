"""How a form of an action is done and answered, whatever the action is about."""

from __future__ import annotations

import math

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.context import Context
from chat.features.action import Action, Answer, Failure, Fields, failure_of, perform
from chat.model.members import Member
from chat.store import Unavailable
from chat.web.requests import client_info, current_look, find_member


async def attempt(
    chat: Context, code: str, action: Action, given: Fields
) -> tuple[Member | None, Answer | Failure]:
    """Do what is asked of a room, and say who asked for it; None if they have no seat, or nobody can tell."""
    try:
        member = await find_member(chat, code)
    except Unavailable as error:
        return None, failure_of(error)
    return member, await perform(chat, member, client_info().address, action, 0, given, current_look())


def done(member: Member | None, answer: Answer) -> ResponseReturnValue:
    """What somebody sees next: a fragment where their page is live, else a page."""
    if "HX-Request" in request.headers:
        return answer.fragment or ("", 204)
    assert member
    return redirect(f"/rooms/{member.code}{answer.page}", 303)


def retry_after(failure: Failure) -> dict[str, str]:
    """The header that says when it may be tried again, if that is known."""
    return {"Retry-After": str(math.ceil(failure.wait))} if failure.wait else {}
