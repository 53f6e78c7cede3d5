"""The link to a message: the way to its page, and an address to be copied there."""

from __future__ import annotations

from chat import limits
from chat.features.action import Action, Answer, Asked, no_text
from chat.store.messages import text_message


async def run(asked: Asked) -> Answer:
    """Go to the page of a message. Raises NotFound."""
    await asked.chat.store.read(text_message, asked.member, asked.id)
    return Answer(f"/{asked.id}#to-link", asked.chat.render.forms.done(asked.id, asked.look))


LINK = Action("link", run, limits.LINKS, form="link/form.html", denied=no_text)
