"""Signs between processes: what may be lost without harm, because nobody misses it after a few seconds."""

from __future__ import annotations

from typing import NamedTuple

LABEL = 64  # characters of a label; names are shorter


class Sign(NamedTuple):
    """`kind` says what somebody with a seat does. A release passes over kinds that it does not know."""

    kind: str
    code: str
    seat: int
    label: str  # as `Member.label`
