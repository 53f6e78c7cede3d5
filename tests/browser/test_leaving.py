"""After leaving: Back does not show the conversation, and no page waits for a room that it has left."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, Route, expect

from browser.people import People, Tab


@pytest.fixture
def chromium(whole_chromium: Browser) -> Browser:
    """What keeps a page that is left and shows it again."""
    return whole_chromium


async def _leaves(tab: Tab) -> None:
    await tab.leave()
    await expect(tab.page.get_by_label("Room code")).to_be_visible()


async def _shows_nothing(tab: Tab) -> None:
    await expect(
        tab.page.get_by_role("link", name="Enter the room again").or_(_invitation(tab))
    ).to_be_visible()
    await expect(tab.page.get_by_text("between us")).to_have_count(0)
    await expect(tab.page.get_by_text("Bob", exact=True)).to_have_count(0)
    await expect(tab.page.get_by_text("Reconnecting")).to_have_count(0)


def _invitation(tab: Tab) -> Locator:
    return tab.page.get_by_role("heading", name="You are invited")


@pytest.mark.parametrize("javascript", [True, False], ids=["live", "without JavaScript"])
async def test_leaving_is_asked_first_and_undone_by_one_button(people: People, javascript: bool) -> None:
    ann, bob = await people.newcomer(), await people.newcomer(javascript=javascript)
    code = await ann.open_room("Ann")
    await bob.join_room(code, "Bob")
    await bob.ask_to_leave()
    await bob.page.get_by_role("link", name="Stay").click()
    await bob.in_room()
    await ann.say("still there?")
    await bob.leave()
    await expect(bob.page.get_by_text("You left room")).to_be_visible()
    await bob.page.get_by_role("button", name="Go back in").click()
    await bob.in_room()
    frame = bob.page.locator("main") if javascript else bob.page.frame_locator("iframe").locator("body")
    await expect(frame.get_by_text("still there?")).to_be_visible()


HIT = """(button, since) => {
  const [wakes] = button.getAnimations();
  wakes.pause(), wakes.currentTime = since;
  button.scrollIntoView({block: "center"});
  const r = button.getBoundingClientRect();
  return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) === button }"""


async def test_what_cannot_be_undone_takes_no_click_that_began_on_another_page(people: People) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.say("mine")
    room = f"{ann.url}/rooms/{code}"
    id = await ann.message("mine").get_attribute("id")
    for address, button in [
        (f"{room}/leave", "Leave for good"),
        (f"{room}/{(id or '').removeprefix('message-')}#to-delete", "Delete"),
        (ann.url, "Log out of this browser"),
    ]:
        await ann.page.goto(address)
        asked = ann.page.get_by_role("button", name=button, exact=True)
        assert [await asked.evaluate(HIT, ms) for ms in (0, 400, 690, 710)] == [False, False, False, True]
    await asked.evaluate("button => button.getAnimations().forEach(one => one.play())")
    await asked.click()
    await expect(ann.page.get_by_role("button", name="Log out of this browser")).to_have_count(0)


@pytest.mark.parametrize("obeys", [True, False], ids=["cleared", "not cleared"])
async def test_back_after_leaving_shows_nothing_of_the_room(people: People, obeys: bool) -> None:
    """Also in a browser that does not clear what it keeps, as none does over plain http."""
    ann, bob = await people.two()
    await ann.say("between us")
    await bob.sees("between us")
    if not obeys:
        await ann.page.route("**/leave", _without_clearing)
    await _leaves(ann)
    for _ in range(2):
        for _ in range(2):  # over the page that asked
            await ann.page.go_back(wait_until="commit")
        await _shows_nothing(ann)
        for _ in range(2):
            await ann.page.go_forward(wait_until="commit")


async def _without_clearing(route: Route) -> None:
    response = await route.fetch(max_redirects=0)
    headers = {name: value for name, value in response.headers.items() if name != "clear-site-data"}
    await route.fulfill(response=response, headers=headers)


async def test_other_tabs_forget_the_room_that_was_left(people: People) -> None:
    ann, _ = await people.two()
    await ann.say("between us")
    second = await people.another_tab(ann)
    await second.page.goto(ann.page.url)
    await second.live()
    await second.sees("between us")
    await _leaves(ann)
    await _shows_nothing(second)


# What Chromium does with a farewell that comes while a page is being left.
DROP = """() => addEventListener("htmx:ws:before:message:incoming", event => {
  if (event.detail.message.data.includes('class="farewell"') && !window.dropped) {
    window.dropped = true;
    event.preventDefault();
  }
})"""


async def test_a_page_that_drops_the_farewell_is_told_again(people: People) -> None:
    ann, _ = await people.two()
    await ann.say("between us")
    second = await people.another_tab(ann)
    await second.page.goto(ann.page.url)
    await second.live()
    await second.sees("between us")
    await second.page.evaluate(DROP)
    await _leaves(ann)
    await second.page.wait_for_function("() => window.dropped")
    await _shows_nothing(second)
    await second.page.wait_for_function("() => codes.join() === '1013,1008'")


async def test_logging_out_shows_nothing_of_any_room_any_more(people: People) -> None:
    ann, bob = await people.two()
    await bob.both_entered()  # else "Bob is here" may come a second later than "Ann left"
    await ann.say("between us")
    await bob.sees("between us")
    await ann.page.get_by_role("link", name="My rooms", exact=True).click()
    await ann.page.get_by_role("button", name="Log out of this browser").click()
    await expect(ann.page.get_by_role("button", name="Log out of this browser")).to_have_count(0)
    await ann.page.go_back(wait_until="commit")
    await ann.page.wait_for_load_state("domcontentloaded")  # else Chromium may not be ready for the next
    await ann.page.go_back(wait_until="commit")
    await _shows_nothing(ann)
    await bob.told_of("Ann left for good")


async def test_a_browser_with_cookies_comes_in_by_the_forms(people: People) -> None:
    ann, bob = await people.newcomer(), await people.newcomer()
    await ann.page.goto(ann.url)
    await ann.page.get_by_label("Your name").fill("Ann")
    await ann.page.get_by_role("button", name="Create a Room").click()
    await ann.in_room()
    await bob.page.goto(f"{bob.url}/rooms/{ann.code}")
    await bob.page.get_by_label("Your name").fill("Bob")
    await bob.page.get_by_role("button", name="Join").click()
    await bob.in_room()
