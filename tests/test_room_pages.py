"""The room's page from a stencil is what its templates make of the same values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model.changes import Page
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.meta import NO_META
from chat.model.rooms import Position, Room
from chat.views.assets import Assets, folder
from chat.views.days import Past
from chat.views.forms import Draft
from chat.views.look import LOOK, Look
from chat.views.messages import Shown
from chat.views.reader import Reader
from chat.views.renderer import Renderer
from chat.views.room_pages import RoomPages, RoomView
from chat.views.stencils import Values

RENDER = Renderer(folder("templates"), Assets(folder("static")))
READER = Reader(LOOK)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12)
CODES = st.text("BCDFGHJKMNPQRSTVWXYZ23456789", min_size=8, max_size=16)


def message(id: int, kind: Any) -> Message:
    return Message(id, id, 1_700_000_000_000, 1, "Ann", 1, "Hello", kind, NO_META, None)


@given(
    CODES,
    st.lists(st.integers(1, 9999), min_size=1, max_size=3),
    st.lists(st.sampled_from(["text", "notice"]), min_size=1, max_size=3),
    WORDS,
    WORDS,
    WORDS,
    st.dictionaries(st.sampled_from(["title", "topic"]), WORDS),
    st.lists(WORDS, max_size=3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_page_from_a_stencil_is_the_one_of_its_templates(
    code: str,
    seats: list[int],
    kinds: list[str],
    epoch: str,
    host: str,
    key: str,
    said: dict[str, str],
    names: list[str],
    older: bool,
    more: bool,
    later: bool,
    frozen: bool,
) -> None:
    member = Member(code, 7, "person", "Ann", 1)
    people = [Member(code, number, "other", name, 1) for number, name in enumerate(names, 8)]
    messages = [message(41 + n, kind) for n, kind in enumerate(kinds)]
    shown = Shown(
        Page(messages, Position(epoch, 99), more, later), [f"<li>{name} &amp; %s</li>" for name in kinds]
    )
    link = f"http://{host}/rooms/{code}"
    values = member, Room(code, epoch, 0, said), seats, shown, people, link, Draft(code, key=key)
    view = RoomView(*values, past=Past() if older else None, frozen=frozen)
    page = RENDER.pages.room(view, READER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RENDER.pages, "_room_pages", WithoutStencil(RENDER.pages._room))
        plain = RENDER.pages.room(view, READER)
    assert page == plain
    assert "\ufdd0" not in page


class WithoutStencil(RoomPages):
    def page(self, member: Member, shown: Shown, look: Look, past: Past | None, given: Values) -> str:
        values = {"draft": "", "acked": 0, "life": "", "many_lines": False, "error": "", "quoted": None}
        values |= {"saved": 0, "others": (), "offered": None, "kept": False}
        return self._render(look, member=member, page=shown.page, past=past, **values, **given)


def test_what_was_typed_stands_in_the_field_again() -> None:
    member = Member("BCDFGHJK", 7, "person", "Ann", 1)
    shown = Shown(Page([], Position("epoch", 0), False), [])
    draft = Draft("BCDFGHJK", ["typed <b>"], "key", 2, True)
    view = RoomView(member, Room("BCDFGHJK", "", 0), [7], shown, [], "link", draft)
    page = RENDER.pages.room(view, READER)
    assert 'value="typed &lt;b&gt;"' in page
    assert 'value="key.2"' in page
