"""A room's title, changed on the live page in three browsers."""

from __future__ import annotations

import pytest
from deployments import ONE

from browser.visitors import Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}

FORM = "document.querySelector('#describe')"
FOCUS = "document.activeElement"


async def is_called(visitor: Visitor, title: str, topic: str = "") -> None:
    await visitor.window.wait_for(f"document.title === {title + ' · Room chat'!r}")
    shown = await visitor.window.evaluate("document.querySelector('#title').innerText")
    assert [line for line in shown.splitlines() if line] == ([title, topic] if topic else [title])


async def write(visitor: Visitor, selector: str, text: str) -> None:
    """In place of what a field holds."""
    await visitor.window.evaluate(f"(document.querySelector({selector!r}).select(), 0)")
    await visitor.window.focus(selector)
    await visitor.window.type(text, pace=0)


async def test_it_is_changed_in_place_and_everybody_sees_that(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    ann.expected.append("422")
    await ann.say("before")
    await bob.type("a draft")
    await ann.window.click("#retitle")
    await ann.window.wait_for(f"{FOCUS}.id === 'new-title'")
    await ann.window.evaluate("(document.querySelector('#new-title').value = '\\u2066', 0)")  # no key has it
    await ann.window.click("#describe button:not([type=button])")
    await ann.window.wait_for(f"{FORM}?.querySelector('[role=alert]')?.textContent.includes('invisible')")
    await write(ann, "#new-title", "Saturday regatta")
    await write(ann, "#new-topic", "Start 11:00\n")  # and Enter sends it
    for visitor in (ann, bob):
        await is_called(visitor, "Saturday regatta", "Start 11:00")
    await ann.window.wait_for(f"{FORM} === null && {FOCUS}.textContent.includes('saved')")
    await bob.window.type("\n")
    for visitor in (ann, bob):
        await visitor.shows(["before", "a draft"])
    await bob.window.reload()
    await bob.in_room()
    await is_called(bob, "Saturday regatta", "Start 11:00")


async def test_a_new_one_stands_behind_the_number_of_what_is_unread(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("before")
    await bob.sees("before")
    await bob.window.evaluate("(dispatchEvent(new Event('focus')), dispatchEvent(new Event('blur')), 0)")
    await ann.say("@Bob tea?")
    await bob.window.wait_for("document.title.startsWith('(@1) (1) ')")
    for title in ("Saturday regatta", "Sunday regatta"):
        await ann.window.click("#retitle")
        await ann.window.wait_for(f"{FOCUS}.id === 'new-title'")
        await write(ann, "#new-title", f"{title}\n")
        await is_called(ann, title)
        await bob.window.wait_for(f"document.title === '(@1) (1) {title} · Room chat'")
    assert await bob.window.evaluate("document.querySelectorAll('body title:not(svg *)').length") == 0


async def test_it_can_be_left_as_it_is(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.window.click("#retitle")
    await ann.window.wait_for(f"{FOCUS}.id === 'new-title'")
    await ann.window.click("#describe button[type=button]")
    await ann.window.wait_for(f"{FORM} === null && {FOCUS}.textContent.includes('Nothing')")
    await ann.say("still here")


async def test_writing_goes_on_at_the_end_of_what_a_field_holds(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for typed, title in (("Saturday", "Saturday"), (" regatta", "Saturday regatta")):
        await ann.window.click("#retitle")
        await ann.window.wait_for(f"{FOCUS}.id === 'new-title'")
        await ann.window.type(f"{typed}\n", pace=0)
        await is_called(ann, title)
        await ann.window.wait_for(f"{FORM} === null")


# WebKit has no `closedby` yet.
@pytest.mark.parametrize("engine", ["Chromium", "Firefox"], indirect=True, scope="module")
async def test_escape_leaves_it_as_it_is(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for _ in range(2):
        await ann.window.click("#retitle")
        await ann.window.wait_for(f"{FOCUS}.id === 'new-title'")
        await ann.window.type("not this")
        await ann.window.press("Escape")
        await ann.window.wait_for(f"{FORM} === null && {FOCUS}.textContent.includes('Nothing')")


# WebKitWebDriver cannot be used without JavaScript.
@pytest.mark.parametrize("engine", ["Chromium", "Firefox"], indirect=True, scope="module")
async def test_without_javascript_it_is_a_page_of_its_own(visitors: Visitors) -> None:
    ann = await visitors.newcomer(javascript=False)
    await ann.window.open(ann.url)
    await ann._fill("#name", "Ann")
    await ann._fill("#title", "Sunday walk")
    await ann.window.click("button[name=create]")
    await ann.window.wait_for("document.querySelector('iframe') !== null")
    await is_called(ann, "Sunday walk")
    await ann.window.click("#retitle")
    await ann.window.wait_for("document.querySelector('main.card #describe') !== null")
    await write(ann, "#new-title", "Monday walk\n")
    await ann.window.wait_for("document.querySelector('iframe') !== null")
    await is_called(ann, "Monday walk")
