"""When something was said, as a page shows it: by the clock of the reader's zone at that moment."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import dates

from chat.model.messages import Message
from chat.views.language import locale_of
from chat.views.look import Look
from chat.zones import offset

MINUTE, DAY = 60_000, 86_400_000  # ms
MINUTES_OF_DAY = 1440
WEEK = 7  # days
EARLIEST = 1970  # years; nothing is older

# What is rendered for every zone holds these in place of times. Nobody can write them: they are secret.
CLOCK_HOLE, DAY_HOLE, ISODAY_HOLE = (f"\ufdd0{name}{secrets.token_hex(8)}" for name in "cdi")
HOLES = {"begins a day": True, "goes on": False}  # zones of looks that have holes for times


def with_holes(language: str, begins_day: bool) -> Look:
    """The look of a message for every zone in which it begins a day, or in which it does not."""
    return Look(language, "begins a day" if begins_day else "goes on", "")


def iso(at: int) -> str:
    return _iso(at // 1000)


@lru_cache(4096)
def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def clock(at: int, look: Look) -> str:
    if look.zone in HOLES:
        return CLOCK_HOLE
    minute = (at // MINUTE + offset(look.zone, at)) % MINUTES_OF_DAY
    return _clock(minute, look.language if look.clock == "12" else "")


@lru_cache(MINUTES_OF_DAY * 7)
def _clock(minute: int, language: str) -> str:
    """Of 24 hours if there is no language."""
    when = time(*divmod(minute, 60))
    if not language:
        return f"{when:%H:%M}"
    if language == "en":
        return f"{when:%I:%M %p}"
    return str(dates.format_skeleton("hm", when, locale=locale_of(language)))


def _day_number(at: int, look: Look) -> int:
    return (at + offset(look.zone, at) * MINUTE) // DAY


def begins_day(message: Message, look: Look) -> bool:
    if look.zone in HOLES:
        return HOLES[look.zone]
    before = message.before
    if before is None:
        return True
    if before.at // MINUTE == message.at // MINUTE:
        return False  # everywhere: clocks differ by whole minutes
    return _day_number(before.at, look) != _day_number(message.at, look)


def begins_run(message: Message, look: Look) -> bool:
    """True unless this reads as the continuation of the message before it."""
    return not message.continues or begins_day(message, look)


def isoday(at: int, look: Look) -> str:
    return ISODAY_HOLE if look.zone in HOLES else date_of(at, look).isoformat()


def day(at: int, look: Look) -> str:
    return DAY_HOLE if look.zone in HOLES else long_date(date_of(at, look), look)


def date_of(at: int, look: Look) -> date:
    return _date(_day_number(at, look))


def start_of(day: date, look: Look) -> int:
    """The first moment of a day in the reader's zone, in ms since 1970; 0 for the days before that."""
    if day.year <= EARLIEST:
        return 0
    midnight = datetime.combine(day, time(), ZoneInfo(look.zone) if look.knows_zone else UTC)
    return round(midnight.timestamp() * 1000)


def long_date(day: date, look: Look) -> str:
    return _long_date(day, look.language)


@lru_cache(1024)
def _long_date(day: date, language: str) -> str:
    return str(dates.format_date(day, "full", locale=locale_of(language)))


def _date(number: int) -> date:
    return datetime.fromtimestamp(number * DAY / 1000, UTC).date()


def when(at: int, now: int, look: Look) -> str:
    """When something was said last, as short as it can be: a clock today, a day this week, else a date."""
    then, today = _day_number(at, look), _day_number(now, look)
    if then == today:
        return clock(at, look)
    return _short_day(then, look.language, today - WEEK < then < today, _date(then).year == _date(today).year)


@lru_cache(1024)
def _short_day(number: int, language: str, is_near: bool, is_this_year: bool) -> str:
    skeleton = "E" if is_near else "MMMd" if is_this_year else "yMMMd"
    return str(dates.format_skeleton(skeleton, _date(number), locale=locale_of(language)))
