"""Changing a text that was sent."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, Fields, is_own_text
from chat.model.changes import Change
from chat.model.errors import Conflict, Refused
from chat.model.invisible import is_blank
from chat.model.members import Member
from chat.model.messages import BODY_TYPED, NOT_SAVED, Edit, clean_body
from chat.store import quota
from chat.store.log import amend
from chat.store.messages import own_text
from chat.store.transaction import Transaction

NOTHING_LEFT = "An empty message cannot be saved. To remove the message, delete it."
CHANGED = "This message was changed in another window. Save again to replace it with your text."


async def run(asked: Asked) -> Answer:
    """Put another text in place of one's own, unless it is not the one that was changed here."""
    chat, member = asked.chat, asked.member
    typed = asked.fields.get("body", "")
    if len(typed) <= BODY_TYPED and is_blank(typed):
        raise Refused(NOTHING_LEFT, "body")
    body = clean_body(typed, NOT_SAVED)
    await chat.render.messages.formatter.warm((body,))
    await chat.store.write(member.code, change_text, member, asked.id, asked.fields.get("version", ""), body)
    return Answer(f"/{asked.id}", chat.render.forms.done(asked.id, asked.look))


async def change_text(tx: Transaction, member: Member, id: int, version: str, body: str) -> Change | None:
    """None if that is the text already. Raises NotFound, Forbidden, Conflict."""
    message = await own_text(tx, member, id)
    if body == message.body:
        return None
    if version and version != str(message.text_rev):
        raise Conflict(CHANGED, "body")
    return await amend(tx, member.code, id, member.number, f"edit {id} {message.text_rev}", Edit(body))


def _size(fields: Fields) -> int:
    return quota.cost(fields.get("body", ""))


EDIT = Action("edit", run, limits.EDITS, size=_size, form="edit/form.html", offered=is_own_text)
