"""Taking back a text that was sent: it is gone from the log, and from every page."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, no_own_text
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete
from chat.store.log import amend
from chat.store.messages import own_or_deleted
from chat.store.transaction import Transaction


async def run(asked: Asked) -> Answer:
    """Remove one's own text for everybody. Nobody waits for the quota to do so."""
    chat, member = asked.chat, asked.member
    await chat.store.write(member.code, delete_text, member, asked.id)
    return Answer(f"/{asked.id}", chat.render.forms.done(asked.id, asked.look, stays=False))


async def delete_text(tx: Transaction, member: Member, id: int) -> Change | None:
    """None if it is deleted already, as after a second click on a slow line. Raises NotFound, Forbidden."""
    message = await own_or_deleted(tx, member, id)
    return None if message.body is None else await amend(tx, member, message, Delete())


DELETE = Action("delete", run, limits.DELETIONS, form="delete/form.html", denied=no_own_text)
