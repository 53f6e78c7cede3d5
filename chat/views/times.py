"""When something was said, as a page shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from chat.views.look import Look


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def iso(at: int) -> str:
    return _formatted(at // 1000, "%Y-%m-%dT%H:%M:%SZ")


def clock(at: int, look: Look) -> str:
    return _formatted(at // 60_000 * 60, "%H:%M" if look.clock == "24" else "%I:%M %p")


@lru_cache(4096)
def _formatted(seconds: int, how: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(how)


def isoday(at: int, look: Look) -> str:
    return f"{_utc(at):%Y-%m-%d}"


def day(at: int, look: Look) -> str:
    when = _utc(at)
    return f"{when:%A}, {when.day} {when:%B %Y}"
