"""Texts in which nothing can be seen."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model.invisible import INVISIBLE, is_blank

BLANK = {
    "nothing": "",
    "white space": " \t\n\u00a0\u2003\u3000\u2028",
    "zero width space": "\u200b",
    "Braille blank": "\u2800",
    "object replacement": "\ufffc",
    "Hangul filler": "\u3164",
    "half-width Hangul filler": "\uffa0",
    "Hangul jamo fillers": "\u115f\u1160",
    "right-to-left override": "\u202e",
    "isolates": "\u2067\u2069",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "a mark without a letter": "\u0301",
    "marks without letters": "\u0301" * 3000,
    "a mark on a space": " \u0301",
    "Khmer inherent vowels": "\u17b4\u17b5",
    "grapheme joiner": "\u034f",
    "tags": "".join(chr(0xE0000 + ord(c)) for c in "hello"),
    "variation selectors": "\ufe0f\U000e0101",
    "Mongolian separators": "\u180b\u180e",
    "musical controls": "\U0001d173\U0001d159",
    "blanks of hieroglyphs": "\U00013441\U00013442",
    "Khitan filler": "\U00016fe4",
    "annotation marks": "\ufff9\ufffb",
    "reserved for such": "\u2065\ufff0\U000e0fff",
    "a mixture": "\u2800 \u3164\n\u0301\u200d\ufe0f\u202e\u034f\u00ad",
}
VISIBLE = {
    "Latin": "a",
    "a letter and a mark": "e\u0301",
    "Arabic with marks": "مُحَمَّد",
    "Persian with a joiner": "می\u200cخواهم",
    "Hindi": "क्\u200dष",
    "a vowel sign that shows by itself": "\u093e",
    "heart with a variation selector": "\u2764\ufe0f",
    "family of joined emoji": "👨\u200d👩\u200d👧",
    "flag of tags": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "keycap": "1\ufe0f\u20e3",
    "an Arabic number sign": "\u0600",
    "younger than this Python": "\U0001fa77",
    "private": "\ue000",
    "Braille": "\u2801",
    "punctuation": ".",
}


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_a_text_that_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", VISIBLE.values(), ids=VISIBLE)
def test_a_text_that_shows_something_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@given(st.lists(st.sampled_from([*BLANK.values()])).map("".join), st.sampled_from([*VISIBLE.values()]))
def test_blanks_together_are_blank_and_one_visible_character_among_them_is_not(blank: str, seen: str) -> None:
    assert is_blank(blank)
    assert not is_blank(blank + seen + blank)


def test_every_format_character_of_unicode_is_invisible_but_those_that_print() -> None:
    printing = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    formats = {c for c in range(sys.maxunicode) if unicodedata.category(chr(c)) == "Cf"}
    assert {c for c in formats if not INVISIBLE.match(chr(c))} == printing & formats
