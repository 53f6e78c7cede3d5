"""The lines of the live page without JavaScript: a message that changes is shown in its place.

What a browser has read it cannot take back. So the page begins with a shadow tree of places, one slot for
each message, and every line names its slot; one that comes later for the same message goes to the same
place. With each line comes a radio button: of those with one name the newest is on, which turns off the
one before, and the stylesheet hides a line whose button is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chat.model.messages import Message

PLACES = 400  # for messages yet to come; those beyond, and what changes of them, are put at the end

Line = tuple[Message, str]  # with its HTML as everybody gets it


class StreamLines:
    """`messages` are those that the page begins with, `rev` is that of the room then."""

    def __init__(self, messages: Iterable[Message], rev: int) -> None:
        ids = [message.id for message in messages]
        self.first = min(ids, default=rev + 1)
        self._newest = max(ids, default=0)
        self._last_place = rev + PLACES
        self._answered: set[int] = set()
        self.places = [*ids, *range(rev + 1, self._last_place + 1)]

    def of(self, lines: Iterable[Line]) -> Iterator[str]:
        """New messages and new versions of those on the page."""
        for message, html in lines:
            if message.id >= self.first:
                if message.quoted:
                    self._answered.add(message.quoted.id)
                self._newest = max(self._newest, message.id)
                yield _line(html, self._slot(message.id), message.id)

    def answers(self, message: Message) -> bool:
        """Whether something on the page answers this message, and so shows its first words."""
        return message.id in self._answered

    def aside(self, html: str) -> str:
        """A line that is no message, after the newest one."""
        return html.replace("<li", f"<li{self._slot(self._newest)}", 1)

    def _slot(self, id: int) -> str:
        return f" slot={id}" if 0 < id <= self._last_place else ""


def _line(html: str, slot: str, id: int) -> str:
    # Without autocomplete=off, Firefox and Chromium would restore the buttons of the page before a reload.
    button = f"<input type=radio name=version-{id} checked hidden autocomplete=off></li>\n"
    return html.replace("<li", f"<li role=listitem{slot}", 1).removesuffix("</li>") + button
