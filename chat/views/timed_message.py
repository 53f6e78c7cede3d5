"""A message in every zone: rendered once for each language, and the times of each zone put in."""

from __future__ import annotations

from chat.model.messages import Message
from chat.views.look import Look, Render
from chat.views.times import CLOCK_HOLE, DAY_HOLE, ISODAY_HOLE, begins_day, clock, day, isoday, with_holes


class TimedMessage:
    """However many zones there are in a room, its template is rendered at most twice for each language."""

    def __init__(self, message: Message, render: Render) -> None:
        self._message = message
        self._render = render
        self._made: dict[Look, str] = {}

    def __call__(self, look: Look) -> str:
        at, begins = self._message.at, begins_day(self._message, look)
        html = self._with_holes(with_holes(look, begins)).replace(CLOCK_HOLE, clock(at, look))
        if begins:
            html = html.replace(DAY_HOLE, day(at, look)).replace(ISODAY_HOLE, isoday(at, look))
        return html

    def _with_holes(self, look: Look) -> str:
        html = self._made.get(look)
        if html is None:
            html = self._made[look] = str(self._render(look))  # plain: what is put in is HTML
        return html
