"""My rooms beside the room, where there is place for them."""

from __future__ import annotations

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People
from browser.visitors import Visitors

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# Both deployments serve the same files and the same HTML.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")


async def test_a_wide_window_lists_my_rooms_with_what_is_new_and_leads_to_them(people: People) -> None:
    ann, bob = await people.newcomer(width=1400, height=800), await people.newcomer()
    other = await ann.open_room("Ann")
    await bob.join_room(other, "Bob")
    code = await ann.open_room("Ann")
    await ann.live()
    rail = ann.page.get_by_role("navigation", name="My rooms")
    await expect(rail.locator("#rooms li")).to_have_count(2)
    await expect(rail.locator("[aria-current=page]")).to_have_attribute("href", f"/rooms/{code}")
    await expect(rail.locator(".me bdi")).to_have_text("Ann")
    await bob.write_history(3, "over here {}")
    await ann.page.evaluate("dispatchEvent(new Event('focus'))")
    row = rail.get_by_role("listitem").filter(has_text="over here 2")
    await expect(row.locator(".badge")).to_have_text("3 unread")
    await expect(rail.locator("[aria-current=page]")).to_have_attribute("href", f"/rooms/{code}")
    await row.get_by_role("link").click()
    await ann.page.wait_for_url(f"**/rooms/{other}")
    await expect(ann.page.locator("#rail .badge")).to_have_count(0)


async def test_only_the_number_of_mentions_has_the_colour_of_an_alarm(people: People) -> None:
    """The sheet of the list, too, has a class "me": my name, and what I do by "/me", were red."""
    ann = await people.newcomer(width=1400, height=800)
    await ann.open_room("Ann")
    await ann.live()
    await ann.say("/me waves")
    await expect(ann.page.locator("#rail #rooms li")).to_have_count(1)
    clear = "rgba(0, 0, 0, 0)"
    assert await ann.style("#rail p.me", "backgroundColor") == clear
    assert await ann.style(".m em.me", "backgroundColor") == clear
    await ann.page.goto(ann.url)
    assert await ann.style("span.me", "backgroundColor") == clear


async def test_a_narrow_window_asks_for_no_list(people: People) -> None:
    ann = await people.newcomer(width=1000, height=800)
    asked: list[str] = []
    ann.page.on("request", lambda request: asked.append(request.url))
    await ann.open_room("Ann")
    await ann.live()
    await ann.say("hello")
    await expect(ann.page.locator("#rail")).to_be_hidden()
    assert [url.partition("?")[2] for url in asked if "/rooms?" in url] == [f"badge={ann.code}"]
    await ann.page.set_viewport_size({"width": 1400, "height": 800})
    await expect(ann.page.locator("#rail #rooms li")).to_have_count(1)


async def test_the_way_home_on_a_phone_says_how_much_is_unread_in_other_rooms(people: People) -> None:
    ann, bob = await people.newcomer(width=390, height=780), await people.newcomer()
    await bob.join_room(await ann.open_room("Ann"), "Bob")
    await ann.open_room("Ann")
    await ann.live()
    home = ann.page.locator("header .home")
    await expect(home).to_have_accessible_name("My rooms")
    await bob.write_history(3, "over here {}")
    await ann.page.evaluate("dispatchEvent(new Event('focus'))")
    await expect(home).to_have_accessible_name("My rooms 3 unread")
    title = await ann.page.locator("#title").bounding_box()
    badge = await home.locator(".badge").bounding_box()
    assert badge
    assert title
    assert 0 <= badge["x"] < badge["x"] + badge["width"] <= title["x"], "it covers nothing"
    arrow = await home.locator("svg path").bounding_box()
    assert arrow
    assert badge["y"] + badge["height"] <= arrow["y"], "nor the arrow"
    await home.click()
    await expect(ann.page.locator("#rooms li")).to_have_count(2)


@pytest.mark.parametrize("width", [1400, 390])
async def test_it_says_within_a_second_or_two_what_is_new_in_other_rooms(people: People, width: int) -> None:
    ann, bob = await people.newcomer(width=width, height=780), await people.newcomer()
    other = await ann.open_room("Ann")
    await bob.join_room(other, "Bob")
    await ann.open_room("Ann")
    await ann.live()
    await expect(ann.page.locator("#elsewhere, #rooms li")).not_to_have_count(0)
    asked: list[str] = []
    ann.page.on("request", lambda request: asked.append(request.url))
    await bob.say("over here")
    shown = ann.page.locator(
        f"#rooms li:has([href='/rooms/{other}']) .badge" if width > 1000 else "#elsewhere .badge"
    )
    await expect(shown).to_have_text("1 unread", timeout=4000)
    if width > 1000:
        await expect(ann.page.locator("#rooms .last").filter(has_text="Bob: over here")).to_have_count(1)
    assert not [url for url in asked if "/rooms?" in url], "it is told, and does not ask"


async def test_without_javascript_a_wide_window_has_the_way_home_in_the_header(people: People) -> None:
    ann = await people.newcomer(javascript=False, width=1400, height=800)
    await ann.open_room("Ann")
    await expect(ann.page.locator("#rail")).to_be_hidden()
    await ann.page.locator("header .home").click()
    await expect(ann.page.locator("#rooms li")).to_have_count(1)


async def test_it_is_there_in_every_browser(visitors: Visitors) -> None:
    ann, _ = await visitors.two(width=1400, height=800)
    await ann.window.wait_for("document.querySelectorAll('#rail #rooms li').length === 1")
