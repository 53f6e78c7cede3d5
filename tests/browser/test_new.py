"""A page opens at what is new, in each browser, with JavaScript and without."""

from __future__ import annotations

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People
from browser.reading import EDGE, SCROLL, at_newest, history
from browser.test_palette import choose
from browser.visitors import FIELD, Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
LINE = "document.querySelector('#new')"
IN_VIEW = f"""(r => r.top >= {SCROLL}.getBoundingClientRect().top && r.bottom <= {EDGE})(
  {LINE}.getBoundingClientRect())"""


async def who_was_away(visitors: Visitors, count: int) -> tuple[Visitor, Visitor]:
    """Bob comes back to a room in which Ann has written meanwhile."""
    ann, bob = await visitors.two()
    ann.expected.append("NetworkError|Load failed")  # what history fetches is not read to its end
    await history(ann, 40, "old {}")
    await bob.sees("old 39")
    room = await bob.window.evaluate("location.href")
    await bob.window.open(f"{bob.url}/settings")
    await history(ann, count, "new {}")
    await bob.window.open(str(room))
    await bob.in_room()
    return ann, bob


async def test_a_page_opens_at_the_first_text_that_is_new(visitors: Visitors) -> None:
    ann, bob = await who_was_away(visitors, 30)
    await bob.window.wait_for(IN_VIEW)
    assert await bob.window.evaluate(f"{LINE}.textContent") == "30 new messages"
    assert await bob.window.evaluate(f"{LINE}.parentElement.nextElementSibling.textContent.includes('new 0')")
    assert await bob.window.evaluate(f"document.activeElement.matches('{FIELD}')"), "one can write at once"
    await ann.say("one more")
    await bob.sees("one more")
    if visitors.engine.name != "WebKit":  # which has no scroll anchoring; the README says so
        assert await bob.window.evaluate(IN_VIEW), "it stays where it is"
    await bob.window.evaluate("(document.querySelector('#down').click(), 0)")
    await at_newest(bob, "one more")
    assert await bob.window.evaluate(f"{LINE} !== null"), "until one leaves"
    await bob.window.reload()
    await bob.in_room()
    await at_newest(bob, "one more")
    assert await bob.window.evaluate(f"{LINE} === null")


async def test_what_fits_on_the_window_is_seen_with_the_newest(visitors: Visitors) -> None:
    ann, bob = await who_was_away(visitors, 3)
    await at_newest(bob, "new 2")
    assert await bob.window.evaluate(IN_VIEW)
    await ann.say("one more")
    await at_newest(bob, "one more")


async def test_without_javascript_a_link_leads_there_from_the_newest(people: People) -> None:
    """Browsers do not scroll to a fragment of a page that never ends, so it is not opened there."""
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    cat = await people.newcomer(javascript=False)
    await cat.join_room(code, "Cat")
    await ann.write_history(30, "new {}")
    await cat.page.goto(f"{ann.url}/settings")
    await ann.write_history(30, "newer {}")
    await cat.page.goto(f"{ann.url}/rooms/{code}", wait_until="commit")
    frame = cat.page.frame_locator("iframe")
    await expect(frame.get_by_text("newer 29")).to_be_in_viewport()
    await frame.get_by_role("link", name="new messages").click()
    await expect(frame.locator("#new")).to_be_in_viewport()
    await expect(frame.locator("#new")).to_have_text("New messages")
    await ann.say("one more")
    await expect(frame.get_by_text("one more")).to_be_visible()
    await expect(frame.locator("#new")).to_be_in_viewport()
    await frame.get_by_role("button", name="Mark as read").click()
    await expect(frame.get_by_text("one more")).to_be_visible()
    await expect(frame.locator("#new")).to_have_count(0)


async def test_who_finds_more_than_a_page_shows_loses_nothing_until_they_say_so(visitors: Visitors) -> None:
    ann, bob = await who_was_away(visitors, 70)
    for _ in range(2):
        await bob.window.evaluate("(dispatchEvent(new Event('focus')), 0)")
        await bob.window.wait_for("/^.7[0-2]. /.test(document.title)")
        assert await bob.window.evaluate(f"{LINE}.textContent") == "New messages"
        await ann.say("one more")
        await bob.sees("one more")
        await bob.window.reload()
        await bob.in_room()
    await bob.window.wait_for("document.title.startsWith('(72)')")
    await bob.window.evaluate("(document.querySelector('.new button').click(), 0)")
    await bob.window.wait_for(f"document.readyState === 'complete' && {LINE} === null")
    await bob.in_room()
    await at_newest(bob, "one more")
    await bob.window.focus(FIELD)
    await bob.live()  # whose first word is that it has the focus; what was to be said before goes first
    await bob.window.evaluate("(dispatchEvent(new Event('blur')), 0)")
    await ann.say("another one")
    await bob.window.wait_for("document.title.startsWith('(1)')")


