"""Look-alike names: when would two names be taken for one another?"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

from confusable_homoglyphs.confusables import confusables_data

from chat.model.invisible import INVISIBLE

# The dot of these letters (Soft_Dotted of PropList.txt, as far as NFKD leaves them) is their own: one more
# above, be there marks below, does not show.
_DOTTED = re.compile(
    "([ij\u0249\u0268\u029d\u03f3\u0456\u0458\u1d96\u1da4\u1da8\u2c7c][\u0316-\u0333]*)\u0307+"
)


# What NFKC makes of these does not look like them: lunate sigmas, and a long s. A small palochka is no i.
_LOOKS = str.maketrans("\u03f2\u03f9\u017f\u04cf", "cCfl")
HAIR_SPACE = "\u200a"


class Skeleton(NamedTuple):
    """Two names are look-alikes if either of these is equal.

    Two, because capitals confuse otherwise than small letters: "Ian" is "ian" spelled in another case and
    also looks like "lan" (with an L), yet nobody takes "ian" for "lan".
    """

    folded: str
    shape: str


def skeleton(name: str) -> Skeleton:
    seen = INVISIBLE.sub("", name).replace(HAIR_SPACE, "")
    return Skeleton(
        folded=_shape(_compatible(seen).casefold()),
        shape=_shape(_compatible(seen.translate(_LOOKS))).casefold(),
    )


def _compatible(text: str) -> str:
    # Before, because an invisible character keeps a letter from its accent; here, for what turns into one.
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _shape(text: str) -> str:
    prototypes = _prototypes()
    text = _DOTTED.sub(r"\1", unicodedata.normalize("NFD", text))
    joined = "".join(prototypes.get(c, c) for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", joined).split())


def looks_like_a_number(text: str) -> bool:
    """Whether all are digits or letters that could be taken for them. Latin letters alone are a word."""
    is_word = not text or (text.isascii() and text.isalpha())
    return not is_word and all(map(_looks_like_a_digit, text))


def _looks_like_a_digit(c: str) -> bool:
    prototypes = _prototypes()
    return any(prototypes.get(one, one).isdecimal() for one in (c, c.upper()))


@cache
def _prototypes() -> dict[str, str]:
    """Each confusable character to the one that stands for its class (Unicode TS 39, via the library)."""
    classes: dict[str, set[str]] = {}
    for character, twins in confusables_data.items():
        for twin in (t["c"].strip("\u200e") for t in twins):
            if len(character) == len(twin) == 1:
                merged = classes.get(character, {character}) | classes.get(twin, {twin})
                for member in merged:
                    classes[member] = merged
    singles = {c: min(members) for c, members in classes.items()}
    pairs = {
        c: "".join(singles.get(t, t) for t in twins[0]["c"].strip("\u200e"))
        for c, twins in confusables_data.items()
        if len(c) == 1 and c not in singles and twins and len(twins[0]["c"].strip("\u200e")) > 1
    }
    return singles | pairs
