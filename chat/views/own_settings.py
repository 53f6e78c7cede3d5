"""The page on which visitors choose for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from chat.languages import LANGUAGES
from chat.views.engine import Engine
from chat.views.language import locale_of
from chat.views.places import likely_offset, place_name, places, present_times
from chat.views.reader import Choices, Reader
from chat.zones import offset


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page is asked to show besides what has been chosen."""

    room: str = ""  # to go back to
    offset: int | None = None  # the time that it is there, as minutes ahead of UTC
    saved: bool = False
    given: Choices | None = None  # by the form, if not all of it was taken
    failed: str = ""  # the field that was not taken
    error: str = ""


class OwnSettings:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page

    def page(self, shown: Shown, accept_language: str, now: int, reader: Reader) -> str:
        look, choices = reader.look, reader.choices
        likely = likely_offset(now, accept_language)
        zones = [] if shown.offset is None else places(shown.offset, now, look, accept_language)
        return self._page(
            "settings.html",
            reader,
            shown=shown,
            chosen=shown.given or choices,
            languages=LANGUAGES,
            now=now,
            place=place_name(choices.zone, locale_of(look.language)) if choices.zone else "",
            times=present_times(now, look),
            offset=offset(choices.zone, now) if choices.zone else likely,
            places=zones,
        )
