"""Fields of forms, queries and frames: cut by length before anything else looks at them.

Normalising, splitting or matching a text takes time that grows with its length, for some texts with the
square of it. So every field is read through this module, which lets one character more than its limit
through: enough for the rule behind it to see that it is too long. `body` is not cut in a form, since a text
must never be shortened in silence; `clean_body` measures it first. In a frame it is cut beyond what
`clean_body` takes, which is more than the field of a page holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from chat.model.codes import CODE_TYPED
from chat.model.digits import to_number
from chat.model.members import NAME_TYPED
from chat.model.messages import BODY_TYPED, KEY_LENGTH
from chat.model.rooms import TITLE_TYPED, TOPIC_TYPED
from chat.model.search import LENGTH

LIMITS = {
    "name": NAME_TYPED,
    "title": TITLE_TYPED,
    "topic": TOPIC_TYPED,
    "former_title": TITLE_TYPED,
    "former_topic": TOPIC_TYPED,
    "code": CODE_TYPED,
    "key": KEY_LENGTH,
    "life": KEY_LENGTH + 16,
    "again": KEY_LENGTH,
    "q": LENGTH,
    "epoch": 64,
    "look": KEY_LENGTH,
    "lines": 8,
    "choice": 24,
    "act": 64,
    "id": 15,
    "seat": 15,
    "version": 15,
    "emoji": 64,
    "on": 8,
    "language": 8,
    "zone": 64,
    "clock": 8,
    "theme": 8,
    "density": 8,
    "comings": 8,
    "sound": 8,
    "offset": 8,
    "date": 10,
    "room": CODE_TYPED,
    "body": BODY_TYPED,  # of a frame
}
DIGITS = 15  # of acked, since, before: more than any room will ever need, and JavaScript counts so far
QUERY = 1024  # bytes
SEAT_LIST = 1100  # characters of the seats whose stylesheet is asked for


class Values(Protocol):
    """Fields by name, of a form or a query; several values of one name are allowed."""

    def get(self, key: str, default: str, /) -> str: ...


def cut(name: str, value: str) -> str:
    return value[: LIMITS[name] + 1]


def encodable(value: str) -> str:
    """Without halves of characters, which JSON can hold, but no page and no database."""
    return value if value.isascii() else value.encode(errors="ignore").decode()


def text(values: Values, name: str) -> str:
    """The field, or an empty text where there is none."""
    return cut(name, values.get(name, ""))


def given(form: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Those of these fields that a form has, without halves of characters. A `body` is not cut."""
    return {
        name: encodable(form[name] if name == "body" else text(form, name)) for name in names if name in form
    }


def token(frame: dict[str, object], name: str) -> str | None:
    """A short text of a frame; None if it is absent or no text."""
    value = frame.get(name)
    return cut(name, value) if isinstance(value, str) else None


def number(value: object) -> int:
    """A whole number; nonsense counts as none."""
    if isinstance(value, str):
        return to_number(value, DIGITS) or 0
    if not isinstance(value, int) or isinstance(value, bool):  # to Python, true is a 1
        return 0
    return value if 0 <= value < 10**DIGITS else 0
