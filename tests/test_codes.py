"""Room codes: made, vouched for, and read from whatever people paste."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model.codes import CODE_ALPHABET, CODE_TYPED, Codes, clean_code, grouped, is_code
from chat.model.errors import Refused

CODES = Codes("a secret of this installation")
OLD = "BCDF2345"  # as version 0.1 made them
NEW = CODES.new()


def _refusal(text: str) -> Refused:
    with pytest.raises(Refused) as refused:
        clean_code(text)
    return refused.value


def test_a_new_code_has_twelve_characters_of_the_unambiguous_alphabet() -> None:
    codes = [CODES.new() for _ in range(500)]
    assert all(len(code) == 12 and set(code) <= set(CODE_ALPHABET) and is_code(code) for code in codes)
    assert set("".join(codes)) == set(CODE_ALPHABET)
    assert len(set(codes)) == 500


def test_the_alphabet_holds_nothing_that_could_be_misread_or_spell_a_word() -> None:
    assert not set("01OILAEU") & set(CODE_ALPHABET)
    assert len(CODE_ALPHABET) ** 12 > 10**17


def test_codes_come_from_the_system_s_secure_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.model.codes.secrets.choice", lambda alphabet: alphabet[-1])
    assert CODES.new().startswith("ZZZZZZZZ")


def test_a_code_is_vouched_for_by_the_installation_that_made_it_and_by_no_other() -> None:
    codes = [CODES.new() for _ in range(200)]
    assert all(map(CODES.vouches_for, codes))
    assert all(map(Codes("a secret of this installation").vouches_for, codes))
    assert not any(map(Codes("another secret").vouches_for, codes))


def test_a_code_with_any_other_character_is_not_vouched_for() -> None:
    changed = {NEW[:place] + other + NEW[place + 1 :] for place in range(12) for other in CODE_ALPHABET} - {
        NEW
    }
    assert sum(map(CODES.vouches_for, changed)) <= 1  # chance is one in 614,656 for each of 324
    assert not any(
        CODES.vouches_for(text) for text in ("", OLD, NEW[:8], NEW + "B", NEW[:11], NEW[:11] + "é")
    )


@pytest.mark.parametrize("code", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize(
    "pasted",
    [
        "{}",
        " {} \n",
        "{}.",
        "{},",
        "{}!",
        '"{}"',
        "'{}'",
        "\u201c{}\u201d",
        "\u201e{}\u201c",
        "\u00ab {} \u00bb",
        "({})",
        "[{}]",
        "<{}>",
        "`{}`",
        "**{}**",
        "#{}",
        "№ {}",
        "Room {}",
        "Room: {}",
        "room {}.",
        "The code is {}, see you there",
        "cf. my {}",
        "房间{}。",
        "Raum:\t{}",
        "\u200b{}\u200b",
        "\ufeff{}",
        "\u2068{}\u2069",
        "\u200e{}",
        "{}\u00ad",
        "https://chat.example/rooms/{}",
        "http://localhost:8000/rooms/{}",
        "https://chat.example/rooms/{}.",
        "<https://chat.example/rooms/{}>",
        "https://bcdfghjk.example/rooms/{}?utm_source=mail#message-7",
        "HTTPS://CHAT.EXAMPLE/ROOMS/{}/",
        "chat.example/rooms/{}",
        "/rooms/{}",
        "https://chat.example/rooms/%22{}%22",
        "Come to https://chat.example/rooms/{} at half past eight",
    ],
)
def test_a_code_is_understood_as_people_paste_it(pasted: str, code: str) -> None:
    for form in (code, code.lower(), grouped(code), grouped(code).lower(), _full_width(code)):
        assert clean_code(pasted.format(form)) == code


def _full_width(code: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in code)


@pytest.mark.parametrize("code", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize(
    "between",
    [
        "",
        " ",
        "-",
        "\u2010",
        "\u2011",
        "\u2013",
        "\u2014",
        "\u2212",
        "\uff0d",
        "\u200b",
        "\u00a0",
        " \u2013 ",
        "_",
        ".",
    ],
)
def test_anything_but_letters_and_digits_may_stand_between_the_characters(code: str, between: str) -> None:
    for size in (1, 2, 4, 6):
        parts = [code[start : start + size] for start in range(0, len(code), size)]
        assert clean_code(between.join(parts)) == code
        assert clean_code(quote(between.join(parts)).join(["https://chat.example/rooms/", ""])) == code


MARKS = st.text(
    st.characters(blacklist_categories=["Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Cs", "So"]),
    max_size=30,
)


@given(MARKS, MARKS, st.sampled_from(["", "Room ", "Code: ", "at /rooms/", "https://a.example/rooms/"]))
def test_any_marks_around_a_right_code_leave_it_right(before: str, after: str, word: str) -> None:
    code = CODES.new()
    assert clean_code(f"{before} {word}{code} {after}") == code
    assert clean_code(f"{word}{grouped(code)} {after}") == code


@given(st.text(max_size=CODE_TYPED))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Refused):
        code = clean_code(text)
        assert not is_code(code) or clean_code(grouped(code)) == code


@pytest.mark.parametrize(
    "typed", ["", " ", "- -", "\t\n", "\u200b", "../../..", "https://bcdf2345.example/rooms/"]
)
def test_a_missing_code_is_asked_for(typed: str) -> None:
    refused = _refusal(typed)
    assert (refused.text, refused.field) == ("Please enter a room code.", "code")


def test_a_text_too_long_for_any_code_is_said_to_be() -> None:
    assert clean_code(" " * (CODE_TYPED - 8) + OLD) == OLD
    assert (
        _refusal(" " * (CODE_TYPED - 7) + OLD).text
        == "This is too long. A room code has 12 letters and digits."
    )


@pytest.mark.parametrize(
    "typed",
    [
        "BCDF234",
        "BCDF23456",
        "BCDF234O",
        "бСDF2345",
        "BCDF234\0",
        "ßßßß2345",
        "BCDF2345BCDF2345",
        "https://bcdf2345.example/rooms/nothing",
    ],
)
def test_what_is_no_code_is_known_without_asking_the_store(typed: str) -> None:
    assert not is_code(clean_code(typed))


def test_a_code_is_shown_in_groups_that_can_be_typed_back() -> None:
    assert grouped(NEW) == f"{NEW[:4]}-{NEW[4:8]}-{NEW[8:]}"
    assert grouped(OLD) == "BCDF-2345"
    for _ in range(100):
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(secrets.choice([8, 12])))
        assert clean_code(grouped(code)) == code


def test_an_id_of_a_room_in_the_log_takes_the_key_of_the_installation() -> None:
    """An unsalted hash of the code gave it away to anybody who knew half of it."""
    code = "BCDFGHJK"
    one, same, other = map(
        Codes, ("one secret of the nodes", "one secret of the nodes", "another one, as long")
    )
    assert one.logged(code) == same.logged(code)
    assert one.logged(code) not in {other.logged(code), one.logged("BCDFGHJL")}
    assert len(one.logged(code)) == 12
    plain = [hashlib.new(name, code.encode()).hexdigest() for name in ("sha256", "sha1", "md5", "blake2s")]
    assert not [text for text in plain if text.startswith(one.logged(code)[:8])]
