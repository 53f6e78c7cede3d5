"""Marks: the numbers that tell people apart whose names look alike."""

from __future__ import annotations

import re
import unicodedata

from chat.model.invisible import INVISIBLE
from chat.model.lookalikes import looks_like_a_number

LABEL = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)
BRACKETED = re.compile(r"(.*)([^\w\s])\s*(\w+)\s*([^\w\s])", re.DOTALL)
# Numbers in circles that NFKC leaves as they are, and digits that stand above a letter.
ENCIRCLED = re.compile("[\u2776-\u2793\u24eb-\u24f4\u24f5-\u24ff\U0001f10b\U0001f10c\ua8e0-\ua8e9]")


def label(name: str, mark: int) -> str:
    """A name with its mark as plain text; only the second and later of a kind show one."""
    return name if mark == 1 else f"{name} ({mark})"


def unlabelled(label: str) -> tuple[str, int]:
    """The name and the mark of a label: no name ends like one."""
    found = LABEL.fullmatch(label)
    return (found[1], int(found[2])) if found else (label, 1)


def ends_like_a_mark(name: str) -> bool:
    """Whether a name could be taken for a marked one: "Ann²", "Ann (2)", "Ann ②".

    A name that is nothing but a number is none of these.
    """
    text = INVISIBLE.sub("", name).rstrip()
    letters = text.rstrip("".join(c for c in text if unicodedata.category(c) in {"Mn", "Me"}))
    if not letters[:-1].strip():
        return False
    rest = text[len(letters) :]
    encircled = any(unicodedata.category(c) == "Me" for c in rest) and letters[-1].isdecimal()
    return encircled or _is_raised(letters[-1]) or any(map(_is_raised, rest)) or _is_bracketed(letters)


def _is_raised(c: str) -> bool:
    if ENCIRCLED.match(c):
        return True
    decomposition = unicodedata.decomposition(c)
    return unicodedata.category(c) == "No" and decomposition[:1] == "<" and "<fraction>" not in decomposition


def _is_bracketed(text: str) -> bool:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")
    found = BRACKETED.fullmatch(plain)
    if found is None or not found[1].strip():
        return False
    return _is_bracket(found[2]) and _is_bracket(found[4]) and looks_like_a_number(found[3])


def _is_bracket(c: str) -> bool:
    return c in "<>" or unicodedata.category(c) in {"Ps", "Pe", "Pi", "Pf"}
