"""Links into the past, in each browser: what they lead to is in view, and more comes without a jump."""

from __future__ import annotations

import json

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.drivers import Window
from browser.people import People
from browser.reading import history
from browser.visitors import Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
LONG = "number {}" + " and a text of many lines." * 120
ADDRESS = """[...document.querySelectorAll("#messages li[id]")]
  .find(li => li.textContent.includes({text})).querySelector(".by a").pathname"""
IN_VIEW = """(r => r.top >= -1 && r.bottom <= innerHeight + 1)(
  document.querySelector("{0}").getBoundingClientRect())"""
CURRENT = "[aria-current=true]"
NAMED = """[...document.querySelectorAll("#earlier > .m:not(.notice)")]
  .filter(li => li.querySelector(".by bdi").getBoundingClientRect().width > 2)
  .map(li => li.querySelector(".text").textContent)"""
COUNT = "document.querySelectorAll('#earlier > li').length"
TOP = "Math.round(document.querySelector('#{}').getBoundingClientRect().top)"


async def with_history(visitors: Visitors, count: int, text: str = "number {}", width: int = 1280) -> Visitor:
    ann = await visitors.newcomer(width=width, height=700)
    ann.expected.append(
        "NetworkError|access control checks|Load failed"
    )  # what history fetches is not read to its end
    await ann.open_room("Ann")
    await history(ann, count, text)
    return ann


async def address_of(visitor: Visitor, text: str) -> str:
    return visitor.url + str(await visitor.window.evaluate(ADDRESS.format(text=json.dumps(text))))


async def opened(window: Window, url: str) -> None:
    await window.open(url)
    await window.wait_for("document.readyState === 'complete' && document.querySelector('#earlier') !== null")


async def test_the_message_of_a_link_is_in_view_and_has_the_focus(visitors: Visitors) -> None:
    ann = await with_history(visitors, 8, LONG, width=390)
    await ann.say("this one")
    await ann.sees("this one")
    await history(ann, 3, f"then {LONG}")
    await opened(ann.window, await address_of(ann, "this one"))
    await ann.window.wait_for(IN_VIEW.format(CURRENT))
    assert await ann.window.evaluate(f"document.activeElement.matches('{CURRENT}')")


async def test_more_comes_both_ways_and_nobody_is_moved(visitors: Visitors) -> None:
    ann = await with_history(visitors, 100)
    await opened(ann.window, await address_of(ann, "number 60"))
    assert await ann.window.evaluate(COUNT) == 11
    await ann.window.click("#later a")
    await ann.window.wait_for(f"{COUNT} > 11")
    await ann.window.wait_for("!document.querySelector('#later a[hx-get]')")
    count = int(await ann.window.evaluate(COUNT))
    await ann.window.evaluate("(scrollTo(0, 0), 0)")
    first = await ann.window.evaluate("document.querySelector('#earlier > li').id")
    await ann.window.click("#older a")
    await ann.window.wait_for(f"{COUNT} > {count}")
    place = int(await ann.window.evaluate(TOP.format(first)))
    assert -1 <= place < 100, "the message that was the first is still at the top"
    texts = await ann.texts()
    oldest = int(texts[0].removeprefix("number "))
    assert 4 <= oldest <= 6  # the notice that Ann is here stands somewhere
    assert texts == [f"number {n}" for n in range(oldest, 100)]
    assert await ann.window.evaluate("document.querySelector('#older a') !== null")


async def test_the_page_of_a_message_shows_who_wrote_it_and_what_it_begins_with(visitors: Visitors) -> None:
    """Though both go on from what the same person wrote before."""
    ann = await with_history(visitors, 130)
    await opened(ann.window, await address_of(ann, "number 100"))
    assert await ann.window.evaluate(NAMED) == ["number 95", "number 100"]


async def test_a_day_begins_at_the_top_and_leads_on(visitors: Visitors) -> None:
    ann = await with_history(visitors, 120, width=390)
    room = await ann.window.evaluate("location.pathname")
    await opened(ann.window, f"{ann.url}{room}/on/2020-02-29")
    assert await ann.window.evaluate("document.querySelector('#scroll').scrollTop") == 0
    assert await ann.window.evaluate(IN_VIEW.format("#earlier > li:first-child"))
    assert await ann.window.evaluate(IN_VIEW.format(".on-day p"))
    assert await ann.window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    seen = await ann.texts()
    while await ann.window.evaluate("document.querySelector('#later a') !== null"):
        await opened(ann.window, str(await ann.window.evaluate("document.querySelector('#later a').href")))
        seen += await ann.texts()
    assert seen == [f"number {n}" for n in range(120)]
    await ann.window.click("#foot a")
    await ann.in_room()


@pytest.mark.parametrize("width", [320, 1280])
async def test_without_javascript_a_link_and_a_day_are_in_view(people: People, width: int) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.write_history(8, LONG)
    await ann.say("this one")
    await ann.write_history(3, LONG)
    await ann.sees("this one")
    id = await ann.message("this one").first.get_attribute("id")
    cat = await people.newcomer(javascript=False)
    await cat.page.set_viewport_size({"width": width, "height": 700})
    await cat.join_room(code, "Cat")
    await cat.page.goto(f"{ann.url}/rooms/{code}/{(id or '').removeprefix('message-')}")
    await expect(cat.page.locator(CURRENT)).to_be_in_viewport(ratio=0.9)
    await cat.page.get_by_role("link", name="Earlier messages").click()
    await expect(cat.page.locator("#earlier")).to_be_visible()
    await cat.page.get_by_role("link", name="Later messages").click()
    await expect(cat.page.locator("#earlier > li").first).to_be_in_viewport()
    await cat.page.goto(f"{ann.url}/rooms/{code}/on")
    await cat.page.get_by_label("Day").fill("2020-02-29")
    await cat.page.get_by_role("button", name="Show").click()
    await expect(cat.page.get_by_text("Nobody wrote on Saturday, 29 February 2020.")).to_be_in_viewport()
    await expect(cat.page.locator("#earlier > li").first).to_be_in_viewport()
