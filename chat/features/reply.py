"""Answering a message: whom the text that is being written replies to."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, no_text
from chat.store.messages import text_message


async def run(asked: Asked) -> Answer:
    """Put the message above the field of a live page, with what was begun before if the field is empty.

    Without a live page, the message's own page has a form for the reply.
    """
    chat, member = asked.chat, asked.member
    message = await chat.store.read(text_message, member, asked.id)
    fragment = chat.render.composer.replying(message.as_quoted, asked.look)
    begun = await chat.drafts.of(member)
    if draft := next((one for one in begun if one.reply == asked.id), None):
        fragment += chat.render.composer.fill(member.code, draft, message.as_quoted, asked.look)
    return Answer(f"/{asked.id}#to-reply", fragment)


REPLY = Action("reply", run, limits.REPLIES, form="reply/form.html", denied=no_text)
