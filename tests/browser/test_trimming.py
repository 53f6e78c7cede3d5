"""A page that is open for long keeps the newest messages; older ones come back by scrolling."""

from __future__ import annotations

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Tab

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# Both deployments push the same HTML.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
NUMBERS = """() => [...document.querySelectorAll("#messages .text")]
  .map(e => +e.textContent.match(/\\d+/)[0])"""


async def numbers(tab: Tab) -> list[int]:
    return list(await tab.page.evaluate(NUMBERS))


async def scroll_up(tab: Tab) -> None:
    await tab.page.locator("#scroll").evaluate("e => { e.scrollTop = -e.scrollHeight }")


async def test_older_messages_go_and_come_back_by_scrolling_each_once_and_in_order(people: People) -> None:
    ann, bob = await people.two()
    await ann.both_entered()
    await ann.write_history(420)
    await bob.sees("number 419")
    await expect(bob.page.locator("#earlier li")).to_have_count(0)
    shown = await numbers(bob)
    assert 300 <= len(shown) < 420
    assert shown == list(range(shown[0], 420))
    while shown[0] > 0:
        await scroll_up(bob)
        await expect(bob.page.locator("#messages .text").first).not_to_have_text(f"number {shown[0]}")
        shown = await numbers(bob)
        assert shown == list(range(shown[0], 420))


async def test_what_somebody_has_loaded_stays(people: People) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.write_history(80)
    bob = await (await people.newcomer()).join_room(code, "Bob")
    await bob.live()
    await scroll_up(bob)
    await expect(bob.message("number 0").first).to_be_attached()
    await ann.write_history(340, "later {}")
    await bob.sees("later 339")
    await expect(bob.message("number 0").first).to_be_attached()
