"""The page of a room as most people get it, from stencils: a tenth of the time that its templates take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup, escape

from chat.model.codes import grouped
from chat.model.drafts import SavedDraft
from chat.model.members import Member
from chat.model.rooms import Room
from chat.views.days import Past
from chat.views.forms import Draft
from chat.views.look import NO_ZONE, WORDS, Look
from chat.views.messages import Shown
from chat.views.people import NOBODY
from chat.views.stencils import Stencil, Values
from chat.views.unread import NewLine

KINDS = 64  # of the past, with earlier and later messages, with a text, in a zone, and by which clock

# Characters that Unicode keeps free of meaning: no page holds them.
CODE = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4"
GIVEN: Values = {  # by the caller of `page`
    "style": Markup("\ufde1"),
    "page_look": "\ufde4",
    "own_style": "\ufdd5",
    "link": "\ufdd6",
    "link_quoted": "\ufde0",
    "key": "\ufdd7",
    "messages": Markup("\ufdd9"),
    "roster": Markup("\ufdda"),
    "heading": Markup("\ufdde"),
    "name": "\ufddf",
    "count": 10**9 + 2,
    "me": Markup("\ufde2"),
    "new_head": Markup("\ufde6"),
    "new_trigger": Markup("\ufde7"),
    "stream": "\ufde8",
}
HOLES: Values = {
    **GIVEN,
    "code": CODE,
    "grouped": grouped(CODE),
    "epoch": "\ufdd8",
    "oldest": 10**9 + 1,
    "newest": 10**9 + 3,
}
SOMEBODY = Member(CODE, 0, "\ufddb", "\ufddc", 1)


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room as one member sees it; a page of the past is without the live end.

    `people`, among them the member, are here, and `away` is as for `People.roster`. `frozen` says that they
    may be out of date. `new` is where that begins which the member has not read. `others` are drafts besides
    the one in the field, `offered` the first of whom one is to be mentioned, and how many more there are.
    `kept` says that a draft or a setting was saved just now.
    """

    member: Member
    room: Room
    seats: Sequence[int]
    shown: Shown
    people: Sequence[Member]
    link: str
    draft: Draft
    many_lines: bool = False
    error: str = ""
    past: Past | None = None
    frozen: bool = False
    away: tuple[Sequence[Member], int] = NOBODY
    new: NewLine | None = None
    others: Sequence[SavedDraft] = ()
    offered: tuple[Sequence[Member], int] | None = None
    kept: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether its field is empty and of one line, and nothing is wrong."""
        draft = self.draft
        typed = draft.text or draft.acked or draft.posted or draft.quoted
        asked = self.many_lines or self.offered is not None or self.kept
        return not (self.error or asked or typed or self.past not in (None, Past()))


class RoomPages:
    """Those that are usual. `render` makes any page."""

    def __init__(self, render: Callable[..., str]) -> None:
        self._render = render
        self._stencil = lru_cache(WORDS * KINDS)(self._cut)

    def page(self, member: Member, shown: Shown, look: Look, past: Past | None, given: Values) -> str:
        """`given` has what is named in GIVEN."""
        page, messages = shown.page, shown.page.messages
        has_text = any(message.kind == "text" for message in messages)
        values = {name: given[name] for name in GIVEN} | {
            "code": member.code,
            "grouped": grouped(member.code),
            "epoch": page.position.epoch,
            "oldest": messages[0].id if messages else 0,
            "newest": messages[-1].id if messages else 0,
        }
        stencil = self._stencil(_without_zone(look), past, page.more, page.later, has_text)
        return stencil.fill({name: escape(value) for name, value in values.items()})

    def _cut(self, look: Look, past: Past | None, more: bool, later: bool, has_text: bool) -> Stencil:
        kind = "text" if has_text else "notice"
        messages = [SimpleNamespace(id=HOLES[name], kind=kind) for name in ("oldest", "newest")]
        position = SimpleNamespace(epoch=HOLES["epoch"])
        page: Any = SimpleNamespace(more=more, later=later, messages=messages, position=position)
        return Stencil(self._render(look, member=SOMEBODY, page=page, past=past, **EMPTY, **GIVEN), HOLES)


EMPTY: Values = {
    "draft": "",
    "acked": 0,
    "life": "",
    "many_lines": False,
    "error": "",
    "quoted": None,
    "saved": 0,
    "others": (),
    "offered": None,
    "kept": False,
}


def _without_zone(look: Look) -> Look:
    """Of the zone a page says no more than whether it is known; the messages are put in."""
    return look._replace(zone=NO_ZONE) if look.knows_zone else look
