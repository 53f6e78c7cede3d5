"""Look-alike names: who could be taken for whom."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model.invisible import INVISIBLE
from chat.model.lookalikes import skeleton
from chat.model.members import clean_name

UNSEEN = [c for c in map(chr, range(sys.maxunicode + 1)) if INVISIBLE.match(c)]


def _alike(one: str, other: str) -> bool:
    a, b = skeleton(one), skeleton(other)
    return a.folded == b.folded or a.shape == b.shape


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "Ann"),
        ("Ann", "ann"),
        ("Ann", "ANN"),
        ("straße", "STRASSE"),
        ("Ann", "Ａｎｎ"),  # full width: NFKC
        ("fish", "ﬁsh"),  # a ligature: NFKC
        ("José", "Jose\u0301"),
        ("Anna", "Аnnа"),  # Cyrillic А and а
        ("Peter", "Реtеr"),  # Cyrillic Р and е
        ("Nikos", "Νikοs"),  # Greek Ν and ο
        ("paypal", "pаypаl"),
        ("Ian", "lan"),  # a capital I and a small L
        ("Ian", "ian"),
        ("lan", "1an"),
        ("BO", "B0"),
        ("modern", "rnodern"),
        ("Ann Lee", "Ann  Lee"),
        ("Ann Lee", "Ann\u00a0Lee"),
        ("Ann", "A\u200dnn"),  # a joiner that nobody sees
        ("Ann", "A\u200cnn"),
        ("Ann", "Ann\ufe0f"),
        ("Ann", "Ann\u3164"),
        ("Ann", "Ann\U000e0101"),
        ("Ann", "Ann\u17b5"),
        ("Ann", "Ann\u2800"),
        ("Ann", "A\u034fnn"),
        ("Ann", "\uffa0Ann"),
        ("José", "Jose\u034f\u0301"),
        ("Ann", "Ann\ufffc"),
        ("Jim", "Ji\u0307m"),
        ("Jack", "Ja\u03f2k"),  # a lunate sigma
        ("Paul", "Pau\u04cf"),  # a small palochka
        ("Cara", "\u03f9ara"),
        ("Fred", "\u017fred"),  # a long s
        ("Weiss", "Wei\u017fs"),
        ("Ann", "A\u200ann"),  # a hair space
        ("Jim", "J\u0456\u0307\u0307m"),
        ("jim", "j\u0307im"),
        ("Lịs", "Li\u0323\u0307s"),
    ],
)
def test_these_two_could_be_taken_for_one_another(one: str, other: str) -> None:
    assert _alike(one, other)
    assert _alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "Anna"),
        ("ian", "lan"),
        ("Ann", "Bob"),
        ("Jose", "José"),
        ("Ann Lee", "AnnLee"),
        ("李", "季"),
        ("Max", "Mex"),
    ],
)
def test_these_two_are_told_apart_by_anybody(one: str, other: str) -> None:
    assert not _alike(one, other)


def test_looks_are_stable_under_being_asked_again() -> None:
    assert skeleton("Аnn") == skeleton("Аnn")


@pytest.mark.parametrize("name", ["", " ", "\u0301", "👩\u200d🚀", "ﷺ", "\U0001d400", "x" * 32])
def test_any_name_has_a_skeleton(name: str) -> None:
    assert isinstance(skeleton(name).folded, str)


@given(
    st.text(st.characters(whitelist_categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=32),
    st.lists(st.tuples(st.integers(0, 32), st.sampled_from(UNSEEN)), max_size=10),
)
def test_no_invisible_character_makes_a_name_another_one(name: str, unseen: list[tuple[int, str]]) -> None:
    disguised = name
    for place, character in unseen:
        disguised = disguised[:place] + character + disguised[place:]
    assert skeleton(disguised) == skeleton(name)


@pytest.mark.parametrize("blank", ["\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"])
def test_a_blank_that_may_be_as_wide_as_a_space_becomes_one(blank: str) -> None:
    assert clean_name(f"{blank}Ann{blank}Lee{blank}") == "Ann Lee"
