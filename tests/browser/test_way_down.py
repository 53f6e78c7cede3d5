"""The way to the newest message, in three browsers."""

from __future__ import annotations

import pytest
from deployments import ONE

from browser.visitors import Visitors

pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
SHOWN = "document.querySelector('#down').checkVisibility({visibilityProperty: true})"


async def test_the_way_to_the_newest_shows_only_far_from_there(visitors: Visitors) -> None:
    ann = await visitors.newcomer(height=500)
    await ann.open_room("Ann")
    assert not await ann.window.evaluate(SHOWN), "nothing scrolls yet"
    for n in range(9):
        await ann.say(f"line {n}")
    await ann.sees("line 8")
    assert not await ann.window.evaluate(SHOWN)
    if visitors.engine.name == "Firefox":
        return  # it has no timelines that scroll, and never shows it
    for place, is_shown in ((-200, True), (-50, False), (-200, True), (0, False)):
        await ann.window.evaluate(f"(document.querySelector('#scroll').scrollTop = {place}, 0)")
        await ann.window.wait_for(f"{SHOWN} === {str(is_shown).lower()}")
