"""Home in three browsers: Enter, what is unread, and a list that keeps itself current."""

from __future__ import annotations

import pytest
from deployments import ONE

from browser.visitors import Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}

# WebKitWebDriver cannot be used without JavaScript.
WITHOUT_JAVASCRIPT = pytest.mark.parametrize("engine", ["Chromium", "Firefox"], indirect=True, scope="module")

# Firefox says in its console that it was to forget a cookie of https.
QUIET_AT_LOG_OUT = pytest.mark.parametrize("engine", ["Chromium", "WebKit"], indirect=True, scope="module")


async def unread_is(visitor: Visitor, count: str) -> None:
    """Wait until the list says so of its only room; empty if all is read."""
    badge = "(document.querySelector('#rooms .badge')?.firstChild.textContent ?? '')"
    await visitor.window.wait_for(
        f"document.querySelectorAll('#rooms a').length === 1 && {badge} === {count!r}"
    )


async def go_home(visitor: Visitor) -> None:
    await visitor.window.open(visitor.url)


async def post(visitor: Visitor, text: str) -> None:
    """Write as the form does without JavaScript: to type would give this window the focus of another one."""
    form = f"new URLSearchParams({{body: {text!r}, key: {text!r}}})"
    await visitor.window.evaluate(
        f"(fetch(location.pathname + '/messages', {{method: 'POST', body: {form}}}), 0)"
    )
    await visitor.sees(text)


async def happens(visitor: Visitor, event: str) -> None:
    """The window gets the focus, or loses it: drivers cannot do that to all of them."""
    await visitor.window.evaluate(f"(window.dispatchEvent(new Event({event!r})), 0)")


async def test_enter_does_what_is_meant(visitors: Visitors) -> None:
    ann, bob = await visitors.newcomer(), await visitors.newcomer()
    await ann.window.open(ann.url)
    await ann._fill("#name", "Ann")
    await ann._fill("#title", "A walk\n")
    await ann.in_room()
    code = await ann.window.evaluate("location.pathname.split('/')[2]")
    await bob.window.open(bob.url)
    await bob._fill("#name", "Bob")
    await bob._fill("#code", f"{code}\n")
    await bob.in_room()
    assert await bob.window.evaluate("location.pathname.split('/')[2]") == code
    await go_home(bob)
    assert await bob.window.evaluate("document.querySelector('#name').value") == "Bob"
    assert await bob.window.evaluate("document.activeElement === document.body")


async def test_what_the_focused_window_shows_is_read(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await happens(bob, "focus")
    await post(ann, "one")
    await bob.sees("one")
    await go_home(bob)
    await unread_is(bob, "")
    await post(ann, "two")
    await happens(bob, "focus")  # the list asks again
    await unread_is(bob, "1")
    await bob.window.click("#rooms a")
    await bob.in_room()
    await post(ann, "two and a half")
    await bob.sees("two and a half")  # its socket is open
    await happens(bob, "blur")
    await post(ann, "three")
    await bob.sees("three")
    await go_home(bob)
    await unread_is(bob, "1")


@QUIET_AT_LOG_OUT
async def test_home_forgets_the_rooms_of_who_logs_out_in_another_tab(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await go_home(ann)
    await ann.window.wait_for(
        "document.querySelector('#rooms a') && document.querySelector('#name').value === 'Ann'"
    )
    await ann.window.evaluate("(fetch('/logout', {method: 'POST'}).then(() => window.isOut = true), 0)")
    await ann.window.wait_for("window.isOut")
    await happens(ann, "focus")
    await ann.window.wait_for(
        "!document.querySelector('#rooms') && document.querySelector('#name')?.value === ''"
    )


async def test_a_page_that_is_opened_in_a_focused_window_is_read(visitors: Visitors) -> None:
    """It has the focus before anybody can listen for that."""
    ann, bob = await visitors.two()
    await bob.window.activate()
    if not await bob.window.evaluate("document.hasFocus()"):
        pytest.skip("this window never has the focus")
    await bob.window.reload()
    await bob.in_room()
    await post(ann, "one")
    await bob.sees("one")
    await go_home(bob)
    await unread_is(bob, "")


@WITHOUT_JAVASCRIPT
async def test_without_javascript_the_list_is_that_of_the_page(visitors: Visitors) -> None:
    ann, bob = await visitors.newcomer(), await visitors.newcomer(javascript=False)
    await bob.join_room(await ann.open_room("Ann"), "Bob", live=False)
    await go_home(bob)
    await unread_is(bob, "")
    await ann.say("one")
    await ann.rest()
    await go_home(bob)
    await unread_is(bob, "1")
    await bob.window.click("#rooms a")
    await bob.window.wait_for("document.querySelector('iframe') !== null")
    await go_home(bob)
    await unread_is(bob, "")


async def test_home_is_told_at_once_what_is_new(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await go_home(bob)
    await unread_is(bob, "")
    await bob.window.evaluate("(window.asked = 0, addEventListener('htmx:before:request', () => asked++), 0)")
    await post(ann, "one")
    await unread_is(bob, "1")
    await post(ann, "two")
    await unread_is(bob, "2")
    assert await bob.window.evaluate("document.querySelector('#rooms .last').textContent.includes('two')")
    assert await bob.window.evaluate("asked") == 0
    await happens(bob, "focus")
    await unread_is(bob, "2")
