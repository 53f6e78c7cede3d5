"""Messages as the room shows them: the very shapes that its page includes."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from chat.model.messages import Message
from chat.views.engine import Engine
from chat.views.look import Look, Render
from chat.views.messages import Shown
from chat.views.plain_messages import PlainMessages


class MessageFragments:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._plain = PlainMessages(engine.message)

    def message(self, code: str, message: Message) -> Render:
        return self._plain.message(code, message) or partial(self._engine.message, code, message)

    def amended(self, code: str, message: Message) -> Render:
        return partial(self._engine.render, "room/amend_message.html", code=code, message=message)

    def extras(self, code: str, message: Message) -> Render:
        """What features show below a message whose text is the same as before."""
        return partial(
            self._engine.render, "reactions/replace_row.html", code=code, message=message, own=None
        )

    def newest(self, code: str, shown: Shown, look: Look) -> str:
        return self._engine.render(
            "room/replace_messages.html", look, code=code, page=shown.page, messages=joined(shown)
        )

    def earlier(self, code: str, shown: Shown, look: Look) -> str:
        messages = Markup("".join(shown.fragments))  # noqa: S704
        return self._engine.render(
            "room/insert_earlier.html", look, code=code, page=shown.page, messages=messages
        )


def joined(shown: Shown) -> Markup:
    """The messages of a page, which were rendered before."""
    return Markup("\n\n".join([*shown.fragments, ""]))  # noqa: S704
