"""The domain: what a name, a code, a text and a notice may be."""

from __future__ import annotations

import dataclasses
import json

import pytest

from chat.model import messages, rooms
from chat.model.errors import Refused
from chat.model.members import Member, clean_name
from chat.model.messages import BODY_BYTES, RUN_GAP, Message, Previous, clean_body, clean_key
from chat.model.notices import FOLD_AGE, Notice, Part, Verb, dump_notice, folded, load_notice
from chat.views.look import LOOK
from chat.views.times import begins_day, begins_run

SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
NOON = 1_800_014_400_000  # 2027-01-15 12:00:00 UTC
DAY = 86_400_000


def _refusal(rule: object, text: str) -> Refused:
    with pytest.raises(Refused) as refused:
        rule(text)  # type: ignore[operator]
    return refused.value


# Names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  Ann  ", "Ann"),
        ("\u3000Ann\u00a0", "Ann"),
        ("Jose\u0301", "José"),
        ("A" * 32, "A" * 32),
        ("e\u0301" * 32, "é" * 32),
        ("李小龍", "李小龍"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("O'Neil <b>", "O'Neil <b>"),
        ("\U0001fa77 Ann", "\U0001fa77 Ann"),  # of Unicode 15, which Python 3.11 does not know
        ("\U0001fae9", "\U0001fae9"),  # of Unicode 16
        ("Ann \U0003fffd", "Ann \U0003fffd"),  # not assigned yet
        ("❤\ufe0f Ann", "❤\ufe0f Ann"),
        (SCOTLAND + " Ann", SCOTLAND + " Ann"),
    ],
)
def test_a_name_is_trimmed_and_composed(typed: str, name: str) -> None:
    assert clean_name(typed) == name


@pytest.mark.parametrize("typed", ["", "   ", "\u3000\u00a0", "\n"])
def test_a_missing_name_is_asked_for(typed: str) -> None:
    refused = _refusal(clean_name, typed)
    assert (refused.text, refused.field) == ("Please enter a name.", "name")


def test_a_name_has_at_most_32_characters() -> None:
    assert "32 characters" in _refusal(clean_name, "A" * 33).text


@pytest.mark.parametrize(
    "character",
    [
        "\0",
        "\x1b",
        "\x7f",
        "\x85",
        "\n",
        "\u2028",
        "\u2029",
        "\u202a",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u200e",
        "\u200f",
        "\u061c",
        "\ufeff",
        "\u200b",
        "\U000e0041",
        "\ud800",
        "\ue000",
        "\U000f0000",
        "\ufdd0",
        "\uffff",
        "\U0010ffff",
        "\u2065",  # reserved to be invisible
        "\U000e0fff",
        "\U0001f3f4\U000e0067",  # a flag that does not end
        "\U000e007f",
    ],
)
def test_a_name_has_no_control_or_direction_characters(character: str) -> None:
    refused = _refusal(clean_name, f"An{character}n")
    assert (refused.text, refused.field) == (
        "This name contains invisible characters. Please type it again.",
        "name",
    )


@pytest.mark.parametrize(
    "typed", ["\u200d", "\u200c\u200c", "\u3164", "\u2800", "\u0301", "\u115f\u1160", "\uffa0 \u3164"]
)
def test_a_name_can_be_seen(typed: str) -> None:
    assert _refusal(clean_name, typed).field == "name"


# Texts and keys ---------------------------------------------------------------------------------------


def test_line_ends_are_unified_and_outer_empty_lines_dropped() -> None:
    assert clean_body("\r\n\n a\r\nb\rc \n\n") == " a\nb\nc"


def test_indentation_tabs_and_inner_empty_lines_stay() -> None:
    assert clean_body("  if x:\n\n\tpass") == "  if x:\n\n\tpass"


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x85", "\ud800"])
def test_control_characters_and_lone_surrogates_vanish_from_a_text(character: str) -> None:
    assert clean_body(f"a{character}b") == "ab"
    assert _refusal(clean_body, character).field == "body"


