"""A few emoji without anything else are shown bigger."""

from __future__ import annotations

import pytest
from dom import parse

from chat.model.emoji import A_FEW
from chat.views.formatted import formatted
from chat.views.look import LOOK

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    "text", ["⛵", "⛵🏆", "😀 😀\n😀", "❤", "❤️", "1️⃣", "🇩🇪🇯🇵", f"{FAMILY}👍🏽", "🎂" * A_FEW, FAMILY * A_FEW]
)
def test_a_few_emoji_alone_are_big(text: str) -> None:
    assert parse(formatted(text)(LOOK)).one("span.big").text == text


def test_so_are_those_that_were_named() -> None:
    assert parse(formatted(":sailboat: :trophy:")(LOOK)).one("span.big").text == "⛵ 🏆"


TEXTS = ("", "See you ⛵", "⛵ see you", "1", "123", "#", "©x", "\u200d", "\ufe0f", "سآخذ ⛵", "⛵<b>")


@pytest.mark.parametrize("text", [*TEXTS, "⛵ https://example.org", "🎂" * (A_FEW + 1), "🎂" * 5000])
def test_everything_else_is_not(text: str) -> None:
    assert not parse(formatted(text)(LOOK)).has(".big")
