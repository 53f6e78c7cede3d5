"""What of a reader a message's HTML depends on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from chat.languages import RIGHT_TO_LEFT
from chat.zones import UNKNOWN

NO_ZONE = ""  # of what shows no times: to show one is an error


class Look(NamedTuple):
    """Whatever else differs between readers is in their stylesheets, never in the HTML of a message.

    There are about a thousand: zones whose clocks agree count as one (`chat.zones.same_clock`).
    """

    language: str = "en"
    zone: str = UNKNOWN
    clock: str = "24"  # hours

    @property
    def words(self) -> Look:
        """The look of all that shows no times: one for each language, however many zones there are."""
        return _words(self.language)

    @property
    def token(self) -> str:
        """As a page says which look it is in: `chat.views.reader.look_named` reads it."""
        return f"{self.language}~{self.zone if self.knows_zone else ''}~{self.clock}"

    @property
    def knows_zone(self) -> bool:
        return self.zone != UNKNOWN

    @property
    def direction(self) -> str:
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"


Render = Callable[[Look], str]  # what is the same for every look has been made

LOOKS = 2048  # more than there are
WORDS = 16  # more than there are languages
LOOK = Look()  # of those about whom nothing is known


@lru_cache(WORDS)
def _words(language: str) -> Look:
    return Look(language, NO_ZONE, "")


def once_a_language(render: Render) -> Render:
    """For what shows no times."""
    made = lru_cache(WORDS)(render)
    return lambda look: made(look.words)


@lru_cache(LOOKS)
def shared(look: Look) -> Look:
    """One object for equal looks, so that they can be told apart by identity, which takes less time."""
    return look
