"""Everything by keyboard alone, and always visible where one is."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.async_api import TimeoutError as NotInTime
from playwright.async_api import expect

from browser.people import People, Tab

# The element with the focus: how its outline looks, whether it is in sight, and what it is called.
FOCUS = """() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
  return { tag: e.tagName, style: s.outlineStyle, width: parseFloat(s.outlineWidth),
    visible: e.matches(":focus-visible"),
    seen: r.width > 0 && r.bottom > 0 && r.top < innerHeight && s.clipPath === "none",
    name: (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent
      || e.querySelector("img")?.alt || "").trim() } }"""


async def tab_to(tab: Tab, name: str, key: str = "Tab") -> list[str]:
    """Press Tab until something of that name has the focus; whatever is passed shows it."""
    passed: list[str] = []
    for _ in range(20):
        await tab.page.keyboard.press(key)
        focus = await tab.page.evaluate(FOCUS)
        if focus["tag"] == "BODY":
            continue
        assert focus["style"] == "solid", focus
        assert focus["width"] >= 2, focus
        assert focus["visible"], focus
        assert focus["seen"], focus
        passed.append(focus["name"])
        if name in focus["name"]:
            return passed
    raise AssertionError(f"{name} cannot be reached: {passed}")


async def test_from_home_to_a_message_to_leaving_by_keyboard_alone(people: People) -> None:
    ann = await people.newcomer()
    await ann.page.goto(ann.url)
    await expect(ann.page.get_by_label("Your name")).to_be_focused()
    await ann.page.keyboard.type("Ann")
    assert await tab_to(ann, "Create a Room") == ["What is it about?", "Create a Room"]
    assert await tab_to(ann, "Join a Room") == ["Room code", "Join a Room"]
    await tab_to(ann, "Create a Room", "Shift+Tab")
    await ann.page.keyboard.press("Enter")
    await ann.in_room()
    await ann.live()
    await expect(ann.field).to_be_focused()
    await ann.page.keyboard.type("Hello")
    await ann.page.keyboard.press("Enter")
    await ann.shows(["Hello"])
    await expect(ann.field).to_be_focused()
    assert await tab_to(ann, "Write several lines") == ["Send", "Write several lines"]
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#texts textarea")).to_be_focused()
    await ann.page.keyboard.type("two")
    await ann.page.keyboard.press("Enter")
    await ann.page.keyboard.type("lines")
    await tab_to(ann, "Send")
    await ann.page.keyboard.press("Space")
    await ann.shows(["Hello", "two\nlines"])
    await ann.rest()
    await expect(ann.page.locator("#texts textarea")).to_be_focused()
    back = await tab_to(ann, "Room menu", "Shift+Tab")
    newest, *back = back
    assert re.match(r"Ann \d\d:\d\d$", newest), "one stop for all messages, at the newest"
    stops = ["Set my time", "Conversation", "Ignore somebody", "People here", "Room menu"]
    assert back == stops, "in the order of the page"
    await ann.page.keyboard.press("Enter")
    assert await tab_to(ann, "Leave for good…") == [
        *("Search", "Mentions", "Invite people", "Title and topic", "Who comes and goes", "My name"),
        *("Settings", "Help", "Leave for good…"),
    ]
    await ann.page.keyboard.press("Enter")
    await ann.page.wait_for_url("**/leave")
    await tab_to(ann, "Leave for good")
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.get_by_label("Room code")).to_be_visible()


async def test_the_skip_link_leads_to_writing(people: People) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await tab_to(ann, "Skip to writing", "Shift+Tab")
    skip = ann.page.get_by_role("link", name="Skip to writing")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    box = await skip.bounding_box()
    assert box
    assert box["width"] > 60
    await ann.page.keyboard.press("Enter")
    assert await tab_to(ann, "Message") == ["Message"]


async def press_until(tab: Tab, key: str, condition: str) -> None:
    """Scrolling takes a while, and a machine with too much to do may swallow the key meanwhile."""
    for _ in range(10):
        await tab.page.keyboard.press(key)
        with suppress(NotInTime):
            await tab.page.wait_for_function(condition, timeout=500)
            return
    raise AssertionError(f"{key} does nothing")


async def test_the_conversation_scrolls_by_keyboard(people: People) -> None:
    ann = await people.newcomer(height=500)
    await ann.open_room("Ann")
    await ann.live()
    for n in range(9):
        await ann.say(f"message {n}")
    await tab_to(ann, "Conversation", "Shift+Tab")
    await press_until(ann, "PageUp", "() => document.querySelector('#scroll').scrollTop < -50")
    await press_until(ann, "End", "() => document.querySelector('#scroll').scrollTop > -1")


async def who_was_refused(people: People) -> Tab:
    """Somebody whose text was too long."""
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    await ann.page.keyboard.insert_text("x" * 9000)
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#refused form")).to_be_visible()
    await expect(ann.page.locator("#texts > *")).to_have_count(1)
    return ann


async def test_refused_text_is_reached_by_keyboard(people: People) -> None:
    ann = await who_was_refused(people)
    assert await tab_to(ann, "Message that was not sent", "Shift+Tab") == [
        "Throw away", "Send again", "Message that was not sent"
    ]  # fmt: skip
    await ann.page.keyboard.press("Control+A")
    await ann.page.keyboard.type("short")
    await tab_to(ann, "Send again")
    await ann.page.keyboard.press("Enter")
    await ann.shows(["short"])
    await expect(ann.field).to_be_focused()


async def test_after_a_refused_text_was_thrown_away_one_goes_on_writing(people: People) -> None:
    ann = await who_was_refused(people)
    await ann.page.keyboard.type("next")
    await tab_to(ann, "Throw away", "Shift+Tab")
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#refused form")).to_have_count(0)
    await expect(ann.field).to_be_focused()
    await expect(ann.field).to_have_value("next")
