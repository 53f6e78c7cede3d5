"""Names above the field, for what is typed behind an "@"."""

from __future__ import annotations

from typing import Any

from chat.context import Context
from chat.features.mention import suggest
from chat.live.connection import Connection
from chat.live.frames import Texts

SLOT = "names"


async def show_names(chat: Context, connection: Connection, frame: dict[str, Any]) -> None:
    """Answer a page that says what is in its field now. Raises store errors.

    One that saves a draft shows no names, so it need not hear that there are none.
    """
    bodies = frame.get("body")
    *_, text = bodies if isinstance(bodies, Texts) and len(bodies) else [""]
    names = await suggest(chat, connection.member, text)
    if names or (names is not None and frame.get("k") == "names"):
        connection.answer(SLOT, chat.render.composer.names(connection.member.code, names, connection.look))
