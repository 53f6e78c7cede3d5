"""What goes wrong in ways that a person is told of."""

from __future__ import annotations

import math
from typing import Literal


class Refused(Exception):
    """Something a person asked for that the rules forbid; the text may be shown to them.

    `field` names the form control at fault ("name", "code", "body"), or is empty.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field


class RateLimited(Refused):
    """A rate limit was met; `wait` is in seconds."""

    def __init__(self, text: str, wait: float, field: str = "") -> None:
        super().__init__(f"{text} Please try again in {_duration(wait)}.", field)
        self.wait = wait


class Forbidden(Refused):
    """They may not do that."""


class Conflict(Refused):
    """Somebody else was quicker: what a person saw when they acted is not so any more."""


def _duration(seconds: float) -> str:
    whole = max(1, math.ceil(seconds))
    return (
        "a second" if whole == 1 else f"{whole} seconds" if whole < 90 else f"{math.ceil(whole / 60)} minutes"
    )


Outage = Literal["", "write", "store", "all"]
"""What a page says is out of order: nothing, a write that failed, the store, or all that the node shares."""
