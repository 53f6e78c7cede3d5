"""What can be typed, on a page."""

from __future__ import annotations

from quart import request

from chat.web import fields
from chat.web.requests import canonical_code, current_chat, current_reader, pace_reading, pages


@pages.get("/help")
async def help() -> str:
    chat = current_chat()
    pace_reading(chat, None)
    short = len(request.query_string) <= fields.QUERY
    room = canonical_code(fields.text(request.args, "room")) if short else ""
    return chat.render.help.page(room, current_reader())
