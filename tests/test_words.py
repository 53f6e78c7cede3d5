"""Which words a text has, and what a query asks for."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model.errors import Refused
from chat.model.messages import Message
from chat.model.search import LENGTH, WORDS, Me, names_rooms, parse_query
from chat.model.words import FOLDED, WORD, _folding, pieces_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World! It's 9:30", "hello world it s 9 30"),
        ("C++ --flag foo_bar ver1.1 a@b.example", "c flag foo bar ver1 1 a b example"),
        ("Wörter ÉTÉ Łódź Straße İstanbul ısı Ærø", "worter ete lodz strasse istanbul isi aero"),
        ("e\u0301te\u0301 = été", "ete ete"),
        ("Ｆｕｌｌ ﬁne ① x²", "full fine 1 x2"),
        ("Ёлка ПРИВЕТ Άρης", "елка привет αρησ"),
        ("日本語です", "日 本 語 で す"),
        ("か\u3099 が ﾊﾞ", "が が バ"),
        ("한국어", "한 국 어"),
        ("كِتَاب ـــ می\u200cخواهم", "كتاب میخواهم"),
        ("שָׁלוֹם", "שלום"),
        ("हिन्दी में", "हिन्दी में"),
        ("สวัสดี", "ส ว ั ส ด ี"),
        ("go🎉 👍🏽", "go 🎉 👍 🏽"),
        ("¿? … — 、。 _", ""),
    ],
)
def test_the_words_of_a_text(text: str, words: str) -> None:
    assert words_of(text) == words.split()


@given(st.text(max_size=300))
def test_words_are_the_same_however_their_characters_are_composed(text: str) -> None:
    composed, taken_apart = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    if unicodedata.normalize("NFC", taken_apart) == composed:
        assert words_of(composed) == words_of(unicodedata.normalize("NFC", taken_apart))
    assert all(0 < len(word) <= WORD and " " not in word for word in words_of(text))


@given(st.text(alphabet="aé日か\u3099\u0301 🎉_.한½ß", max_size=60))
def test_where_the_words_are_is_known(text: str) -> None:
    pieces = list(pieces_of(text))
    assert all(one.end <= other.start for one, other in pairwise(pieces))
    assert all(piece.start < piece.end <= len(text) for piece in pieces)
    if "½" not in text:
        assert [word for piece in pieces for word in piece.words] == words_of(text)


@pytest.mark.parametrize("marks", ["\u0301", "\u0327\u0301", "\u0e48\u0e49", "\u3099", "\u0591\u05a5"])
def test_marks_piled_up_take_no_longer_than_letters(marks: str) -> None:
    """Normalising takes the square of their number: no more than a few are looked at together."""
    assert len(words_of("é" + marks * 4000)) < 10_000
    assert sum(1 for _ in pieces_of("é" + marks * 4000)) < 10_000


def test_characters_of_strangers_fill_no_memory() -> None:
    codes = range(0x10000, 0x10000 + 3 * FOLDED)
    text = "".join(map(chr, codes))
    words = words_of(text)
    assert len(_folding) <= FOLDED
    assert sum(1 for _ in pieces_of(text)) > 0
    assert len(_folding) <= FOLDED
    assert words_of(text) == words


def finds(text: str, body: str, name: str = "Ann") -> bool:
    query = parse_query(text)
    assert query
    return query.matches(Message(1, 1, 0, 1, name, 1, body), Me())


@pytest.mark.parametrize(
    ("text", "body", "is_found"),
    [
        ("tide", "High TIDE", True),
        ("tide", "tides", True),
        ('"tide"', "tides", False),
        ("tide high", "high tide", True),
        ("ti high", "tide high", False),
        ("t", "tide", False),
        ('"high tide"', "tide, high tide", True),
        ('"high tide"', "tide high", False),
        ('"high tide', "tide: high", True),
        ("foo_bar", "foo_bar", True),
        ("foo_bar", "bar foo", False),
        ("C++", "in C++", True),
        ("AND OR NOT", "and, or, not", True),
        ("a* -b (c", "a b c", True),
        ("かな", "なか", False),
        ("かな", "ひらかなだ", True),
        ("日語", "日本語", False),
        ("عربي", "نص عربيّ", True),
        ("from:ann", "anything", True),
        ("from:ANN tide", "tide", True),
        ("from:bob", "ann", False),
        ("has:link", "see www.example.org", True),
        ("has:link", "see https://example.org/x", True),
        ("has:link", "see the link", False),
        ("from:ann has:link x", "https://a.example x", True),
    ],
)
def test_what_a_query_finds(text: str, body: str, is_found: bool) -> None:
    assert finds(text, body) is is_found


def test_names_have_words_too() -> None:
    assert finds('from:"ann lee"', "x", "Ann Lee")
    assert finds("from:lee", "x", "Ann Lee")
    assert not finds('from:"lee ann"', "x", "Ann Lee")


@given(st.text(max_size=60).filter(lambda text: bool(words_of(text))))
def test_a_text_is_found_by_itself(text: str) -> None:
    """Whatever is pasted into the field. As filters are words, too, it is put in quotes."""
    plain = text.replace('"', " ")
    assert not words_of(plain) or len(words_of(plain)) > WORDS or finds(f'"{plain}"', text)


@pytest.mark.parametrize(
    ("text", "is_meant"), [("in:b", False), ("in:bcd", False), ("in:bcdf", True), ("in:bcdf-2", True)]
)
def test_a_room_is_named_by_no_less_than_a_group_of_its_code(text: str, is_meant: bool) -> None:
    query = parse_query(text)
    assert query
    assert query.may_be_in("", "BCDF23456789") is is_meant


def test_what_is_too_long_to_be_searched_for_names_no_rooms() -> None:
    assert names_rooms("in:" + "x" * (LENGTH - 3))
    assert not names_rooms("in:" + "x" * (LENGTH - 2))


def test_nothing_typed_is_no_query() -> None:
    assert parse_query("") is None
    assert parse_query(" \n") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("?!", "type letters"),
        ("from:", "a name right after"),
        ("from: ann", "a name right after"),
        ('from:""', "a name right after"),
        ("before:yesterday", "the date"),
        ("before:20261122", "the date"),
        ("after:2026-02-30", "the date"),
        ("after:0000-01-01", "the date"),
        ("after:", "the date"),
        ("has:file", "has:link"),
        ("x" * (LENGTH + 1), "characters"),
        ("a " * (WORDS + 1), "words"),
        ("日" * (WORDS + 1), "words"),
    ],
)
def test_what_cannot_be_searched_for_is_explained(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        parse_query(text)


def test_of_several_days_the_narrowest_count() -> None:
    query = parse_query("before:2026-11-22 before:2026-11-20 after:2026-11-01 after:2026-11-03")
    assert query
    assert (str(query.after), str(query.before)) == ("2026-11-03", "2026-11-20")
