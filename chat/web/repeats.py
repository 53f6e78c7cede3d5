"""Forms without JavaScript that were answered: whether the same form again is a repeat or another text.

A form is sent twice by a second click, or again after an answer that never came: its key makes that
harmless. But a page that comes back from a cache has its old key, and what is written there is new. A cookie
tells the two apart: the answer to a form marks its key, and the page that the browser loads next turns the
mark into "shown". A form sent after its answer was shown is something new.
"""

from __future__ import annotations

import hashlib
import re

COOKIE = "forms"
KEPT = 64  # forms of a room that a browser remembers, the newest: 1 kB of cookie
FORMAT = re.compile(r"(?:[0-9a-f]{8})*~(?:[0-9a-f]{8})*")


def answered(cookie: str, key: str) -> str:
    """The cookie once this form was answered."""
    waiting, shown = _read(cookie)
    return _written([*waiting, _short(key)], shown)


def shown(cookie: str) -> str:
    """The cookie once the browser has a page newer than every answer; "" if it is that already."""
    waiting, before = _read(cookie)
    return _written([], [*before, *waiting]) if waiting else ""


def key_of(cookie: str, key: str) -> str:
    """The key to store what a form holds under: its own, until the browser was shown an answer to it."""
    times = _read(cookie)[1].count(_short(key))
    return f"{_short(key)}_{times}" if times else key


def _short(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()[:8]


def _read(cookie: str) -> tuple[list[str], list[str]]:
    if len(cookie) > 2 * 8 * KEPT + 1 or not FORMAT.fullmatch(cookie):
        return [], []
    waiting, _, shown = cookie.partition("~")
    return re.findall("." * 8, waiting), re.findall("." * 8, shown)


def _written(waiting: list[str], shown: list[str]) -> str:
    return "".join(waiting[-KEPT:]) + "~" + "".join(shown[-KEPT:])
