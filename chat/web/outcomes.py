"""How a form of an action is answered, whatever the action is about."""

from __future__ import annotations

import math

from quart import redirect, request
from quart.typing import ResponseReturnValue

from chat.features.action import Answer, Failure
from chat.model.members import Member


def done(member: Member | None, answer: Answer) -> ResponseReturnValue:
    """What somebody sees next: a fragment where their page is live, else a page."""
    if "HX-Request" in request.headers:
        return answer.fragment or ("", 204)
    assert member
    return redirect(f"/rooms/{member.code}{answer.page}", 303)


def retry_after(failure: Failure) -> dict[str, str]:
    """The header that says when it may be tried again, if that is known."""
    return {"Retry-After": str(math.ceil(failure.wait))} if failure.wait else {}
