"""Marking a text as unread, with everything after it: one finds it as new the next time, on every device."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, no_text
from chat.model.errors import Refused
from chat.store.unread import can_be_unread

ONLY_OWN = "Nobody else has written here or after it."


async def run(asked: Asked) -> Answer:
    """One's own texts are never unread, nor are those of people whom one ignores."""
    chat, member = asked.chat, asked.member
    if not await chat.store.snapshot(can_be_unread, member, asked.id):
        raise Refused(ONLY_OWN)
    await chat.unread_marks.set(member, asked.id - 1)
    return Answer(f"/{asked.id}", chat.render.unread.marked(asked.id, asked.look))


UNREAD = Action("unread", run, limits.UNREAD_MARKS, form="unread/form.html", denied=no_text)
