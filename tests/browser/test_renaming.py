"""A name typed into a browser that has a seat under another one: what is meant is asked, at any width."""

from __future__ import annotations

from typing import cast

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Scheme, Tab
from browser.test_looks import SCREENS, no_overflow

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")

LONG = "W" * 32


async def _type_another_name(tab: Tab, code: str, name: str) -> None:
    await tab.page.goto(tab.url)
    await tab.page.get_by_label("Your name").fill(name)
    await tab.page.get_by_label("Room code").fill(f"{tab.url}/rooms/{code}.")
    with tab.noise_expected("422"):
        await tab.page.get_by_role("button", name="Join a Room").click()
        await expect(tab.page.get_by_role("heading")).to_contain_text("You are already in this room as")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_question_fits_a_narrow_screen_with_the_longest_names(people: People, scheme: str) -> None:
    ann = await people.newcomer(width=320, height=700, scheme=cast(Scheme, scheme), javascript=True)
    code = await ann.open_room(LONG)
    SCREENS.mkdir(parents=True, exist_ok=True)
    for name in (LONG[:-1] + "M", "Bob"):
        await _type_another_name(ann, code, name)
        await ann.page.screenshot(path=SCREENS / f"already-{len(name)}-320-{scheme}.png", full_page=True)
        await no_overflow(ann)
    await ann.page.get_by_role("link", name="Go in as").click()
    await ann.live()
    await no_overflow(ann)
    await ann.page.screenshot(path=SCREENS / f"already-room-320-{scheme}.png")


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
async def test_a_person_renames_themselves_and_another_one_takes_over(
    people: People, javascript: bool
) -> None:
    ann, bob = await people.newcomer(), await people.newcomer(javascript=javascript)
    code = await ann.open_room("Ann")
    await ann.live()
    await bob.join_room(code, "Bob")
    await _type_another_name(bob, code, "Robert")
    await bob.page.get_by_role("button", name="Rename to Robert").click()
    await bob.in_room()
    await expect(ann.page.locator(".notice").filter(has_text="Bob is now called Robert")).to_have_count(1)
    await expect(ann.page.locator("#roster")).to_contain_text("Robert")
    await _type_another_name(bob, code, "Zoe")
    await bob.page.get_by_role("button", name="I am somebody else").click()
    await bob.in_room()
    await expect(ann.page.locator("#roster")).to_contain_text("Zoe")


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
async def test_the_name_is_changed_from_the_room_by_keyboard(people: People, javascript: bool) -> None:
    ann, bob = await people.newcomer(), await people.newcomer(javascript=javascript, width=320, height=700)
    code = await ann.open_room("Ann")
    await ann.live()
    await bob.join_room(code, "Bob")
    await bob.say("as Bob") if javascript else await bob.write_history(1, "as Bob")
    await ann.sees("as Bob")  # what is on its way when a page is left is not sent
    await bob.open_menu()
    await bob.page.get_by_role("link", name="My name").press("Enter")
    field = bob.page.get_by_label("Your name")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("Bob")
    await field.fill("Bob (2)")
    with bob.noise_expected("422"):
        await bob.page.keyboard.press("Enter")
        await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("Bob (2)")
    await expect(field).to_be_focused()
    await no_overflow(bob)
    await field.fill("Robert")
    await bob.page.keyboard.press("Enter")
    await bob.in_room()
    await expect(ann.page.locator(".notice").filter(has_text="Bob is now called Robert")).to_have_count(1)
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann", "Robert"])
    await expect(ann.message("as Bob").locator(".by bdi")).to_have_text("Bob")
