"""Messages of the usual kind, from stencils: 7 µs instead of 40."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

from markupsafe import escape

from chat.model.formatting import is_action
from chat.model.messages import Message, Previous
from chat.views.formatted import Formatted, formatted
from chat.views.look import WORDS, Look, Render
from chat.views.palette import PALETTE, colour, initials
from chat.views.stencils import Stencil
from chat.views.timed_message import TimedMessage
from chat.views.times import begins_day, iso, with_holes

AT = 1_234_567_890_123  # ms; nothing else looks like its 2009-02-13T23:31:30Z
ID, REV, AUTHOR = 987_654_321_987, 876_543_210_876, 765_432_109_768

Place = Literal["begins a day", "begins a run", "goes on"]


_escaped = lru_cache(4096)(escape)  # of codes and names, which are short


class PlainMessages:
    """Renders a text that has nothing besides; None for any other message."""

    def __init__(
        self,
        shape: Callable[[str, Message, Look], str],
        format: Callable[[str], Formatted] = formatted,
    ) -> None:
        self._shape = shape
        self._format = format
        self._stencil = lru_cache(WORDS * 3 * PALETTE)(self._cut)

    def message(self, code: str, message: Message) -> Render | None:
        author, body = message.author, message.body
        if message.kind != "text" or author is None or body is None or message.meta or message.mark > 1:
            return None
        text = self._format(body)
        if text.styled or is_action(body):
            return None
        values: dict[str, object] = {
            "code": _escaped(code),
            "id": message.id,
            "author": author,
            "name": _escaped(message.name),
            "initials": _escaped(initials(message.name)),
            "iso": iso(message.at),
            "body": text.html,  # what is not styled has no words, either
            "rev": message.rev,
        }
        return TimedMessage(message, partial(self._filled, values, colour(author), message))

    def _filled(self, values: dict[str, object], shade: int, message: Message, look: Look) -> str:
        """With holes for times: `look` is one of `with_holes`."""
        place: Place = "goes on" if message.continues else "begins a run"
        if begins_day(message, look):
            place = "begins a day"
        return self._stencil(look.language, shade, place).fill(values)

    def _cut(self, language: str, shade: int, place: Place) -> Stencil:
        author = next(seat for seat in range(AUTHOR, AUTHOR + 1000) if colour(seat) == shade)
        code, name, body = "the\ufdd0code", "\ufdd1\ufdd2", "the\ufdd0text"
        before = Previous(author if place == "goes on" else None, AT)
        message = Message(ID, REV, AT, author, name, 1, body, before=before)
        html = self._shape(code, message, with_holes(language, place == "begins a day"))
        values = {
            "code": code,
            "id": ID,
            "author": author,
            "name": name,
            "initials": initials(name),
            "iso": iso(AT),
            "body": body,
            "rev": REV,
        }
        return Stencil(html, values)
