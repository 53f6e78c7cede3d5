"""Page Up and Page Down while the field has the focus, and what a field over the messages may not hide."""

from __future__ import annotations

import pytest
from deployments import ONE

from browser.drivers import Window
from browser.reading import AT_END, EDGE, SCROLL, at_newest, history, still
from browser.visitors import FIELD, Visitor, Visitors

# A matter of the browser and the style sheet alone.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
SEEN = f"{EDGE} - {SCROLL}.getBoundingClientRect().top"
FOCUSED = """(({top, bottom}) => [top, bottom])(document.activeElement.getBoundingClientRect())"""
LINKS = "document.querySelectorAll('#messages a[href^=http]')"


async def reader(visitors: Visitors, text: str = "number {}") -> tuple[Visitor, Visitor]:
    ann, bob = await visitors.two(height=700)
    await history(ann, 45, text)
    await bob.sees(text.format(44))
    return ann, bob


async def place(window: Window) -> float:
    await still(window)
    return float(await window.evaluate(f"{SCROLL}.scrollTop"))


# Firefox scrolls nothing around a field by these keys; the README says so.
@pytest.mark.parametrize("engine", ["Chromium", "WebKit"], indirect=True, scope="module")
async def test_page_keys_in_the_field_scroll_the_conversation(visitors: Visitors) -> None:
    ann, bob = await reader(visitors)
    window = bob.window
    await window.focus(FIELD)
    await window.press("PageUp")
    await window.wait_for(f"{SCROLL}.scrollTop < -200")
    up = await place(window)
    await window.type("a dr", pace=0)
    assert await place(window) == up, "typing leaves the reader alone"
    await window.press("PageDown")
    await window.wait_for(AT_END)
    await ann.say("one more")
    await at_newest(bob, "one more")
    await window.type("aft\n", pace=0)
    await ann.sees("a draft")
    await at_newest(bob, "a draft")


@pytest.mark.parametrize("state", ["one line", "more lines", "refused"])
async def test_the_field_hides_nothing_from_a_reader(visitors: Visitors, state: str) -> None:
    _, bob = await reader(visitors, "see https://example.org/{}")
    window = bob.window
    if state == "more lines":
        await window.click("#switch")
        await window.wait_for("document.querySelector('#texts textarea') !== null")
        await bob.type("\n" * 9, pace=0)
    elif state == "refused":
        await window.evaluate(f"(document.querySelector({FIELD!r}).value = 'x'.repeat(9000), 0)")
        await window.click("button.send")
        await window.wait_for("document.querySelector('#refused form') !== null")
    await a_page_is_no_more_than_is_seen(window)
    await no_link_with_the_focus_is_hidden(window)
    await the_skip_link_moves_nothing(window)


async def a_page_is_no_more_than_is_seen(window: Window) -> None:
    await window.focus("#scroll")
    await window.evaluate(f"({SCROLL}.scrollTop = 0)")
    await still(window)  # a layout that comes after the key would stop the scrolling
    await window.press("PageUp")
    await window.wait_for(f"{SCROLL}.scrollTop < -50")
    assert -await place(window) <= await window.evaluate(SEEN)


async def no_link_with_the_focus_is_hidden(window: Window) -> None:
    await window.evaluate(f"({SCROLL}.scrollTop = -1500)")
    for n in [*range(20, 40, 3), *range(40, 20, -3)]:
        await window.evaluate(f"({LINKS}[{n}].focus(), 0)")
        await still(window)
        top, bottom = await window.evaluate(FOCUSED)
        assert top >= await window.evaluate(f"{SCROLL}.getBoundingClientRect().top")
        assert bottom <= await window.evaluate(EDGE)


async def the_skip_link_moves_nothing(window: Window) -> None:
    await window.evaluate(f"({SCROLL}.scrollTop = -700)")
    before = await place(window)
    await window.evaluate("(document.querySelector('.skip').click(), 0)")
    assert await place(window) == before
