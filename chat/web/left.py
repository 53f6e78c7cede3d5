"""Which room somebody left just now: home says so, and leads back."""

from __future__ import annotations

from contextlib import suppress

from quart import request
from werkzeug.sansio.response import Response as AnyResponse

from chat.context import Context
from chat.store import Unavailable
from chat.store.members import Left, left_room
from chat.web import fields
from chat.web.requests import canonical_code, client_info, known_person

COOKIE = "left"
SECONDS = 600  # that a browser keeps it


def remember(response: AnyResponse, code: str) -> None:
    secure = client_info().scheme == "https"
    response.set_cookie(COOKIE, code, max_age=SECONDS, httponly=True, samesite="Lax", secure=secure)


async def find(chat: Context) -> Left | None:
    """None if that was long ago, or they are back, or the store does not say: home does without it."""
    person, code = known_person(chat), canonical_code(fields.cut("code", request.cookies.get(COOKIE, "")))
    if person and code and not chat.hub.health.store_down:
        with suppress(Unavailable):
            return await chat.store.snapshot(left_room, code, person)
    return None
