"""Time zones: names, clocks that agree, and what the readers of a room see at every moment."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.languages import LANGUAGES
from chat.model.messages import Message, Previous
from chat.views.look import LOOKS, Look
from chat.views.times import begins_day, clock, day, isoday
from chat.zones import QUARTER, SINCE, UNKNOWN, UNTIL, all_zones, offset, same_clock, zone_named

zones = st.sampled_from(sorted(all_zones()))
moments = st.integers(int(SINCE.timestamp()), int(UNTIL.timestamp()) - 1)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("US/Pacific", "America/Los_Angeles"),
        ("UTC", "Etc/UTC"),
    ],
)
def test_a_zone_is_known_by_its_present_and_its_former_names(typed: str, zone: str) -> None:
    assert zone_named(typed) == zone


@pytest.mark.parametrize(
    "typed", ["", "Berlin", "europe/berlin", "../../etc/passwd", "EST5EDT\0", "Z" * 9_999]
)
def test_what_is_no_zone_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone_named(typed)


@given(zones, moments)
def test_an_offset_is_that_of_the_moment_also_by_the_clock_of_a_neighbour(zone: str, seconds: int) -> None:
    expected = datetime.fromtimestamp(seconds, ZoneInfo(zone)).utcoffset()
    assert expected is not None
    for name in (zone, same_clock(zone)):
        assert offset(name, seconds * 1000 + 999) * 60 == expected.total_seconds()


def test_there_are_few_looks_however_many_zones_there_are() -> None:
    clocks = {same_clock(zone) for zone in [*all_zones(), UNKNOWN]}
    assert len(clocks) < len(all_zones()) / 3
    assert len(clocks) * len(LANGUAGES) * 2 < LOOKS / 1.5


@pytest.mark.parametrize(
    ("moment", "zone", "shown"),
    [
        ("2026-03-29T00:59:59+00:00", "Europe/Berlin", "01:59"),
        ("2026-03-29T01:00:00+00:00", "Europe/Berlin", "03:00"),
        ("2026-10-25T00:59:59+00:00", "Europe/Berlin", "02:59"),
        ("2026-10-25T01:00:00+00:00", "Europe/Berlin", "02:00"),
        ("2026-11-27T00:00:00+00:00", "Asia/Kathmandu", "05:45"),
        ("2026-01-27T00:00:00+00:00", "Australia/Lord_Howe", "11:00"),
        ("2026-07-27T00:00:00+00:00", "Australia/Lord_Howe", "10:30"),
        ("2026-11-27T12:34:00+00:00", UNKNOWN, "12:34"),
    ],
)
def test_a_clock_is_right_around_daylight_saving(moment: str, zone: str, shown: str) -> None:
    assert clock(ms(moment), Look("en", zone)) == shown


def test_a_day_begins_when_it_does_for_the_reader() -> None:
    late, later = ms("2026-11-26T22:58:00+00:00"), ms("2026-11-26T23:01:00+00:00")
    message = Message(2, 2, later, 1, "Ann", 1, "text", before=Previous(1, late))
    seen = {zone: begins_day(message, Look("en", zone)) for zone in ("UTC", "Europe/Berlin", "Asia/Tokyo")}
    assert seen == {"UTC": False, "Europe/Berlin": True, "Asia/Tokyo": False}
    assert day(later, Look("en", "Europe/Berlin")) == "Friday, 27 November 2026"
    assert isoday(later, Look("en", "Europe/Berlin")) == "2026-11-27"
    assert isoday(later, Look()) == "2026-11-26"


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", ("Friday, 27 November 2026", "09:05 PM")),
        ("de", ("Freitag, 27. November 2026", "9:05 PM")),
        ("es", ("viernes, 27 de noviembre de 2026", "9:05 p. m.")),
        ("fr", ("vendredi 27 novembre 2026", "9:05 PM")),
        ("ar", ("الجمعة، 27 نوفمبر 2026", "9:05 م")),
        ("ja", ("2026年11月27日金曜日", "午後9:05")),
    ],
)
def test_days_and_hours_are_written_as_in_each_language(language: str, written: tuple[str, str]) -> None:
    look, at = Look(language, UNKNOWN, "12"), ms("2026-11-27T21:05:00+00:00")
    plain = clock(at, look).replace("\u202f", " ").replace("\u00a0", " ")
    assert (day(at, look), plain) == written
    assert clock(at, look._replace(clock="24")) == "21:05"


def test_nothing_in_a_time_has_to_be_escaped() -> None:
    for language in LANGUAGES:
        for hours in range(24 * 31 * 12):
            at = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + hours * 3600) * 1000
            shown = clock(at, Look(language, UNKNOWN, "12")) + day(at, Look(language))
            assert not set("<>&\"'\ufdd0").intersection(shown), shown


def test_the_file_of_a_zone_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of settings asks for the time in all of them, anew in each quarter of an hour."""
    now = ms("2026-11-27T12:00:00Z")
    offsets = [offset(zone, now) for zone in all_zones()]
    monkeypatch.setattr("chat.zones.ZoneInfo", None)
    assert [offset(zone, now + QUARTER) for zone in all_zones()] == offsets
