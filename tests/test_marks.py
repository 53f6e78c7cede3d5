"""Marks: shown alike wherever a name stands, and nobody's name can look like a marked one."""

from __future__ import annotations

import unicodedata
from contextlib import AsyncExitStack

import pytest
from deployments import ON_BOTH
from hypothesis import given
from hypothesis import strategies as st
from people import Person, Turn, notices
from quart import Quart

from chat.model.errors import Refused
from chat.model.marks import ends_like_a_mark, label, unlabelled
from chat.model.members import clean_name

LIKE_MARKS = [
    "Ann²",
    "Ann (2)",
    "Ann(2)",
    "Ann ②",
    "Ann ⁽²⁾",
    "Ann [2]",
    "Ann {2}",
    "Ann <2>",
    "Ann ( 2 )",
    "Ann ❷",
    "Ann ➁",
    "Ann ₂",
    "Ann ⑫",
    "Ann ⒉",
    "Ann（２）",
    "Ann 【2】",
    "Ann 〔2〕",
    "Ann «2»",
    "Ann ⓶",
    "Ann ²²",
    "Ann ⑴",
    "Ann 🄃",
    "Ann²\ufe0f",
    "Ann²\u200d",
    "Ann²\u0301",
    "Ann 2\ufe0f\u20e3",
    "Ann2\u20dd",
    "Ann\ua8e2",
    "Ann (٢)",
    "Ann (2\u0301)",
    "Ann (100000)",
    "A²",
    "👩\u200d🚀②",
    "Ann Lee²",
    "Ann (З)",
    "Ann (ƨ)",
    "Ann (Ƨ)",
    "Ann (ᒿ)",
    "Ann (1l)",
    "Ann [Зƨ]",
]
FINE = [
    "Ann 2",
    "R2D2",
    "Ann2",
    "Ann ½",
    "H₂O",
    "Ann (2) Lee",
    "Ann ²nd",
    "2",
    "²",
    "(2)",
    "②",
    "Ann 2.",
    "Ann (x)",
    "Ann (v2)",
    "Ann (II)",
    "Ann (Зоя)",
    "Ann (OS)",
    "Agent 007",
    "#2",
    "Ann-2",
    "Ann #2",
    "ሀ፪",
    "🩷 Ann",
    "🥇",
]


@pytest.mark.parametrize("name", LIKE_MARKS)
def test_a_name_that_looks_like_a_marked_one_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_name(name)
    assert refused.value.field == "name"
    assert refused.value.text == (
        "Please leave out the small, circled or bracketed number at the end: "
        "such numbers tell people with the same name apart."
    )


@pytest.mark.parametrize("name", FINE)
def test_a_number_elsewhere_in_a_name_is_welcome(name: str) -> None:
    assert clean_name(name) == name


@given(
    st.text(st.characters(whitelist_categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=10),
    st.integers(2, 999),
    st.sampled_from(["({})", "[{}]", " ({})", " ( {} )", "\uff08{}\uff09", "{{{}}}"]),
    st.sampled_from(["0123456789", "０１２３４５６７８９", "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"]),
)
def test_no_name_can_be_written_like_a_mark_in_any_digits(
    name: str, mark: int, brackets: str, digits: str
) -> None:
    number = str(mark).translate(dict(enumerate(digits, ord("0"))))
    assert ends_like_a_mark(name + brackets.format(number))
    if unicodedata.category(digits[0]) == "No":
        assert ends_like_a_mark(name + number)


@given(st.text(max_size=200))
def test_any_text_can_be_asked_about(text: str) -> None:
    assert ends_like_a_mark(text) in {True, False}


@given(st.text(max_size=32).filter(lambda name: not ends_like_a_mark(name)), st.integers(1, 10**6))
def test_a_label_can_be_taken_apart_again(name: str, mark: int) -> None:
    assert unlabelled(label(name, mark)) == (name, mark)


@ON_BOTH
async def test_notices_show_a_mark_as_messages_do(
    app: Quart, alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    twins = [Person(app, name) for name in ("Bob", "BOB")]
    for twin in twins:
        await twin.join(code)
    async with AsyncExitStack() as stack:
        for person in (bob, *twins):
            await stack.enter_async_context(person.in_room(code))
            await turn(2)
        page = await alice.look(code)
    notice = page.all("li.notice p")[-1]
    assert [name.text for name in notice.all("bdi")] == ["Bob", "Bob", "BOB"]
    assert [mark.text for mark in notice.all("sup.mark")] == ["2", "3"]
    assert notices(page) == ["Bob, Bob2 and BOB3 are here for the first time"]
    assert "(2)" not in notice.text
