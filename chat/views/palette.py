"""The colour of a person, and the initials in it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

PALETTE = 12  # colours in chat.css
LETTER = 4  # code points of one initial: a letter with its marks


def colour(seat: int) -> int:
    return seat % PALETTE


@lru_cache(4096)
def initials(name: str) -> str:
    """The first letters of the first and the last word, in capitals; names are short."""
    words = name.split()
    chosen = words[:1] + words[1:][-1:]
    return "".join(_first_letter(word) for word in chosen).upper()


def _first_letter(word: str) -> str:
    """What a reader sees as one: a character, and the marks on it."""
    start = next((n for n, sign in enumerate(word) if sign.isalnum()), 0)
    end = start + 1
    while end < min(len(word), start + LETTER) and unicodedata.category(word[end])[0] == "M":
        end += 1
    return word[start:end]
