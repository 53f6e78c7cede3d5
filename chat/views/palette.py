"""The colour of a person."""

from __future__ import annotations

PALETTE = 12  # colours in chat.css


def colour(seat: int) -> int:
    return seat % PALETTE
