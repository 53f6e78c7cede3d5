"""All emoji that one may react with, as a page for browsers without JavaScript."""

from __future__ import annotations

from quart import abort, request

from chat.store.messages import text_message
from chat.web import fields
from chat.web.requests import current_chat, current_reader, pace_reading, pages, require_member


@pages.get("/rooms/<code>/<id>/reactions")
async def choose_emoji(code: str, id: str) -> str:
    """One group of them for a message. WebKit comes here, too, when it reloads the error page of the form."""
    chat, short = current_chat(), len(request.query_string) <= fields.QUERY
    if not (number := fields.number(id)):
        abort(404)
    member = await require_member(chat, code)
    pace_reading(chat, member.person)
    message = await chat.store.read(text_message, member, number)
    group = fields.number(request.args.get("group")) if short else 0
    try:
        return chat.render.reactions.choose(member, message, group, current_reader())
    except IndexError:
        abort(404)
