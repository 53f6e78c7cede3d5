"""The first words of a message, where others refer to it."""

from __future__ import annotations

from chat.model.formatting import plain_text
from chat.model.graphemes import cut
from chat.model.quotes import START

WORDS = 100  # characters
HIDDEN = "▒▒▒"  # stands for a spoiler
SPOILER = "||"


def first_words(start: str) -> str:
    """On one line; `start` is that of a text, with one character more if the text goes on."""
    return one_line(start, START, WORDS)


def one_line(text: str, looked_at: int, most: int) -> str:
    """A text without its marks, shortened; a spoiler stays hidden. Only so much of it is looked at."""
    part = text[:looked_at]
    is_all = part == text
    line = " ".join(plain_text(part if is_all else _ended(part), hidden=HIDDEN).split())
    line = line if is_all else line.removesuffix(SPOILER)
    words = cut(line, most)
    return words if words == line and is_all else f"{words.rstrip()}…"


def _ended(part: str) -> str:
    """The start of a text, and the end of a spoiler: if one is open there, it is hidden."""
    return part.rstrip().rstrip("|") + SPOILER
