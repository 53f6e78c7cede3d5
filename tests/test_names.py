"""Look-alike names: who could be taken for whom."""

from __future__ import annotations

import pytest

from chat.names import looks


def _alike(one: str, other: str) -> bool:
    a, b = looks(one), looks(other)
    return a.folded == b.folded or a.shape == b.shape


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "Ann"),
        ("Ann", "ann"),
        ("Ann", "ANN"),
        ("straße", "STRASSE"),
        ("Ann", "Ａｎｎ"),  # full width: NFKC
        ("fish", "ﬁsh"),  # a ligature: NFKC
        ("José", "Jose\u0301"),
        ("Anna", "Аnnа"),  # Cyrillic А and а
        ("Peter", "Реtеr"),  # Cyrillic Р and е
        ("Nikos", "Νikοs"),  # Greek Ν and ο
        ("paypal", "pаypаl"),
        ("Ian", "lan"),  # a capital I and a small L
        ("Ian", "ian"),
        ("lan", "1an"),
        ("BO", "B0"),
        ("modern", "rnodern"),
        ("Ann Lee", "Ann  Lee"),
        ("Ann Lee", "Ann\u00a0Lee"),
        ("Ann", "A\u200dnn"),  # a joiner that nobody sees
        ("Ann", "A\u200cnn"),
    ],
)
def test_these_two_could_be_taken_for_one_another(one: str, other: str) -> None:
    assert _alike(one, other)
    assert _alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "Anna"),
        ("ian", "lan"),
        ("Ann", "Bob"),
        ("Jose", "José"),
        ("Ann Lee", "AnnLee"),
        ("李", "季"),
        ("Max", "Mex"),
    ],
)
def test_these_two_are_told_apart_by_anybody(one: str, other: str) -> None:
    assert not _alike(one, other)


def test_looks_are_stable_under_being_asked_again() -> None:
    assert looks("Аnn") == looks("Аnn")


@pytest.mark.parametrize("name", ["", " ", "\u0301", "👩\u200d🚀", "ﷺ", "\U0001d400", "x" * 32])
def test_any_name_has_looks(name: str) -> None:
    assert isinstance(looks(name).folded, str)
