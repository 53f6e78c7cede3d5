"""A message in every zone: rendered once for each language, and the times of each zone put in."""

from __future__ import annotations

from chat.model.messages import Message
from chat.views.look import Look, Render
from chat.views.times import CLOCK_HOLE, DAY_HOLE, ISODAY_HOLE, begins_day, clock, day, isoday, with_holes


class TimedMessage:
    """However many zones there are in a room, its template is rendered at most twice for each language."""

    __slots__ = ("_made", "_message", "_render")

    def __init__(self, message: Message, render: Render) -> None:
        self._message = message
        self._render = render
        self._made: dict[tuple[str, bool], str] = {}

    def __call__(self, look: Look) -> str:
        at, begins = self._message.at, begins_day(self._message, look)
        html = self._with_holes(look.language, begins).replace(CLOCK_HOLE, clock(at, look))
        if begins:
            html = html.replace(DAY_HOLE, day(at, look)).replace(ISODAY_HOLE, isoday(at, look))
        return html

    def _with_holes(self, language: str, begins: bool) -> str:
        html = self._made.get((language, begins))
        if html is None:
            # Plain: what is put in is HTML.
            html = self._made[language, begins] = str(self._render(with_holes(language, begins)))
        return html
