"""Time zones, by their names in the IANA database (tz)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

UNKNOWN = "UTC"  # of those who did not say where they are; "Etc/UTC" is what one chooses to have UTC
QUARTER = 900_000  # ms; clocks are changed at a full quarter of an hour
SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)  # older messages are rare
STEP = timedelta(weeks=1)  # no zone changes its offset twice in less


def zone_named(name: str) -> str:
    """The zone of this name, or of the one that replaced it. Raises ValueError."""
    zones = all_zones()
    for known in (name, "Etc/UTC" if name == UNKNOWN else _renamed().get(name, "")):
        if known in zones:
            return known
    raise ValueError(f"There is no time zone {name[:40]!r}")


@cache
def all_zones() -> Mapping[str, str]:
    """The zones that people choose from, and the country of each (ISO 3166)."""
    rows = [line.split("\t") for line in _table("zone.tab") if not line.startswith("#")]
    return {row[2]: row[0] for row in rows} | {"Etc/UTC": ""}


@cache
def _renamed() -> Mapping[str, str]:
    links = [line.split() for line in _table("tzdata.zi") if line.startswith("L ")]
    return {former: present for _, present, former in links}


def _table(name: str) -> list[str]:
    return files("tzdata").joinpath("zoneinfo", name).read_text("utf-8").splitlines()


def offset(zone: str, at: int) -> int:
    """Minutes ahead of UTC, at a moment in ms since 1970."""
    return 0 if zone == UNKNOWN else _offset(zone, at // QUARTER)


@lru_cache(8192)
def _offset(zone: str, quarter: int) -> int:
    moment = datetime.fromtimestamp(quarter * QUARTER / 1000, _zone(zone))
    return round((moment.utcoffset() or timedelta()) / timedelta(minutes=1))


@cache
def _zone(name: str) -> ZoneInfo:
    """Python keeps eight, and reads the file of any other again: 60 ms for all, which take 2 MB of memory."""
    return ZoneInfo(name)


def same_clock(zone: str) -> str:
    """One zone for all whose clocks agree, so that what is rendered for one is for its neighbours, too."""
    return UNKNOWN if zone == UNKNOWN else _first_alike().setdefault(_offsets(zone), zone)


@cache
def _first_alike() -> dict[tuple[tuple[datetime, timedelta], ...], str]:
    return {}


@cache
def _offsets(name: str) -> tuple[tuple[datetime, timedelta], ...]:
    """Since when the clocks of a zone have which offset."""
    zone, moment, found = _zone(name), SINCE, [(SINCE, _at(_zone(name), SINCE))]
    while moment < UNTIL:
        if _at(zone, moment + STEP) != found[-1][1]:
            change = _change(zone, moment, moment + STEP)
            found.append((change, _at(zone, change)))
        moment += STEP
    return tuple(found)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if _at(zone, middle) == _at(zone, before) else (before, middle)
    return after.replace(second=0, microsecond=0)


def _at(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
