"""Signs between processes: what may be lost without harm, because nobody misses it after a few seconds."""

from __future__ import annotations

from typing import NamedTuple

LABEL = 64  # characters of a label


class Sign(NamedTuple):
    """What is said of a seat, or of several. A release passes over a `kind` that it does not know."""

    kind: str
    code: str
    seat: int
    label: str  # what else there is to say; of who types, their name
