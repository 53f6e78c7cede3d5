"""Changing a text that was sent."""

from __future__ import annotations

from collections.abc import Sequence

from chat import limits
from chat.features.action import Action, Answer, Asked, Fields, Seen, no_own_text
from chat.model.changes import Change
from chat.model.errors import Conflict, Forbidden, Refused
from chat.model.invisible import is_blank
from chat.model.members import Member
from chat.model.messages import BODY_TYPED, NOT_SAVED, Edit, clean_body
from chat.model.sentences import Sentence
from chat.store import quota
from chat.store.log import amend
from chat.store.mentions import mentioned
from chat.store.messages import own_text
from chat.store.transaction import Transaction

NOTHING_LEFT = "An empty message cannot be saved. To remove the message, delete it."
CLOSED = (
    "A message can be changed for %(n)s hour after it was sent.",
    "A message can be changed for %(n)s hours after it was sent.",
)
NEVER = "A message cannot be changed here once it is sent."
HOUR = 3600 * 1000  # ms
CHANGED = "This message was changed in another window. Save again to replace it with your text."


async def run(asked: Asked) -> Answer:
    """Put another text in place of one's own, unless it is not the one that was changed here."""
    chat, member = asked.chat, asked.member
    typed = asked.fields.get("body", "")
    if len(typed) <= BODY_TYPED and is_blank(typed):
        raise Refused(NOTHING_LEFT, "body")
    body = clean_body(typed, NOT_SAVED)
    if chat.render.messages.formatter.takes_long(body):
        await chat.store.read(own_text, member, asked.id)  # nobody formats what cannot be saved
        await chat.render.messages.formatter.warm((body,))
    version, hours = asked.fields.get("version", ""), chat.settings.edit_hours
    spoken = chat.render.messages.formatter.spoken(body)
    await chat.store.write(member.code, change_text, member, asked.id, version, body, spoken, hours)
    return Answer(f"/{asked.id}", chat.render.forms.done(asked.id, asked.look))


async def change_text(
    tx: Transaction, member: Member, id: int, version: str, body: str, spoken: Sequence[str], hours: int
) -> Change | None:
    """None if that is the text already. Raises NotFound, Forbidden, Conflict."""
    message = await own_text(tx, member, id)
    if closed := _closed(tx.now - message.at, hours):
        raise Forbidden(closed, "body")
    if body == message.body:
        return None
    if version and version != str(message.text_rev):
        raise Conflict(CHANGED, "body")
    change = Edit(body, await mentioned(tx, member, spoken, message))
    return await amend(tx, member, message, change)


def _closed(age: int, hours: int) -> str:
    """Why a text of this age cannot be changed any more; empty if it can."""
    if not hours:
        return NEVER
    return Sentence(*CLOSED, n=hours) if age > hours * HOUR else ""


def _denied(seen: Seen) -> str:
    return no_own_text(seen) or _closed(seen.age, seen.chat.settings.edit_hours)


def _size(fields: Fields) -> int:
    return quota.cost(fields.get("body", ""))


EDIT = Action("edit", run, limits.EDITS, size=_size, form="edit/form.html", denied=_denied)
