"""Errors that are shown to a person."""

from __future__ import annotations

import math
from typing import Literal

from chat.model.sentences import Sentence


class Refused(Exception):
    """Something a person asked for that the rules forbid; the text is a sentence to be shown to them.

    `field` names the form control at fault ("name", "code", "body"), or is empty.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field


class RateLimited(Refused):
    """A rate limit was met; `wait` is in seconds."""

    def __init__(self, text: str, wait: float, field: str = "") -> None:
        super().__init__(Sentence(text, after=(_try_again(wait),)), field)
        self.wait = wait


class Forbidden(Refused):
    """They may not do that."""


class Conflict(Refused):
    """Somebody else was quicker: what a person saw when they acted is not so any more."""


def _try_again(seconds: float) -> Sentence:
    whole = max(1, math.ceil(seconds))
    if whole < 90:
        return Sentence("Please try again in a second.", "Please try again in %(n)s seconds.", n=whole)
    minutes = math.ceil(whole / 60)
    return Sentence("Please try again in a minute.", "Please try again in %(n)s minutes.", n=minutes)


Outage = Literal["", "write", "store", "all"]
"""What a page says is out of order: nothing, a write that failed, the store, or all that the node shares."""
