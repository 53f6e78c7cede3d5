"""Room codes: how they are made, read from what people paste, and distinguished from guesses."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from urllib.parse import unquote

from chat.model.errors import Refused

# No vowels, so that no code spells a word; none of 0 O 1 I L, so that none is misread aloud.
CODE_ALPHABET = "23456789BCDFGHJKMNPQRSTVWXYZ"
CHOSEN = 8  # characters of a code that are random; the codes of version 0.1 had no more
CHECK = 4  # characters that follow from those, and which only this installation can work out
CODE_LENGTH = CHOSEN + CHECK
GROUP = 4
CODE_TYPED = 500  # characters of a code as typed, which may be a whole link


class Codes:
    """The codes of this installation, made with its secret.

    A wrong code is refused by its last characters without asking the store, and a right one is known to be no
    guess: it need not be counted, so nobody is locked out by a neighbour who guesses. See decision 23.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.new(secret.encode(), b"room chat: check of codes", hashlib.sha256).digest()
        self._log_key = hmac.new(secret.encode(), b"room chat: rooms in logs", hashlib.sha256).digest()

    def new(self) -> str:
        chosen = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CHOSEN))
        return chosen + self._check(chosen)

    def vouches_for(self, code: str) -> bool:
        """Whether this installation made the code. Codes of former versions and keys are unknown to it."""
        if not is_code(code) or len(code) != CODE_LENGTH:
            return False
        return hmac.compare_digest(code[CHOSEN:], self._check(code[:CHOSEN]))

    def logged(self, code: str) -> str:
        """A room's id for the log: tells rooms apart on every node, and opens none of them.

        It takes the key, since codes are short enough to be found by trying once a part is known.
        """
        return hmac.new(self._log_key, code.encode(), hashlib.sha256).hexdigest()[:12]

    def _check(self, chosen: str) -> str:
        number = int.from_bytes(hmac.new(self._key, chosen.encode(), hashlib.sha256).digest())
        letters = []
        for _ in range(CHECK):
            number, place = divmod(number, len(CODE_ALPHABET))
            letters.append(CODE_ALPHABET[place])
        return "".join(letters)


def is_code(code: str) -> bool:
    return len(code) in {CODE_LENGTH, CHOSEN} and all(c in CODE_ALPHABET for c in code)


def grouped(code: str) -> str:
    """A code as it is shown: ABCD-EFGH-JKMN."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


LINK = re.compile(r"/ROOMS/([^/?#\s]*)")
CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # and no "SS" for "ß"


def _finder(group: int, groups: int) -> re.Pattern[str]:
    """Finds groups of characters of codes with at most a few others, but no letters or digits, between."""
    one = f"[{CODE_ALPHABET}]{{{group}}}"
    return re.compile(rf"(?<![0-9A-Z]){one}(?:[^0-9A-Z]{{0,5}}{one}){{{groups - 1}}}(?![0-9A-Z])")


# Grouped as we show them before grouped in any other way: "cf. BCDF-2345" holds ten such characters.
FINDERS = [_finder(group, length // group) for group in (GROUP, 2, 1) for length in (CODE_LENGTH, CHOSEN)]


def clean_code(text: str) -> str:
    """The code in what somebody typed or pasted: a code in any case and with any marks, or a whole link.

    Raises Refused when nothing is left. What is returned may still be no code at all.
    """
    if len(text) > CODE_TYPED:
        raise Refused("This is too long. A room code has 12 letters and digits.", "code")
    plain = _plain(text)
    if link := LINK.search(plain):
        plain = _plain(unquote(link[1]))
    for finder in FINDERS:
        if found := finder.search(plain):
            return re.sub("[^0-9A-Z]", "", found[0])
    rest = re.sub(r"[\W_]+", "", plain)
    if not rest:
        raise Refused("Please enter a room code.", "code")
    return rest


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(CAPITALS)
