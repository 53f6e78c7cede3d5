"""Who comes and goes is told in the conversation only as far as the room wants it."""

from __future__ import annotations

import re

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Tab
from browser.test_looks import no_overflow

pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")


@pytest.mark.parametrize("javascript", [True, False], ids=["live", "without JavaScript"])
async def test_any_member_sets_what_is_told_by_keyboard(people: People, javascript: bool) -> None:
    async def connected(tab: Tab) -> None:
        """A browser complains of a connection that is cut while it is being made."""
        if javascript:
            await tab.live()

    ann, bob = await people.newcomer(), await people.newcomer(javascript=javascript, width=320, height=700)
    code = await ann.open_room("Ann")
    await ann.live()
    await bob.join_room(code, "Bob")
    await ann.told_of("Bob")
    await connected(bob)
    await bob.page.goto(f"{bob.url}/rooms/{code}/comings")
    told_less = bob.page.get_by_label("First arrivals, and who leaves for good")
    await expect(told_less).to_be_checked()
    await no_overflow(bob)
    await told_less.press("ArrowDown")
    await expect(bob.page.get_by_label("Everybody who comes and goes")).to_be_checked()
    await bob.page.keyboard.press("Enter")
    await bob.in_room()
    await ann.told_of("everybody who comes and goes")
    await connected(bob)
    await bob.page.close()
    away = ann.page.locator(".notice").filter(has_text=re.compile("Bob went away"))
    await expect(away).to_be_attached(timeout=30_000)  # 10 s of grace
