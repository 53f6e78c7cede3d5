"""What is new to somebody: a line before the first text that they have not read, at which the page opens.

It is theirs alone, so it stands between the messages, which are the same for everybody.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import NamedTuple

from markupsafe import Markup

from chat.model.changes import Page
from chat.model.messages import Message
from chat.views.engine import Engine
from chat.views.look import Look
from chat.views.messages import Shown

SLOT = "new"


class NewLine(NamedTuple):
    """Of the messages of a page, `place` is that of the first unread one, before which the line stands."""

    place: int
    number: int  # of unread ones on the page; 0 if that is not said
    read: int  # up to where everything is read
    is_beyond: bool  # there may be others before the page
    first: int  # the id of the first unread message, if that is known
    oldest: int = 0  # the id of the first message on the page


def new_line(page: Page, read: int, seats: Container[int], is_all: bool = False) -> NewLine | None:
    """None if nothing on the page is new to somebody who has read up to a rev.

    What comes from `seats` is not: their own, and those that they ignore. `is_all` says that nothing before
    the page is new.
    """
    new = [place for place, message in enumerate(page.messages) if is_unread(message, read, seats)]
    if not new:
        return None
    oldest = page.messages[0].id
    is_beyond = not is_all and page.more and oldest > read + 1
    place = 0 if is_beyond else new[0]
    return NewLine(place, len(new), read, is_beyond, page.messages[place].id, oldest)


def is_unread(message: Message, read: int, seats: Container[int]) -> bool:
    """Notices, own texts and deleted ones never are."""
    return message.id > read and message.is_text and message.author not in seats


class NewLines:
    """Everything on a page that is about the line; empty where there is none."""

    def __init__(self, engine: Engine) -> None:
        self._render = engine.render

    def head(self, line: NewLine | None, look: Look) -> Markup:
        return self._part("unread/_head.html", line, look)

    def trigger(self, line: NewLine | None, code: str, look: Look) -> Markup:
        """What brings the line into view, where there is JavaScript."""
        return self._part("unread/_show.html", line, look, code)

    def put_into(self, shown: Shown, line: NewLine | None, code: str, look: Look) -> Shown:
        """The page with the line before its message."""
        if line is None:
            return shown
        html = self._part("unread/_line.html", line, look, code)
        fragments = [*shown.fragments[: line.place], html, *shown.fragments[line.place :]]
        return replace(shown, fragments=fragments)

    def slotted(self, line: NewLine | None, code: str, look: Look) -> Markup:
        """The line for the live page without JavaScript, whose place there is `SLOT`."""
        html = self._part("unread/_line.html", line, look, code)
        return Markup(str(html).replace("<li", f"<li role=listitem slot={SLOT}", 1))  # noqa: S704

    def _part(self, template: str, line: NewLine | None, look: Look, code: str = "") -> Markup:
        return Markup(self._render(template, look, line=line, code=code, is_live=False) if line else "")  # noqa: S704


class UnreadFragments:
    """What a live page is shown of what is unread there."""

    def __init__(self, engine: Engine) -> None:
        self._render = engine.render

    def marked(self, id: int, look: Look) -> str:
        """The message is chosen no more, and it is said what that does."""
        return self._render("unread/marked.html", look, id=id)

    def line(self, code: str, first: int, look: Look) -> str:
        """The line before a message, or at the top of a page that does not have it; none for 0."""
        there, beyond = (NewLine(0, 0, first - 1, is_beyond, first) for is_beyond in (False, True))
        return self._render(
            "unread/replace_line.html", look, code=code, first=first, there=there, beyond=beyond
        )

    def focus(self, is_said: bool, look: Look) -> str:
        """Whether the page says that it has the focus when it comes back."""
        return self._render("unread/replace_focus.html", look, is_said=is_said)


def with_slot(places: list[int], page: Page, line: NewLine | None) -> list[int | str]:
    """The places of messages, and that of the line before one of them."""
    if line is None:
        return list(places)
    at = places.index(page.messages[line.place].id)
    return [*places[:at], SLOT, *places[at:]]


def stream_query(line: NewLine | None) -> str:
    """What the live page without JavaScript is asked for: by then, this page counts as read."""
    return f"?read={line.read}" if line else ""
