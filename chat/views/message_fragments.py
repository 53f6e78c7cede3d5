"""Messages as the room shows them: the very shapes that its page includes."""

from __future__ import annotations

import re
from functools import partial

from markupsafe import Markup

from chat.model.messages import Message
from chat.model.rooms import Room
from chat.store import HISTORY
from chat.views.engine import Engine
from chat.views.look import Look, Render, once_a_language
from chat.views.messages import Shown
from chat.views.plain_messages import PlainMessages
from chat.views.rooms import name_of
from chat.views.timed_message import TimedMessage
from chat.views.trimming import Trim

SINCE = re.compile(r'<data name=since value="\d+"></data>')


class MessageFragments:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.formatter = engine.formatter
        self._plain = PlainMessages(engine.message, engine.formatter.format)

    def message(self, code: str, message: Message) -> Render:
        plain = self._plain.message(code, message)
        return plain or TimedMessage(message, partial(self._engine.message, code, message))

    def amended(self, code: str, message: Message) -> Render:
        render = partial(self._engine.render, "room/amend_message.html", code=code, message=message)
        return TimedMessage(message, render)

    def extras(self, code: str, message: Message) -> Render:
        """What features show below a message whose text is the same as before."""
        render = partial(
            self._engine.render, "reactions/replace_row.html", code=code, message=message, own=None
        )
        return once_a_language(render)

    def trimmed(self, code: str, trim: Trim) -> Render:
        """What takes the oldest messages off a page.

        Nothing is taken while more are on their way, nor mostly what somebody has loaded. A line of the list
        may be that before what is new.
        """
        page = f"#messages:has(#live>#message-{trim.first}):not(:has(#older .htmx-request))"
        if not trim.loaded:
            page += f":not(:has(#earlier>li:nth-child({HISTORY + 2})))"
        return once_a_language(
            partial(self._engine.render, "room/trim.html", code=code, first=trim.first, page=page)
        )

    def newest(self, code: str, shown: Shown, look: Look) -> str:
        return self._engine.render(
            "room/replace_messages.html",
            look,
            code=code,
            page=shown.page,
            messages=joined(shown),
            name="",
            page_look=look.token,
        )

    def earlier(
        self,
        code: str,
        shown: Shown,
        look: Look,
        room: Room | None = None,
        before: int | None = None,
        *,
        is_behind: bool = False,
    ) -> str:
        """`room` is what it is called, where it begins; a page that is behind says when that is seen.

        A page that does not ask for more by itself stays with the message `before`, above which they come.
        """
        messages = Markup("".join(shown.fragments))  # noqa: S704
        return self._engine.render(
            "room/insert_earlier.html",
            look,
            code=code,
            page=shown.page,
            messages=messages,
            name=name_of(room) if room else "",
            before=before,
            is_behind=is_behind,
        )

    def later(self, code: str, shown: Shown, look: Look) -> str:
        messages = Markup("".join(shown.fragments))  # noqa: S704
        return self._engine.render(
            "room/append_later.html", look, code=code, page=shown.page, messages=messages
        )


def joined(shown: Shown) -> Markup:
    """The messages of a page, which were rendered before. Only the last one says how far the page goes."""
    *others, last = shown.fragments or [""]
    return Markup("".join([SINCE.sub("", "\n\n".join([*others, ""])), last, "\n\n"]))  # noqa: S704
