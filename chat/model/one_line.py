"""What fits in one line and is shown to others under somebody's name: names, titles."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from chat.model.errors import Refused
from chat.model.invisible import INVISIBLE, is_blank

FLAG = re.compile(
    "\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f"
)  # of England, Scotland, Wales and others


BLANKS = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")  # as wide as a space, or not, as the font has it


class Line(NamedTuple):
    """The rules of a field: its most characters as typed and once trimmed, and what is said otherwise.

    Unicode writes some letters as four characters, and spaces are trimmed, so more may be typed than is kept.
    """

    field: str
    typed: int
    length: int
    too_long: str
    unfit: str
    unseen: str


def clean_line(text: str, line: Line) -> str:
    """Trimmed and NFC, perhaps empty. Raises Refused."""
    if len(text) > line.typed:  # before normalising, which takes the square of the length on Python 3.11
        raise Refused(line.too_long, line.field)
    kept = unicodedata.normalize("NFC", BLANKS.sub(" ", text)).strip()
    if not kept:
        return ""
    if len(kept) > line.length:
        raise Refused(line.too_long, line.field)
    if any(_is_unfit(c) for c in FLAG.sub("", kept)):
        raise Refused(line.unfit, line.field)
    if is_blank("".join(c for c in kept if unicodedata.category(c)[0] != "M")):
        raise Refused(line.unseen, line.field)
    return kept


def _is_unfit(c: str) -> bool:
    """Whether a character could do harm. One that is younger than this Python's Unicode could not."""
    category = unicodedata.category(c)
    if category == "Cn":  # a noncharacter, reserved to be invisible, or younger
        return ord(c) & 0xFFFE == 0xFFFE or "\ufdd0" <= c <= "\ufdef" or INVISIBLE.match(c) is not None
    # Zl and Zp break lines; Cf holds the bidi overrides, but also the joiners that Persian, Hindi and
    # emoji need; what private use looks like depends on the reader's fonts.
    return category in {"Cc", "Cs", "Co", "Zl", "Zp"} or (category == "Cf" and c not in "\u200c\u200d")
