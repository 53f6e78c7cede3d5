"""Characters that show nothing: which they are, and whether a text is made of nothing else."""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt, the same from Unicode 14 to 17: unassigned code
# points are reserved in it, so it hardly ever grows. Python's unicodedata does not have the property.
_DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Not in it, but blank in the usual fonts: a Braille cell without dots, annotation marks, what stands for an
# object, controls of hieroglyphs and their full and half blanks, the filler of Khitan, a note without a head.
_BLANK = "\u2800\ufff9-\ufffc\U00013430-\U0001343f\U00013441\U00013442\U00016fe4\U0001d159"

INVISIBLE = re.compile(f"[{_DEFAULT_IGNORABLE}{_BLANK}]")


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen: white space, invisible characters, marks without a letter.

    Takes time in the length of the text only if it is blank; cut what strangers send first.
    """
    return all(map(_shows_nothing, text))


def _shows_nothing(character: str) -> bool:
    # Mn are the marks that stand above or below a letter. The other marks, Mc and Me, show without one.
    return (
        character.isspace()
        or INVISIBLE.match(character) is not None
        or unicodedata.category(character) in {"Cc", "Cs", "Mn", "Zs", "Zl", "Zp"}
    )
