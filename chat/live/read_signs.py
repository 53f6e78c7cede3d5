"""How nodes tell each other up to where people have read: many people of a room in one sign."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from chat.model.members import Seat
from chat.model.signs import Sign

KIND = "read"
SPAN = 160  # seats of a room, of which one sign speaks
LABEL = re.compile(r"[0-9]{1,19} [0-9a-f]{1,40}")  # a rev, and a bit for each seat


def signs_of(risen: Mapping[Seat, int]) -> Iterator[Sign]:
    """Of those who have read up to the same rev, one for each span of seats."""
    masks: dict[tuple[str, int, int], int] = {}
    for (code, seat), rev in risen.items():
        span, place = divmod(seat, SPAN)
        masks[code, span, rev] = masks.get((code, span, rev), 0) | 1 << place
    return (Sign(KIND, code, span, f"{rev} {mask:x}") for (code, span, rev), mask in masks.items())


def told_by(sign: Sign) -> Iterator[tuple[int, int]]:
    """The seats that a sign speaks of, and up to where they have read."""
    if not LABEL.fullmatch(sign.label):
        return
    rev, mask = sign.label.split(" ")
    seats = int(mask, 16)
    for place in range(SPAN):
        if seats >> place & 1:
            yield sign.seat * SPAN + place, int(rev)
