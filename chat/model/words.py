"""The words of a text, as a search compares them: the same in every message, query and database.

Case, width and accents do not count. A character of a script that writes no spaces, and an emoji, is a word
of its own: a word of Chinese is a phrase of such characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

WORD = 64  # characters of a word that count
SLICE = 1024  # characters that are normalised at once, which may take their square
MARKS = 8  # that belong to one character
FOLDED = 20_000  # characters that are remembered, of which there are more than a million

_ASCII = re.compile("[a-z0-9]+")
_ALONE = re.compile(
    "[\u0e00-\u0e4e\u0e80-\u0ece\u1000-\u109f\u1780-\u17d3"  # Thai, Lao, Myanmar, Khmer
    "\u2600-\u27bf\U0001f000-\U0001faff"  # emoji
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u3098\u309d-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff\U0001b000-\U0001b16f"
    "\U00020000-\U0003fffd]"
)
# Accents of alphabets, vowel points of Hebrew and Arabic, and what shows nothing. Marks of other scripts are
# letters to those who read them.
_ACCENT = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u20d0-\u20ff"
    "\u2060\ufe00-\ufe0f\ufe20-\ufe2f\ufeff]"
)
# As they are typed on a keyboard that does not have them.
_WITHOUT_STROKE = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})


class _Folding(dict[int, str]):
    """What counts of each character: nothing, letters, or a word of its own between spaces."""

    def __missing__(self, code: int) -> str:
        text = unicodedata.normalize("NFKD", chr(code)).casefold().translate(_WITHOUT_STROKE)
        kept = unicodedata.normalize("NFKC", _ACCENT.sub("", text))
        if len(self) >= FOLDED:
            self.clear()
        self[code] = folded = "".join(map(_counted, kept))
        return folded


def _counted(c: str) -> str:
    if _ALONE.match(c):
        return f" {c} "
    if c in "\u3099\u309a":  # of kana, of which none could be made with it
        return ""
    return c if c.isalnum() or unicodedata.category(c).startswith("M") else " "


_folding = _Folding()


class Piece(NamedTuple):
    """A word, or some of a compatible character such as ½, and where it is in a text."""

    start: int
    end: int
    words: Sequence[str]


def words_of(text: str) -> list[str]:
    """Takes time in the length of the text."""
    if text.isascii():
        words = _ASCII.findall(text.lower())
    else:
        slices = range(0, len(text), SLICE)
        text = "".join(unicodedata.normalize("NFKC", text[start : start + SLICE]) for start in slices)
        words = text.translate(_folding).split()
    return [word[:WORD] for word in words]


def pieces_of(text: str) -> Iterator[Piece]:
    """The same words, with their places."""
    return _pieces_of_ascii(text) if text.isascii() else _pieces_of_any(text)


def _pieces_of_ascii(text: str) -> Iterator[Piece]:
    for found in _ASCII.finditer(text.lower()):
        yield Piece(found.start(), found.end(), [found[0][:WORD]])


def _pieces_of_any(text: str) -> Iterator[Piece]:
    start, word = 0, ""
    for place, cluster in _clusters(text):
        folded = _folded(cluster)
        if " " not in folded:
            start = start if word else place
            word += folded
            continue
        if word:
            yield Piece(start, place, [word[:WORD]])
        word = ""
        if words := folded.split():
            yield Piece(place, place + len(cluster), words)
    if word:
        yield Piece(start, len(text), [word[:WORD]])


@lru_cache(4096)
def _folded(cluster: str) -> str:
    return "".join(_folding[ord(c)] for c in unicodedata.normalize("NFKC", cluster))


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Each character, with the marks that follow it."""
    start = 0
    for place, c in enumerate(text):
        if place and not (c > "\u02ff" and _is_mark(c) and place - start <= MARKS):
            yield start, text[start:place]
            start = place
    if text:
        yield start, text[start:]


def _is_mark(c: str) -> bool:
    return unicodedata.category(c).startswith("M") or c in "\uff9e\uff9f"


def is_alone(word: str) -> bool:
    """Whether it is a character that is a word of its own."""
    return len(word) == 1 and word > "\u0dff" and _ALONE.match(word) is not None
