"""What a visitor has chosen for themselves: how pages are written, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from chat.languages import LANGUAGES, language_for
from chat.settings import Settings
from chat.views.look import LOOK, Look
from chat.zones import UNKNOWN, same_clock, zone_named

COOKIE = "look"
COOKIE_LENGTH = 100  # characters; what is chosen takes fewer
SEPARATOR = "~"


class Choices(NamedTuple):
    """Empty where nothing was chosen."""

    language: str = ""
    zone: str = ""
    clock: str = ""
    theme: str = ""
    density: str = ""
    comings: str = ""
    sound: str = ""

    def with_fields(self, fields: Mapping[str, str]) -> Choices:
        """These, but what a form says otherwise; an empty field keeps what was chosen.

        Raises ValueError(field) for what cannot be chosen.
        """
        chosen: dict[str, str] = {}
        for field, check in CHECKS.items():
            if text := fields.get(field, ""):
                try:
                    chosen[field] = check(text)
                except ValueError:
                    raise ValueError(field) from None
        return self._replace(**chosen)

    def with_what_fits(self, fields: Mapping[str, str]) -> Choices:
        """The same, but what cannot be chosen counts as not said."""
        choices = self
        for field in CHECKS:
            with suppress(ValueError):
                choices = choices.with_fields({field: fields.get(field, "")})
        return choices

    @property
    def cookie(self) -> str:
        return SEPARATOR.join(self)


class Reader(NamedTuple):
    """Who a page is for. What is pushed to pages depends on the look alone."""

    look: Look
    choices: Choices = Choices()

    @property
    def sheets(self) -> tuple[str, ...]:
        """The stylesheets besides those that everybody gets."""
        chosen = self.choices
        language = self.look.language
        words = f"{language}.css" if language in LANGUAGES and language != LOOK.language else ""
        turned = "rtl.css" if self.look.direction == "rtl" else ""
        theme = {"light": "light.css", "dark": "dark.css"}.get(chosen.theme, "")
        density = "compact.css" if chosen.density == "compact" else ""
        comings = "no-comings.css" if chosen.comings == "hidden" else ""
        return tuple(filter(None, (words, turned, theme, density, comings)))


def _one_of(*values: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return check


CHECKS: Mapping[str, Callable[[str], str]] = {
    "language": _one_of(*LANGUAGES),
    "zone": zone_named,
    "clock": _one_of("24", "12"),
    "theme": _one_of("auto", "light", "dark"),
    "density": _one_of("normal", "compact"),
    "comings": _one_of("shown", "hidden"),
    "sound": _one_of("on", "off"),
}


@lru_cache(1024)
def load_choices(cookie: str) -> Choices:
    """What a cookie holds. A part that cannot be chosen, or no longer, counts as not chosen."""
    if len(cookie) > COOKIE_LENGTH:
        return Choices()
    return Choices().with_what_fits(dict(zip(Choices._fields, cookie.split(SEPARATOR), strict=False)))


def reader_for(choices: Choices, accept_language: str, settings: Settings) -> Reader:
    """What was chosen, else what the browser asks for, else what the operator has set."""
    look = Look(
        choices.language or language_for(accept_language, settings.language),
        same_clock(choices.zone or settings.timezone or UNKNOWN),
        choices.clock or "24",
    )
    return Reader(look, choices)


def look_named(token: str) -> Look | None:
    """The look of a page, by what it says of it; None if it says nothing that makes sense."""
    chosen = load_choices(token)
    if not (chosen.language and chosen.clock):
        return None
    return Look(chosen.language, same_clock(chosen.zone or UNKNOWN), chosen.clock)
