"""Those whom a member ignores: hidden by a stylesheet, for the HTML is the same for everybody.

The message that a page is about is shown all the same: the reader has asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from chat.model.members import Member
from chat.model.rooms import Room
from chat.views.assets import version_of
from chat.views.engine import Engine
from chat.views.look import Look
from chat.views.reader import Reader
from chat.views.rooms import name_of

IGNORED = """\
.m[data-by="SEAT"]:not([aria-current])>:not(h2),.m.on[data-by="SEAT"]:not([aria-current]){display:none}
.m[data-by="SEAT"]:not([aria-current])::after{content:var(--hidden,"Hidden message") / ""}
.m[data-by="SEAT"]::after{font-size:.8rem;color:var(--soft)}
.quote[data-of="SEAT"]>*{display:none}
.quote[data-of="SEAT"]::after{content:var(--hidden,"Hidden message")}
#by-SEAT{color:var(--soft)}
#by-SEAT bdi::after{content:var(--ignored," (ignored)")}
"""
VERSION = version_of(IGNORED.encode())


class Ignored:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render
        self._page = engine.page

    def link(self, seats: Sequence[int], look: Look) -> Markup:
        """The stylesheet, for the head of a page; nothing for most people."""
        if not seats:
            return Markup()
        return Markup(self._render("ignore/_link.html", look, url=url(seats)))  # noqa: S704

    def show(self, seats: Sequence[int], look: Look) -> str:
        """The stylesheet in place of the one that a live page has."""
        return self._render("ignore/replace_link.html", look, url=url(seats) if seats else "")

    def page(
        self, room: Room, people: Iterable[tuple[Member, bool]], reader: Reader, failure: object = None
    ) -> str:
        """The people of a room, and whether each is ignored."""
        return self._page(
            "ignore/page.html", reader, room=room, name=name_of(room), people=list(people), failure=failure
        )


def ignored_style(seats: Iterable[int]) -> str:
    return "".join(IGNORED.replace("SEAT", str(seat)) for seat in seats)


def url(seats: Sequence[int]) -> str:
    """Its address holds the version of the rules: browsers keep it for ever."""
    return f"/seats/{VERSION}/ignored/{'.'.join(map(str, seats))}.css"
