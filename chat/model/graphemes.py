"""Cutting a text without taking apart what a reader sees as one character."""

from __future__ import annotations

import unicodedata

JOINER = "\u200d"
SKIN_TONES, TAGS, JAMO = ("🏻", "🏿"), ("\U000e0020", "\U000e007f"), ("\u1160", "\u11ff")  # first and last
FLAGS = "".join(map(chr, range(ord("🇦"), ord("🇿") + 1)))  # two of them are one
VIRAMA = 9  # its combining class: the letter after it is written with the one before


def cut(text: str, most: int) -> str:
    """The start of a text, at most so many code points; shorter where that would cut a character in two."""
    if len(text) <= most:
        return text
    end = most
    while end and _belongs_together(text, end):
        end -= 1
    return text[:end] or text[:most]


def _belongs_together(text: str, place: int) -> bool:
    """Whether the code point at a place goes with the one before it."""
    before, after = text[place - 1], text[place]
    if unicodedata.category(after)[0] == "M" or JOINER in (before, after):
        return True
    if any(first <= after <= last for first, last in (SKIN_TONES, TAGS, JAMO)):
        return True
    if unicodedata.combining(before) == VIRAMA and unicodedata.category(after) == "Lo":
        return True
    return after in FLAGS and (place - len(text[:place].rstrip(FLAGS))) % 2 == 1
