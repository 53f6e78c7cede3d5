"""What of a reader a message's HTML depends on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple


class Look(NamedTuple):
    """Whatever else differs between readers is in their stylesheet, never in the HTML of a message."""

    language: str = "en"
    zone: str = "UTC"
    clock: str = "24"  # hours


Render = Callable[[Look], str]  # what is the same for every look has been made

LOOKS = 64  # whose stencils and the like are kept; rooms have few
LOOK = Look()  # everybody's, as long as there is no way to choose another


@lru_cache(16 * LOOKS)
def shared(look: Look) -> Look:
    """One object for equal looks, so that they can be told apart by identity, which takes less time."""
    return look
