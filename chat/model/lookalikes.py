"""Look-alike names: when would two names be taken for one another?"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import NamedTuple

from confusable_homoglyphs.confusables import confusables_data

from chat.model.invisible import INVISIBLE


class Skeleton(NamedTuple):
    """Two names are look-alikes if either of these is equal.

    Two, because capitals confuse otherwise than small letters: "Ian" is "ian" spelled in another case and
    also looks like "lan" (with an L), yet nobody takes "ian" for "lan".
    """

    folded: str
    shape: str


def skeleton(name: str) -> Skeleton:
    # Before, because an invisible character keeps a letter from its accent; after, for what turns into one.
    text = INVISIBLE.sub("", unicodedata.normalize("NFKC", INVISIBLE.sub("", name)))
    return Skeleton(folded=_shape(text.casefold()), shape=_shape(text).casefold())


def _shape(text: str) -> str:
    prototypes = _prototypes()
    text = unicodedata.normalize("NFD", text)
    joined = "".join(prototypes.get(c, c) for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", joined).split())


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
