"""How much of a room somebody has not read."""

from __future__ import annotations

from typing import NamedTuple


class Unread(NamedTuple):
    """Texts, and how many of them mention the person."""

    texts: int
    mentions: int


NOTHING = Unread(0, 0)
