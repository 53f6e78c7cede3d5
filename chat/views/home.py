"""Home, and the list of a person's rooms wherever it stands."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from markupsafe import Markup

from chat.model.codes import grouped
from chat.store.members import Left
from chat.store.my_rooms import Home, MyRoom
from chat.views.engine import Engine
from chat.views.forms import Form
from chat.views.look import Look
from chat.views.numbers import counted
from chat.views.palette import initials
from chat.views.quotes import one_line
from chat.views.reader import Reader

LINE = 100  # characters of the last line that are sent; the page shows as many as fit


class HomePages:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render
        self._page = engine.page

    def page(
        self,
        form: Form,
        home: Home | None,
        now: int,
        reader: Reader,
        known: bool = False,
        left: Left | None = None,
    ) -> str:
        """`home` is None if the rooms cannot be read just now.

        `known` says that the browser has a cookie of ours, `left` which room its person left just now.
        """
        name = home.name if home else ""
        rooms = self.rooms(home.rooms, now, reader.look) if home and home.rooms else None
        first = "" if rooms else "title" if name else "name"
        form = Form({"name": name} | form.values, form.errors, first)
        values = {"rooms": rooms, "is_missing": home is None, "name": name}
        return self._page("home.html", reader, form=form, known=known, left=left, **values)

    def rooms(self, rooms: Sequence[MyRoom], now: int, look: Look, current: str = "") -> Markup:
        """The list `#rooms`, `current` being the code of the room that it stands beside.

        It is templates/rooms/my_rooms.html, given `rooms`: what `chat.store.my_rooms` returns.
        """
        html = self._render("rooms/my_rooms.html", look, rooms=rooms, now=now, current=current, **HELPERS)
        return Markup(html)  # noqa: S704

    def rail(self, rooms: Sequence[MyRoom], now: int, look: Look, current: str) -> str:
        """The list beside a room, and what keeps it current."""
        shown = self.rooms(rooms, now, look, current)
        return self._render("rooms/rail.html", look, rooms=shown, current=current)

    def replaced_row(self, room: MyRoom, now: int, look: Look) -> str:
        """A room in place of what the list says of it, wherever that stands."""
        return self._render("rooms/replace_row.html", look, one=room, now=now, current="", **HELPERS)

    def badge(self, rooms: Sequence[MyRoom], look: Look, current: str) -> str:
        """How much is unread in the other rooms, and what keeps that current."""
        return self._badge("rooms/badge.html", rooms, look, current)

    def replaced_badge(self, rooms: Sequence[MyRoom], look: Look, current: str) -> str:
        """The same in place of the one before."""
        return self._badge("rooms/replace_badge.html", rooms, look, current)

    def _badge(self, template: str, rooms: Sequence[MyRoom], look: Look, current: str) -> str:
        others = [one for one in rooms if one.room.code != current]
        unread, mentions = sum(one.unread for one in others), sum(one.mentions for one in others)
        values = {"unread": unread, "mentions": mentions, "counted": counted}
        return self._render(template, look, current=current, **values)


def shade(code: str) -> int:
    """A number for the colour of a room, the same on every page."""
    return zlib.crc32(code.encode())


def tile(room: MyRoom) -> str:
    """The letters that stand for a room."""
    return initials(room.room.title) if room.room.title else room.room.code[:2]


def last_line(body: str) -> str:
    return one_line(body, 4 * LINE, LINE)


HELPERS = {"shade": shade, "tile": tile, "last_line": last_line, "counted": counted, "grouped": grouped}
