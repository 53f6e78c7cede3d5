"""What a room is called and about: on its pages, and in place of that on the live ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from chat.model.codes import grouped
from chat.model.rooms import Room
from chat.model.unread import Unread
from chat.views.engine import Engine
from chat.views.look import Look
from chat.views.numbers import counted
from chat.views.reader import Reader
from chat.views.stencils import Stencil

HEADINGS = 1024  # that are kept, each a KiB or two: every page of a room has one
TITLES = 512  # of windows, for some number of what is unread
NAME = "\ufdd0name"


class Rooms:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render
        self._page = engine.page
        self._cached = lru_cache(HEADINGS)(self._heading)
        self._titles = lru_cache(TITLES)(self._title)

    def heading(self, room: Room, look: Look) -> Markup:
        """The title and topic at the top of a page."""
        return self._cached(room, look.words)

    def _heading(self, room: Room, look: Look) -> Markup:
        return Markup(self._render("room/_title.html", look, room=room))  # noqa: S704

    def title(self, room: Room, look: Look) -> str:
        """The panel in place of the one before, and the title of the browser's window."""
        return self._render("room/replace_title.html", look, room=room, name=name_of(room))

    def unread(self, room: Room, unread: Unread, look: Look) -> str:
        """The title and the icon of a window that shows how much is unread; the usual ones for nothing."""
        return self._unread(name_of(room), unread, look)

    def unread_at_home(self, unread: Unread, look: Look) -> str:
        return self._unread("", unread, look)

    def _unread(self, name: str, unread: Unread, look: Look) -> str:
        return self._titles(NAME if name else "", unread, look.words).fill({"name": escape(name)})

    def _title(self, name: str, unread: Unread, look: Look) -> Stencil:
        numbers = {"number": counted(unread.texts), "mentions": counted(unread.mentions)}
        html = self._render("room/replace_unread.html", look, name=name, unread=unread, **numbers)
        return Stencil(html, {"name": NAME})

    def form(
        self,
        room: Room,
        template: str,
        reader: Reader,
        fields: Mapping[str, str],
        failure: object = None,
        *,
        live: bool,
    ) -> str:
        """The form of an action, perhaps with what was typed and why it was not done.

        It stands below the heading of a live page, else on the page that is beside it.
        """
        return self._page(
            "room/show_form.html" if live else template.replace("form.html", "page.html"),
            reader,
            room=room,
            form=template,
            name=name_of(room),
            failure=failure,
            fields=fields,
            live=live,
        )

    def refused(self, failure: object, look: Look) -> str:
        """What takes the place of the form for those who may not use it."""
        return self._render("title/refused.html", look, failure=failure)

    def form_done(self, look: Look) -> str:
        """What takes the place of the form once it is done."""
        return self._render("title/form_done.html", look, saved=True)


def name_of(room: Room) -> str:
    """Its title, or else its code."""
    return room.title or grouped(room.code)
