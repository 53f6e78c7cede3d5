"""The first words of a message, where others refer to it."""

from __future__ import annotations

from chat.model.formatting import plain_text
from chat.model.graphemes import cut
from chat.model.quotes import START

WORDS = 100  # characters
HIDDEN = "▒▒▒"  # stands for a spoiler


def first_words(start: str) -> str:
    """On one line; `start` is that of a text, with one character more if the text goes on."""
    return one_line(start, START, WORDS)


def one_line(text: str, looked_at: int, most: int) -> str:
    """A text without its marks, shortened; a spoiler stays hidden. Only so much of it is looked at."""
    part = text[:looked_at]
    if part != text and part.count("||") % 2:
        part = part[: part.rindex("||")]
    line = " ".join(plain_text(part, hidden=HIDDEN).split())
    words = cut(line, most)
    return words if words == line and part == text else f"{words.rstrip()}…"
