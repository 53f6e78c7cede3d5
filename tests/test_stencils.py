"""What a stencil makes is what its template makes, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.model.messages import Message, Previous
from chat.views.assets import Assets, folder
from chat.views.look import LOOK, Look
from chat.views.palette import PALETTE
from chat.views.plain_messages import AUTHOR, ID, PlainMessages
from chat.views.renderer import Renderer
from chat.views.stencils import Stencil

RENDER = Renderer(folder("templates"), Assets(folder("static")))
CODE = "BCDFGHJK"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
times = st.integers(0, 4_000_000_000_000)
seats = st.integers(1, 10**6)
looks = st.sampled_from(
    [LOOK, Look(clock="12"), Look("de"), Look("ja", "Asia/Kathmandu"), Look("ar", "America/New_York", "12")]
)


def _shape(code: str, message: Message, look: Look = LOOK) -> str:
    return RENDER.engine.message(code, message, look)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Plain ones most of the time, each of their properties being another now and then."""
    at, author = draw(times), draw(seats)
    authors, moments = st.just(author) | st.none(), st.just(at) | st.integers(at - 10**6, at)
    before = draw(st.none() | st.builds(Previous, authors, moments))
    return Message(
        draw(st.integers(1, 10**9)),
        draw(st.integers(1, 10**9)),
        at,
        author,
        draw(texts),
        draw(st.just(1) | st.integers(1, 3)),
        draw(texts | st.none()),
        meta=draw(st.just({}) | st.builds(lambda at: {"edited": at}, times)),
        before=before,
    )


@given(messages(), looks)
def test_a_message_is_what_its_template_makes_of_it(message: Message, look: Look) -> None:
    assert RENDER.messages.message(CODE, message)(look) == _shape(CODE, message, look)


HARD = [
    "100% %s %(id)s %%",
    "<b>&\"'",
    "https://a.example/?a=1&b=%20",
    f"{ID} {AUTHOR}",
    "the\ufdd0text \ufdd0",
    "\\1 \\g<0>",
]


@pytest.mark.parametrize("body", HARD)
@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("starts_run", [True, False])
def test_nothing_in_a_text_or_a_name_is_taken_for_a_hole(name: str, body: str, starts_run: bool) -> None:
    at = 1_800_000_000_000
    for author in range(1, PALETTE + 2):
        before = Previous(None if starts_run else author, at)
        message = Message(12, 345, at, author, name, 1, body, before=before)
        plain = PlainMessages(_shape).message(CODE, message)
        assert plain is not None
        assert plain(LOOK) == _shape(CODE, message)


UNUSUAL: dict[str, dict[str, Any]] = {
    "edited": {"meta": {"edited": 1}},
    "something of a feature": {"meta": {"reactions": {"+": [1]}}},
    "deleted": {"body": None},
    "marked": {"mark": 2},
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_message_with_anything_besides_has_no_stencil(kind: str) -> None:
    usual: dict[str, Any] = {"mark": 1, "body": "text", "before": Previous(1, 1_800_000_000_000)}
    fields = {**usual, **UNUSUAL[kind]}
    message = Message(1, 1, 1_800_000_000_000, 1, "Ann", **fields)
    assert PlainMessages(_shape).message(CODE, message) is None
    assert RENDER.messages.message(CODE, message)(LOOK) == _shape(CODE, message)


@given(st.integers(1, 100), st.integers(0, 10**15))
@example(1, 10**9 + 1)
def test_an_acknowledgement_is_what_its_template_makes_of_it(controls: int, acked: int) -> None:
    expected = RENDER.engine.render("room/acknowledge.html", LOOK, controls=controls, acked=acked)
    assert RENDER.composer.acknowledged(controls, acked, LOOK) == expected


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True), st.lists(st.integers(0, 99)), st.integers(100, 999)
)
def test_so_is_that_of_a_page_s_life(life: str, counts: list[int], acked: int) -> None:
    expected = "".join(
        RENDER.engine.render("room/take_controls.html", LOOK, life=life, count=n, rest=acked - n, acked=acked)
        for n in counts
    )
    assert RENDER.composer.taken(life, counts, acked, LOOK) == expected


def test_values_that_are_alike_cannot_be_cut_out() -> None:
    with pytest.raises(ValueError, match="alike"):
        Stencil("a-b", {"one": 1, "two": "1"})
