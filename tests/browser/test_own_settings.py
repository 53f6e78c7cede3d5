"""Choosing for oneself: language, clock, colours, space; with a script and without."""

from __future__ import annotations

import re
from typing import cast

import pytest
from deployments import ONE
from playwright.async_api import FrameLocator, Locator, Page, expect

from browser.conftest import CACHE
from browser.people import People, Scheme, Tab
from browser.test_accessibility import STILL, axe, check
from chat.languages import LANGUAGES

__all__ = ["axe"]

# The same code writes the same HTML on both deployments.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
SCREENS = CACHE / "screens"
# Bubbles whose text is under their time.
COVERED = """() => [...document.querySelectorAll("#messages .b")].filter(bubble => {
  const time = bubble.querySelector("time").getBoundingClientRect(), range = document.createRange();
  range.selectNodeContents(bubble.querySelector(".text"));
  return [...range.getClientRects()].some(r => r.width > 1 && r.left < time.right - 1
    && time.left + 1 < r.right && r.top < time.bottom - 1 && time.top + 4 < r.bottom);
}).map(bubble => bubble.textContent)"""
WIDER = "() => document.documentElement.scrollWidth > innerWidth"


def conversation(tab: Tab, javascript: bool) -> Page | FrameLocator:
    return tab.page if javascript else tab.page.frame_locator("iframe")


async def open_settings(tab: Tab) -> None:
    await tab.page.goto(f"{tab.url}/settings?room={tab.code}")


def times(tab: Tab, javascript: bool) -> Locator:
    return conversation(tab, javascript).locator(".m:not(.notice) time")


@pytest.mark.parametrize("javascript", [True, False], ids=["live", "without JavaScript"])
async def test_a_person_tells_the_time_and_sees_theirs_from_then_on(people: People, javascript: bool) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.live()
    bob = await people.newcomer(javascript=javascript, locale="ne-NP")
    await bob.join_room(code, "Bob")
    await ann.say("what time is it?")
    await expect(times(bob, javascript)).to_have_count(1)
    utc = await times(bob, javascript).inner_text()
    await conversation(bob, javascript).get_by_role("link", name="Set my time").click()
    await bob.page.get_by_label("What time is it where you are?").focus()  # chosen already, by the browser
    await bob.page.get_by_role("button", name="Next").click()
    await expect(bob.page.get_by_label("Which of these places")).to_have_value("Asia/Kathmandu")
    await bob.page.get_by_role("button", name="Use this time").click()
    await bob.in_room()
    hours, minutes = map(int, utc.split(":"))
    there = (hours * 60 + minutes + 345) % 1440
    await expect(times(bob, javascript)).to_have_text([f"{there // 60:02}:{there % 60:02}"])
    await ann.say("and now?")
    await expect(times(bob, javascript)).to_have_count(2)
    assert await times(bob, javascript).last.inner_text() != await times(ann, True).last.inner_text()
    await expect(conversation(bob, javascript).get_by_text("Times are UTC")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_and_space_are_as_chosen_whatever_the_device_says(people: People, scheme: str) -> None:
    ann = await people.newcomer(scheme=cast(Scheme, scheme))
    await ann.open_room("Ann")
    await ann.live()
    await ann.say("first")
    await ann.say("second")
    await ann.rest()
    papers, heights = {}, {}
    for theme, density in (("Light", "Normal"), ("Dark", "Less")):
        await ann.open_menu()
        await open_settings(ann)
        await ann.page.get_by_label(theme).check()
        await ann.page.get_by_label(re.compile(density)).check()
        await ann.page.get_by_role("button", name="Save").click()
        await ann.in_room()
        await ann.live()
        papers[theme] = await ann.style("html", "backgroundColor")
        heights[density] = await ann.page.locator("#messages").evaluate("e => e.offsetHeight")
    assert papers == {"Light": "rgb(246, 244, 239)", "Dark": "rgb(18, 20, 19)"}
    assert heights["Less"] < heights["Normal"] * 0.9


async def test_who_comes_and_goes_can_be_left_out(people: People) -> None:
    ann, bob = await people.two()
    await ann.both_entered()
    await ann.open_menu()
    await open_settings(ann)
    await ann.page.get_by_label("Only in the list of people").check()
    await ann.page.get_by_role("button", name="Save").click()
    await ann.live()
    notices = "#messages .notice p"
    await expect(ann.page.locator(notices).first).to_be_hidden()
    await expect(ann.page.locator("#messages h2")).to_be_visible()
    await expect(bob.page.locator(notices).first).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280), ("light", 320)])
async def test_the_page_is_in_order(people: People, axe: str, scheme: str, width: int) -> None:
    ann = await people.newcomer(scheme=cast(Scheme, scheme), width=width, height=844, locale="de-AT", **STILL)
    SCREENS.mkdir(parents=True, exist_ok=True)
    for name, query in (("settings", ""), ("settings-place", "?offset=60")):
        await ann.page.goto(f"{ann.url}/settings{query}")
        await check(ann, axe, name)
        assert not await ann.page.evaluate(WIDER)
        await ann.page.screenshot(path=SCREENS / f"{name}-{scheme}-{width}.png", full_page=True)


async def test_arabic_is_laid_out_from_right_to_left(people: People, axe: str) -> None:
    ann = await people.newcomer(width=390, height=844, locale="ar-EG", **STILL)
    code = await ann.open_room("Ann")
    await ann.live()
    bob = await people.newcomer(locale="ar-EG", **STILL)
    await bob.join_room(code, "بدر")
    await bob.live()
    await bob.say("السلام عليكم")
    await ann.say("مرحبا بالجميع")
    await ann.say("hello")
    await ann.sees("السلام")
    assert await ann.page.evaluate("() => getComputedStyle(document.documentElement).direction") == "rtl"
    box = await ann.page.locator("#messages .text").last.bounding_box()
    assert box
    assert box["x"] < 40  # one's own are at the end of the line
    assert not await ann.page.evaluate(WIDER)
    SCREENS.mkdir(parents=True, exist_ok=True)
    await ann.page.screenshot(path=SCREENS / "room-arabic-390.png")
    assert not await ann.page.evaluate(COVERED)
    await bob.choose(bob.newest)
    await bob.page.screenshot(path=SCREENS / "room-arabic-1280.png")
    await check(ann, axe, "a room in Arabic")


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
async def test_every_language_fits_on_a_small_phone(people: People, axe: str, language: str) -> None:
    ann = await people.newcomer(width=320, height=640, locale=language, **STILL)
    await ann.page.goto(ann.url)
    await _is_in_order(ann, axe, f"home-{language}")
    await ann.page.goto(f"{ann.url}/settings")
    await _is_in_order(ann, axe, f"settings-{language}")
    code = await ann.open_room("Ann")
    await ann.live()
    await ann.say("👍")
    await _is_in_order(ann, axe, f"room-{language}")
    for path in ("leave", "title", "name", "comings"):
        await ann.page.goto(f"{ann.url}/rooms/{code}/{path}")
        await _is_in_order(ann, axe, f"{path}-{language}")


async def _is_in_order(tab: Tab, axe: str, name: str) -> None:
    await check(tab, axe, name)
    assert not await tab.page.evaluate(WIDER), name
    await tab.page.screenshot(path=SCREENS / f"{name}-320.png", full_page=True)
