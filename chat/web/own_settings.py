"""What a visitor chooses for themselves, kept in a cookie: language, clock, colours and the like."""

from __future__ import annotations

import re
import time

from quart import redirect, request
from quart.typing import ResponseReturnValue
from werkzeug.sansio.response import Response as AnyResponse

from chat.model.sentences import Sentence
from chat.views.own_settings import Shown
from chat.views.reader import COOKIE, Choices
from chat.visitors import COOKIE_AGE
from chat.web import fields
from chat.web.requests import canonical_code, client_info, current_chat, current_reader, pace_reading, pages

OFFSET = re.compile(r"-?\d{1,4}", re.ASCII)  # minutes
NOT_OFFERED = "Please choose one of what is offered."


@pages.get("/settings")
async def settings() -> str:
    pace_reading(current_chat(), None)
    if len(request.query_string) > fields.QUERY:
        return _page(Shown())
    minutes = fields.text(request.args, "offset")
    return _page(
        Shown(
            room=canonical_code(fields.text(request.args, "room")),
            offset=int(minutes) if OFFSET.fullmatch(minutes) else None,
            saved="saved" in request.args,
        )
    )


@pages.post("/settings")
async def save_settings() -> ResponseReturnValue:
    """Take what is chosen, and go back to the room that the link to this page was in."""
    pace_reading(current_chat(), None)
    form = await request.form
    room = canonical_code(fields.text(form, "room"))
    given = {field: fields.text(form, field) for field in Choices._fields}
    try:
        choices = current_reader().choices.with_fields(given)
    except ValueError as error:
        typed = current_reader().choices.with_what_fits(given)
        return _page(Shown(room=room, given=typed, failed=str(error), error=Sentence(NOT_OFFERED))), 422
    response = redirect(f"/rooms/{room}?saved" if room else "/settings?saved", 303)
    _remember(response, choices)
    return response


def _page(shown: Shown) -> str:
    header = request.headers.get("Accept-Language", "")
    now = int(time.time() * 1000)
    return current_chat().render.own_settings.page(shown, header, now, current_reader())


def _remember(response: AnyResponse, choices: Choices) -> None:
    secure = client_info().scheme == "https"
    response.set_cookie(
        COOKIE, choices.cookie, max_age=COOKIE_AGE, httponly=True, samesite="Lax", secure=secure
    )
