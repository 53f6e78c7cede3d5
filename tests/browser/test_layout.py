"""How much place things take, and that nothing moves while a page comes."""

from __future__ import annotations

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People
from browser.visitors import Visitors

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# Both deployments serve the same files and the same HTML.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
HEIGHTS = (
    "[...document.querySelectorAll('#live > .m:not(.notice)')].map(m => m.getBoundingClientRect().height)"
)
SHIFTS = """new PerformanceObserver(list => { for (const e of list.getEntries())
  (window.shifts ??= []).push([e.value, ...e.sources.map(s => s.node?.id || s.node?.nodeName)]) })
  .observe({type: "layout-shift", buffered: true})"""


async def test_a_short_message_takes_61_pixels_and_38_within_a_run(visitors: Visitors) -> None:
    ann, bob = await visitors.two(width=1280, height=800)
    await ann.say("short")
    await ann.say("shorter")
    await bob.sees("shorter")
    await bob.window.wait_for(f"({HEIGHTS}).length === 2")
    first, second = await bob.window.evaluate(HEIGHTS)
    assert first <= 61
    assert second <= 38


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1400, 800)])
async def test_nothing_moves_while_a_room_comes(people: People, width: int, height: int) -> None:
    ann = await people.newcomer(width=width, height=height)
    await ann.open_room("Ann")
    await ann.write_history(
        60, "a text that is long enough for two lines on the window of a phone, number {}"
    )
    await ann.page.add_init_script(SHIFTS)
    await ann.page.reload(wait_until="commit")
    await expect(ann.message("number 59")).to_be_visible()
    await ann.live()
    await ann.page.wait_for_load_state("networkidle")
    assert await ann.page.evaluate("window.shifts ?? []") == []


@pytest.mark.parametrize("width", [390, 1400])
async def test_what_is_pressed_in_the_header_is_big_enough_for_a_thumb(people: People, width: int) -> None:
    ann = await people.newcomer(width=width, height=844)
    await ann.open_room("Ann")
    await ann.live()
    small = """[...document.querySelectorAll("#room > header :is(a, button), #rail a")]
      .filter(e => e.getClientRects().length && !e.closest("[popover]"))
      .map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 60)])
      .filter(([r]) => r.height < 36 || r.width < 32).map(([r, html]) => [r.width, r.height, html])"""
    assert await ann.page.evaluate(small) == []


async def test_a_quote_in_the_other_direction_is_cut_at_its_end(people: People) -> None:
    """In a page from right to left, the beginning of an English text was cut off."""
    ann = await people.newcomer(width=390, height=844, locale="ar")
    code = await ann.open_room("Ann")
    await ann.write_history(1, "First of all, this is a text in English, too long for one line of a phone")
    id = (await ann.page.locator("#earlier .m:has(.text), #live .m:has(.text)").get_attribute("id") or "")[8:]
    form: dict[str, str | float | bool] = {"key": "k", "body": "نعم", "reply": id}
    await ann.page.request.post(f"{ann.url}/rooms/{code}/messages", form=form)
    words = ann.page.locator(".m .quote > bdi")
    await expect(words).to_be_visible()
    start, box = await words.evaluate("""words => {
      const range = document.createRange();
      range.setStart(words.firstChild, 0);
      range.setEnd(words.firstChild, 5);
      return [range.getBoundingClientRect().left, words.parentElement.getBoundingClientRect().left]
    }""")
    assert start >= box


@pytest.mark.parametrize("width", [390, 1400])
async def test_the_palette_of_an_own_message_has_two_rows(people: People, width: int) -> None:
    """A longer name of one button pushed the cross that closes it to a row of its own."""
    ann = await people.newcomer(width=width, height=800)
    await ann.open_room("Ann")
    await ann.write_history(1, "mine")
    await ann.choose(ann.message("mine"))
    await expect(ann.page.get_by_role("button", name="Close")).to_be_visible()
    rows = await ann.page.locator("#pal button:visible").evaluate_all(
        "buttons => new Set(buttons.map(b => Math.round(b.getBoundingClientRect().top / 20))).size"
    )
    assert rows == 2