@pytest.mark.parametrize("text", ["", " ", "\n\r\n", "\t", "\u3000"])
def test_an_empty_text_is_refused(text: str) -> None:
    assert _refusal(clean_body, text).text == "Please write something first."


INVISIBLE_TEXTS = [
    "\u200b",
    "\u2800",
    "\u3164",
    "\u202e",
    "\ufeff",
    "\u00ad",
    "\u0301",
    "\u0301" * 3000,
    "\ufe0f \n\u200d",
]


@pytest.mark.parametrize("text", INVISIBLE_TEXTS)
def test_an_invisible_text_is_refused_like_an_empty_one(text: str) -> None:
    refused = _refusal(clean_body, text)
    assert (refused.text, refused.field) == ("Please write something first.", "body")


@pytest.mark.parametrize(
    "text", ["e\u0301", "\u2764\ufe0f", "👨\u200d👩\u200d👧", "مُحَمَّد", "\U0001fa77", "\u202ea"]
)
def test_a_text_with_something_to_see_stays_as_it_was_written(text: str) -> None:
    assert clean_body(text) == text


def test_a_text_far_too_long_is_refused_by_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "CONTROLS", None)  # working on it would fail
    assert "too long" in _refusal(clean_body, "\u0301" * 100_000).text


def test_line_ends_do_not_make_a_text_too_long() -> None:
    assert clean_body("a" + "\r\n" * (BODY_BYTES - 2) + "b") == "a" + "\n" * (BODY_BYTES - 2) + "b"


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_a_text_has_at_most_8_kib_of_utf_8(letter: str) -> None:
    full = letter * (BODY_BYTES // len(letter.encode()))
    assert clean_body(full) == full
    refused = _refusal(clean_body, full + letter)
    assert refused.field == "body"
    assert "too long" in refused.text


def test_a_key_has_1_to_64_printable_characters() -> None:
    assert clean_key("k") == "k"
    assert clean_key("x" * 64) == "x" * 64
    for key in ("", "x" * 65, "a\nb", "\0", "\ud800"):
        assert _refusal(clean_key, key).field == "key"


# Groups and days --------------------------------------------------------------------------------------


def _message(at: int, author: int | None = 1, before: Previous | None = None) -> Message:
    return Message(9, 9, at, author, "Ann", 1, "hello", before=before)


@pytest.mark.parametrize(
    ("before", "starts_run", "starts_day"),
    [
        (None, True, True),
        (Previous(1, NOON - 1), False, False),
        (Previous(1, NOON - RUN_GAP), False, False),
        (Previous(1, NOON - RUN_GAP - 1), True, False),
        (Previous(2, NOON - 1), True, False),
        (Previous(None, NOON - 1), True, False),
        (Previous(1, NOON - DAY), True, True),
    ],
)
def test_one_author_s_messages_within_five_minutes_are_one_group(
    before: Previous | None, starts_run: bool, starts_day: bool
) -> None:
    message = _message(NOON, before=before)
    assert (begins_run(message, LOOK), begins_day(message, LOOK)) == (starts_run, starts_day)


def test_midnight_starts_a_day_and_with_it_a_group() -> None:
    midnight = NOON + DAY // 2
    message = _message(midnight, before=Previous(1, midnight - 1))
    assert begins_day(message, LOOK)
    assert begins_run(message, LOOK)


# Notices ----------------------------------------------------------------------------------------------


def _members(*names: str) -> list[Member]:
    return [Member("BCDF2345", n, f"p{n}", name, 1) for n, name in enumerate(names, 1)]


def _notice(notice: Notice, at: int = NOON) -> Message:
    return Message(5, 5, at, None, "", 1, "", kind="notice", meta={"notice": dump_notice(notice)})


def test_a_crowd_that_comes_at_once_is_one_notice() -> None:
    crowd = _members("Ann", "Bob", *(f"P{n}" for n in range(37)))
    assert folded(None, "entered", crowd, NOON, False) == (Notice("entered", ("Ann", "Bob", "P0"), 39), False)


def test_a_newest_notice_takes_up_who_comes_within_a_minute() -> None:
    last = _notice(Notice("entered", ("Ann",), 1))
    assert folded(last, "entered", _members("Bob", "Cid"), NOON + FOLD_AGE, False) == (
        Notice("entered", ("Ann", "Bob", "Cid"), 3),
        True,
    )


@pytest.mark.parametrize(
    "last",
    [
        None,
        _notice(Notice("titled", ("Ann", "Title"), 1)),
        _notice(Notice("entered", ("Ann",), 1), at=NOON - FOLD_AGE - 1),
        _message(NOON),
    ],
    ids=["first", "other verb", "too old", "a text"],
)
def test_otherwise_a_new_notice_is_begun(last: Message | None) -> None:
    notice, replaces = folded(last, "entered", _members("Bob"), NOON, False)
    assert notice == Notice("entered", ("Bob",), 1)
    assert not replaces


def test_runs_fold_across_who_comes_and_who_goes() -> None:
    notice, last = None, None
    done: list[tuple[Verb, str, bool]] = [("arrived", "Ann", False), ("left", "Bob", True)]
    done += [("away", "Ann", False), ("arrived", "Cid", False), ("entered", "Ann", False)]
    for verb, name, ended in done:
        notice, replaces = folded(last, verb, _members(name), NOON, ended)
        assert replaces == (last is not None)
        last = _notice(notice)
    assert notice == Notice(
        "arrived",
        ("Ann", "Cid"),
        2,
        (1,),
        (Part("left", ("Bob",), 1), Part("away", ("Ann",), 1), Part("entered", ("Ann",), 1)),
    )
    assert load_notice(json.loads(json.dumps(dump_notice(notice)))) == notice


def test_who_comes_and_goes_and_comes_is_named_once() -> None:
    last = _notice(Notice("entered", ("Ann",), 1, (), (Part("away", ("Ann",), 1),)))
    assert folded(last, "entered", _members("Ann"), NOON, False) == (last.notice, True)


def test_a_notice_keeps_the_seats_that_ended() -> None:
    last = _notice(Notice("left", ("Zoe",), 1, (7,)))
    notice, _ = folded(last, "left", _members("Ann"), NOON, True)
    assert notice.ended == (7, 1)


def test_a_marked_name_is_marked_in_notices_too() -> None:
    twin = Member("BCDF2345", 2, "p2", "Ann", 2)
    assert folded(None, "entered", [twin], NOON, False)[0].names == ("Ann (2)",)


def test_domain_values_cannot_be_changed() -> None:
    room = rooms.Room("BCDF2345", "epoch", NOON)
    for value, field in ((room, "code"), (_members("Ann")[0], "name"), (_message(NOON), "body")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, "changed")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 8193, "Not sent: 1 character too long. Shorten it or send it in two parts."),
        ("x" * 8291, "Not sent: 99 characters too long. Shorten"),
        ("x" * 8292, "Not sent: about 100 characters too long. Shorten"),
        ("x" * 9000, "Not sent: about 810 characters too long. Shorten it or send it in two parts."),
        ("漢" * 3000, "Not sent: about 270 characters too long. Shorten"),
        (
            "a" * 8000 + "漢" * 3000,
            "Not sent: about 2,900 characters too long. Shorten it or send it in several parts.",
        ),
        ("x" * 9000 + "\n" * 100, "Not sent: about 810 characters too long. Shorten"),
        (
            "\ud800" * 40_000,
            "Not sent: about 32,000 characters too long. Shorten it or send it in several parts.",
        ),
        ("x" * 25_000, "The field takes 25,000 characters, so the end of what you pasted may be missing."),
        ("😀" * 12_500, "the end of what you pasted may be missing."),
        ("x\r\n" * 12_500, "the end of what you pasted may be missing."),
    ],
)
def test_a_text_too_long_is_told_by_how_much_and_whether_it_was_cut(text: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_body(text)
    assert reason in refused.value.text
    assert ("the end of what you pasted" in refused.value.text) == (len(text) >= 12_500)
