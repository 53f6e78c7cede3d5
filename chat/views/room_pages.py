"""The page of a room as most people get it, from stencils: a tenth of the time that its templates take."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup, escape

from chat.model.codes import grouped
from chat.model.members import Member
from chat.views.days import Past
from chat.views.look import NO_ZONE, WORDS, Look
from chat.views.messages import Shown
from chat.views.stencils import Stencil, Values

KINDS = 64  # of the past, with earlier and later messages, with a text, in a zone, and by which clock

# Characters that Unicode keeps free of meaning: no page holds them.
CODE = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4"
HOLES: Values = {
    "code": CODE,
    "grouped": grouped(CODE),
    "style": Markup("\ufde1"),
    "page_look": "\ufde4",
    "own_style": "\ufdd5",
    "link": "\ufdd6",
    "link_quoted": "\ufde0",
    "key": "\ufdd7",
    "epoch": "\ufdd8",
    "messages": Markup("\ufdd9"),
    "roster": Markup("\ufdda"),
    "heading": Markup("\ufdde"),
    "name": "\ufddf",
    "oldest": 10**9 + 1,
    "newest": 10**9 + 3,
    "count": 10**9 + 2,
    "me": Markup("\ufde2"),
    "new_head": Markup("\ufde6"),
    "new_trigger": Markup("\ufde7"),
    "stream": "\ufde8",
}
SOMEBODY = Member(CODE, 0, "\ufddb", "\ufddc", 1)


class RoomPages:
    """Pages with an empty field of one line, and with nothing wrong. `render` makes any page."""

    def __init__(self, render: Callable[..., str]) -> None:
        self._render = render
        self._stencil = lru_cache(WORDS * KINDS)(self._cut)

    def page(
        self,
        member: Member,
        shown: Shown,
        look: Look,
        *,
        style: Markup,
        page_look: str,
        own_style: str,
        me: Markup,
        new_head: Markup,
        new_trigger: Markup,
        stream: str,
        messages: Markup,
        roster: Markup,
        count: int,
        heading: Markup,
        name: str,
        link: str,
        link_quoted: str,
        key: str,
        past: Past | None,
    ) -> str:
        page = shown.page
        has_text = any(message.kind == "text" for message in page.messages)
        return self._stencil(_without_zone(look), past, page.more, page.later, has_text).fill(
            {
                "code": escape(member.code),
                "grouped": escape(grouped(member.code)),
                "style": style,
                "page_look": page_look,
                "me": me,
                "new_head": new_head,
                "new_trigger": new_trigger,
                "stream": stream,
                "own_style": own_style,
                "heading": heading,
                "name": escape(name),
                "link": escape(link),
                "link_quoted": link_quoted,
                "key": escape(key),
                "epoch": escape(page.position.epoch),
                "messages": messages,
                "roster": roster,
                "count": count,
                "oldest": page.messages[0].id if page.messages else 0,
                "newest": page.messages[-1].id if page.messages else 0,
            }
        )

    def _cut(self, look: Look, past: Past | None, more: bool, later: bool, has_text: bool) -> Stencil:
        kind = "text" if has_text else "notice"
        messages = [SimpleNamespace(id=HOLES[name], kind=kind) for name in ("oldest", "newest")]
        position = SimpleNamespace(epoch=HOLES["epoch"])
        page: Any = SimpleNamespace(more=more, later=later, messages=messages, position=position)
        given = {name: HOLES[name] for name in GIVEN}
        return Stencil(self._render(look, member=SOMEBODY, page=page, past=past, **EMPTY, **given), HOLES)


GIVEN = (
    "style",
    "page_look",
    "me",
    "new_head",
    "new_trigger",
    "stream",
    "own_style",
    "messages",
    "roster",
    "count",
    "heading",
    "name",
    "link",
    "link_quoted",
    "key",
)
EMPTY: Values = {"draft": "", "acked": 0, "life": "", "many_lines": False, "error": "", "quoted": None}


def _without_zone(look: Look) -> Look:
    """Of the zone a page says no more than whether it is known; the messages are put in."""
    return look._replace(zone=NO_ZONE) if look.knows_zone else look
