"""Away and back: another page and the Back button, reloads, several tabs, leaving."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from browser.people import People


@pytest.fixture
def chromium(whole_chromium: Browser) -> Browser:
    """What keeps a page that is left and shows it again."""
    return whole_chromium


async def test_back_from_another_page_the_room_is_current_and_live(people: People) -> None:
    ann, bob = await people.two()
    await ann.say("before")
    await ann.type("draft")
    await ann.page.get_by_role("link", name="My rooms", exact=True).click()
    await expect(ann.page.get_by_label("Room code")).to_be_visible()
    await bob.say("while away")
    await bob.sees("while away")
    await ann.page.go_back(wait_until="commit")
    await ann.page.wait_for_function("() => window.shows.length > 1")
    assert await ann.page.evaluate("shows") == [False, True], "it came out of the back/forward cache"
    await ann.shows(["before", "while away"])
    await expect(ann.field).to_have_value("draft")
    await bob.say("live again")
    await ann.shows(["before", "while away", "live again"])
    await ann.field.focus()
    await ann.page.keyboard.press("End")
    await ann.type("s\n")
    await bob.sees("drafts")


async def test_several_tabs_count_as_one_person_and_a_reload_announces_nothing(people: People) -> None:
    ann, bob = await people.two()
    cat = await (await people.newcomer()).join_room(ann.code, "Cat")
    await cat.live()
    count = ann.page.locator("#roster .count")
    names = ann.page.locator("#roster li bdi")
    await expect(count).to_have_text("3")
    second = await people.another_tab(bob)
    await second.page.goto(bob.page.url)
    await second.live()
    await bob.say("from two tabs")
    await second.sees("from two tabs")
    await expect(names).to_have_text(["Ann", "Bob", "Cat"])
    await ann.told_of("Cat")
    await ann.have_told()
    notices = await ann.notices()
    await bob.page.close()
    await cat.page.reload()
    await asyncio.sleep(1.5)
    await expect(count).to_have_text("3")
    await second.page.close()
    left = ann.page.locator(".notice").filter(has_text="Bob went away")
    await expect(left).to_be_attached(timeout=20_000)  # 10 s of grace
    await expect(names).to_have_text(["Ann", "Cat"])
    await expect(count).to_have_text("2")
    assert await ann.notices() == [*notices, "Bob went away"], "the reload was announced"


async def test_leaving_in_one_tab_says_goodbye_in_the_other(people: People) -> None:
    ann, bob = await people.two()
    second = await people.another_tab(bob)
    await second.page.goto(bob.page.url)
    await second.live()
    await bob.leave()
    await expect(bob.page.get_by_label("Room code")).to_be_visible()
    await expect(second.page.get_by_role("alert")).to_contain_text("You left this room.")
    await expect(second.page.locator("#composer")).to_have_count(0)
    await ann.told_of("Bob left for good")
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann"])
    await asyncio.sleep(3)
    assert await second.page.evaluate("[codes, opened]") == [[1008], 1], "it must not come back by itself"
    await second.page.get_by_role("link", name="Enter the room again").click()
    await expect(second.page.get_by_label("Your name")).to_be_visible()


async def test_the_eleventh_tab_closes_the_oldest_and_says_why(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    tabs = [await people.another_tab(ann) for _ in range(10)]
    for tab in tabs:
        await tab.page.goto(ann.page.url)
        await tab.live()
    await expect(ann.page.get_by_role("alert")).to_contain_text("more than 10 tabs")
    assert await ann.page.evaluate("codes") == [1008]
    await tabs[-1].say("still here")
    await tabs[0].sees("still here")
    await expect(tabs[0].page.locator("#roster .count")).to_have_text("1")
