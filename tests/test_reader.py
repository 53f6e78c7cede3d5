"""What a visitor has chosen, what their browser asks for, and what the operator has set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.languages import HEADER_LENGTH, accepted, language_for
from chat.settings import Misconfigured, Settings
from chat.views.look import Look
from chat.views.reader import COOKIE_LENGTH, Choices, load_choices, reader_for
from chat.zones import same_clock

ALL = Choices("ar", "America/Argentina/ComodRivadavia", "12", "light", "compact", "hidden", "on")


def look_for(cookie: str = "", header: str = "", **settings: str) -> Look:
    return reader_for(load_choices(cookie), header, Settings(**settings)).look  # type: ignore[arg-type]


def test_what_is_chosen_comes_before_the_browser_and_the_browser_before_the_operator() -> None:
    assert look_for() == Look("en", "UTC", "24")
    assert look_for(language="de", timezone="Asia/Tokyo") == Look("de", same_clock("Asia/Tokyo"))
    assert look_for("", "fr-CA, de;q=0.5", language="de").language == "fr"
    assert look_for("", "nl, pl", language="de").language == "de"
    chosen = Choices("ja", "Europe/Berlin", "12").cookie
    assert look_for(chosen, "fr", language="de", timezone="Asia/Tokyo") == Look(
        "ja", same_clock("Europe/Berlin"), "12"
    )


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("de-AT, en;q=0.8", (("de", "AT"), ("en", ""))),
        ("en;q=0.1, fr-ch ;q=0.9", (("fr", "CH"), ("en", ""))),
        ("zh-Hant-TW,*;q=0.5", (("zh", "TW"),)),
        ("de;q=0, es", (("es", ""),)),
        ("de;q=1.2.3, ;;;, =", ()),
        ("", ()),
    ],
)
def test_accept_language_is_read(header: str, read: tuple[tuple[str, str], ...]) -> None:
    assert accepted(header) == read


@given(st.text(max_size=3 * HEADER_LENGTH))
def test_no_header_is_too_odd(header: str) -> None:
    assert language_for(header, "en") in {"en", "de", "es", "fr", "ar", "ja"}


def test_what_was_chosen_is_kept_in_a_cookie() -> None:
    chosen = Choices().with_fields(ALL._asdict() | {"zone": "US/Pacific", "volume": "loud"})
    assert load_choices(chosen.cookie) == chosen == ALL._replace(zone="America/Los_Angeles")
    assert chosen.with_fields({"zone": "", "clock": "24"}) == chosen._replace(clock="24")
    assert len(ALL.cookie) <= COOKIE_LENGTH


@pytest.mark.parametrize("field", Choices._fields)
def test_what_cannot_be_chosen_is_refused_by_its_field(field: str) -> None:
    for text in ("x", "~", "en~", "dark\0"):
        with pytest.raises(ValueError, match=field):
            Choices().with_fields({field: text})


@given(st.text(max_size=2 * COOKIE_LENGTH))
def test_a_cookie_that_is_not_ours_chooses_nothing_that_there_is_not(cookie: str) -> None:
    loaded = load_choices(cookie)
    assert Choices().with_fields(loaded._asdict()) == loaded


def test_of_a_cookie_only_what_is_still_known_counts() -> None:
    assert load_choices("de~Mars/Base~24~dark~huge") == Choices("de", "", "24", "dark")


def test_the_operator_s_defaults_are_checked_at_the_start() -> None:
    settings = Settings.from_env({"CHAT_TIMEZONE": "US/Pacific", "CHAT_LANGUAGE": "DE"})
    assert (settings.timezone, settings.language) == ("America/Los_Angeles", "de")
    for name, value in (("CHAT_TIMEZONE", "Berlin"), ("CHAT_LANGUAGE", "klingon"), ("CHAT_LANGUAGE", "")):
        with pytest.raises(Misconfigured, match=f"{name}.*[Uu]se "):
            Settings.from_env({name: value})
