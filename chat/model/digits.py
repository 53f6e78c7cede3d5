"""Numbers that strangers write."""

from __future__ import annotations


def to_number(text: str, digits: int) -> int | None:
    """What at most so many ASCII digits stand for; None for any other text, however long."""
    return int(text) if len(text) <= digits and text.isascii() and text.isdigit() else None
