"""Where is somebody? They know what time it is, so they choose that, and then a place with that time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from babel.core import Locale, get_global

from chat.languages import accepted
from chat.views.language import locale_of
from chat.views.look import Look
from chat.views.times import clock, day
from chat.zones import UNKNOWN, all_zones, offset

MINUTE = 60_000  # ms


class Times(NamedTuple):
    """Present times of one day, each with the minutes that it is ahead of UTC."""

    day: str
    times: Sequence[tuple[int, str]]


def present_times(now: int, look: Look) -> list[Times]:
    """What the clocks of the world show, from west to east."""
    days: dict[str, list[tuple[int, str]]] = {}
    utc = look._replace(zone=UNKNOWN)
    for minutes in sorted({offset(zone, now) for zone in all_zones()}):
        there = now + minutes * MINUTE
        days.setdefault(day(there, utc), []).append((minutes, clock(there, utc)))
    return [Times(*one) for one in days.items()]


def places(minutes: int, now: int, look: Look, accept_language: str) -> list[tuple[str, str]]:
    """Zones with that time and the name of each: first those that the browser's languages speak of."""
    regions = list(regions_of(accept_language))
    locale = locale_of(look.language)
    found = [(zone, country) for zone, country in all_zones().items() if offset(zone, now) == minutes]

    def order(place: tuple[str, str]) -> tuple[int, str]:
        country = place[1]
        rank = regions.index(country) if country in regions else len(regions)
        return rank, place_name(place[0], locale).casefold()

    return [(zone, place_name(zone, locale)) for zone, _ in sorted(found, key=order)]


def place_name(zone: str, locale: Locale) -> str:
    """A town and its country, such as Berlin (Germany)."""
    known = locale.time_zones.get(get_global("zone_aliases").get(zone, zone), {})
    town = known.get("city") or zone.rpartition("/")[2].replace("_", " ")
    country = locale.territories.get(all_zones()[zone], "")
    return f"{town} ({country})" if country and country != town else town


def regions_of(accept_language: str) -> Iterable[str]:
    """Countries, the most likely first: where a language has no region, the one where most speak it."""
    likely = get_global("likely_subtags")
    for language, region in accepted(accept_language):
        yield region or likely.get(language, "").rpartition("_")[2]


def likely_offset(now: int, accept_language: str) -> int | None:
    """What the clock of the reader is ahead, to go by their browser."""
    for region in regions_of(accept_language):
        for zone, country in all_zones().items():
            if country == region:
                return offset(zone, now)
    return None