async def test_who_scrolls_back_to_the_start_of_the_room_has_read_all_of_it(visitors: Visitors) -> None:
    _, bob = await who_was_away(visitors, 70)
    await bob.window.evaluate("(dispatchEvent(new Event('focus')), 0)")
    await bob.window.wait_for("/^.7[0-2]. /.test(document.title)")
    up = f"({SCROLL}.scrollTop = -1e6)"  # again, as long as the page scrolls to what is new
    await bob.window.wait_for(f"{up} && document.querySelector('#older.start') !== null")
    await bob.window.wait_for(f"{up} && !document.title.startsWith('(')")


async def test_a_window_without_the_focus_says_how_much_is_new(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    title, icon = await bob.window.evaluate("[document.title, document.querySelector('[rel=icon]').href]")
    await bob.window.evaluate("(dispatchEvent(new Event('focus')), dispatchEvent(new Event('blur')), 0)")
    await ann.say("one")
    await ann.say("two")
    await bob.window.wait_for(f"document.title === '(2) {title}'")
    assert await bob.window.evaluate("document.querySelector('[rel=icon]').href") != icon
    await bob.window.evaluate("(dispatchEvent(new Event('focus')), 0)")
    await bob.window.wait_for(f"document.title === '{title}'")
    assert await bob.window.evaluate("document.querySelector('[rel=icon]').href") == icon
    assert await bob.window.evaluate("document.querySelectorAll('[rel=icon]').length") == 1


LEAVE = "(dispatchEvent(new Event('focus')), dispatchEvent(new Event('blur')), 0)"
COME_BACK = "(dispatchEvent(new Event('focus')), 0)"
NEXT = "document.querySelector('#new')?.closest('li').nextElementSibling?.querySelector('.text')?.textContent"


async def test_what_came_while_one_was_at_another_window_has_a_line(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("one")
    await bob.sees("one")
    await bob.window.evaluate(LEAVE)
    for text in ("two", "three"):
        await ann.say(text)
    await bob.window.wait_for(f"{NEXT} === 'two'")
    await bob.window.evaluate(COME_BACK)
    await ann.say("four")
    await at_newest(bob, "four")
    assert await bob.window.evaluate(f"{NEXT} === 'two'"), "it stays while one reads"
    assert await bob.window.evaluate(IN_VIEW)
    assert await bob.window.evaluate(f"{LINE}.textContent") == "New messages"
    assert await bob.window.evaluate(f"getComputedStyle({LINE}.parentElement).display") == "flex"
    await bob.window.evaluate(LEAVE)
    await ann.say("five")
    await bob.window.wait_for(f"{NEXT} === 'five'")
    assert await bob.window.evaluate("document.querySelectorAll('.new').length") == 1
    await bob.shows(["one", "two", "three", "four", "five"])


async def test_a_text_can_be_marked_as_unread_until_one_comes_back(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    title = await bob.window.evaluate("document.title")
    for text in ("one", "two", "three"):
        await ann.say(text)
        await bob.sees(text)
    await bob.window.evaluate("(dispatchEvent(new Event('focus')), 0)")
    await choose(bob, "two", "[value=unread]")
    await bob.window.wait_for("document.querySelector('#notice').textContent === 'Marked as unread.'")
    await bob.window.wait_for(f"document.title === '(2) {title}'")
    assert await bob.window.evaluate("document.querySelector('.by>:checked') === null")
    assert await bob.window.evaluate("document.activeElement.closest('.m')?.textContent.includes('two')")
    assert await bob.window.evaluate("document.querySelector('#focus').value") == ""
    await bob.window.wait_for(f"{NEXT} === 'two'")
    await ann.say("four")
    await bob.window.wait_for(f"document.title === '(3) {title}'")
    await bob.window.evaluate("(dispatchEvent(new Event('blur')), dispatchEvent(new Event('focus')), 0)")
    await bob.window.wait_for(f"document.title === '{title}'")
    assert await bob.window.evaluate("document.querySelector('#focus').value") == "1"
    assert await bob.window.evaluate("document.querySelector('#notice').textContent") == ""
    await choose(bob, "three", "[value=unread]")
    await bob.window.wait_for(f"document.title === '(2) {title}'")
    await bob.window.reload()
    await bob.in_room()
    await bob.window.wait_for(f"{LINE}?.textContent === '2 new messages'")
    assert await bob.window.evaluate(f"{LINE}.parentElement.nextElementSibling.textContent.includes('three')")
