"""Members: a seat in a room, and the names that people may have."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from chat.model.errors import Refused
from chat.model.invisible import INVISIBLE, is_blank
from chat.model.marks import ends_like_a_mark, label
from chat.model.meta import Meta, no_meta
from chat.model.sentences import Sentence

NAME_LENGTH = 32  # characters, after trimming and NFC


NAME_TYPED = 200  # characters of a name as typed: Unicode writes some letters as four, and spaces are trimmed


FLAG = re.compile(
    "\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f"
)  # of England, Scotland, Wales and others


BLANKS = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")  # as wide as a space, or not, as the font has it


@dataclass(frozen=True, slots=True)
class Member:
    """A seat: one person's stay in one room under one name.

    `number` is unique in the room and never reused; `mark` is 1, or higher where the name looks like
    one that somebody else's seat carried before. A seat is the same whatever its `meta` says.
    """

    code: str
    number: int
    person: str
    name: str
    mark: int
    meta: Meta = field(default_factory=no_meta, compare=False)

    @property
    def label(self) -> str:
        """The name as plain text, told apart from its look-alikes."""
        return label(self.name, self.mark)


TOO_LONG = "Please use at most %(n)s characters for your name."


def clean_name(text: str) -> str:
    """A name fit to be shown to others: trimmed, NFC, 1–32 characters. Raises Refused."""
    too_long = Refused(Sentence(TOO_LONG, n=NAME_LENGTH), "name")
    if len(text) > NAME_TYPED:  # before normalising, which takes the square of the length on Python 3.11
        raise too_long
    name = unicodedata.normalize("NFC", BLANKS.sub(" ", text)).strip()
    if not name:
        raise Refused("Please enter a name.", "name")
    if len(name) > NAME_LENGTH:
        raise too_long
    if any(_unfit_in_name(c) for c in FLAG.sub("", name)):
        raise Refused("Please use a name without control or direction characters.", "name")
    if is_blank("".join(c for c in name if unicodedata.category(c)[0] != "M")):
        raise Refused("Please enter a name that can be seen.", "name")
    if ends_like_a_mark(name):
        raise Refused(
            "Please use a name that does not end in a small, circled or bracketed number: "
            "such numbers tell people of the same name apart.",
            "name",
        )
    return name


def _unfit_in_name(c: str) -> bool:
    """Whether a character could do harm. One that is younger than this Python's Unicode could not."""
    category = unicodedata.category(c)
    if category == "Cn":  # a noncharacter, reserved to be invisible, or younger
        return ord(c) & 0xFFFE == 0xFFFE or "\ufdd0" <= c <= "\ufdef" or INVISIBLE.match(c) is not None
    # Zl and Zp break lines; Cf holds the bidi overrides, but also the joiners that Persian, Hindi and
    # emoji need; what private use looks like depends on the reader's fonts.
    return category in {"Cc", "Cs", "Co", "Zl", "Zp"} or (category == "Cf" and c not in "\u200c\u200d")
