"""Formatted texts in the three browsers: spoilers, code, lists and folds, live and without a script."""

from __future__ import annotations

import json
import secrets

import pytest
from deployments import ONE

from browser.reading import LIVE_FRAME
from browser.visitors import Visitor, Visitors

# The same code writes the same HTML on both deployments.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
POST = """fetch(location.pathname + "/messages", {{method: "POST", redirect: "manual",
  body: new URLSearchParams({{body: {body}, key: {key}}})}}).then(() => true)"""
SEEN = "getComputedStyle(document.querySelector('.spoiler span')).visibility"
IN_FRAME = "document.querySelector('#stream').contentDocument"
LONG = "x" * 300
LINE = "\n"


async def post(visitor: Visitor, *texts: str) -> None:
    for text in texts:
        await visitor.window.evaluate(
            POST.format(body=json.dumps(text), key=json.dumps(secrets.token_hex(8)))
        )


async def test_a_spoiler_is_seen_by_who_chooses_it_by_mouse_or_keyboard(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("it was ||the butler||")
    await bob.sees("it was the butler")
    await bob.window.wait_for(f"{SEEN} === 'hidden'")
    await bob.window.wait_for("getComputedStyle(document.querySelector('.spoiler')).cursor === 'pointer'")
    await bob.window.click(".spoiler")
    await bob.window.wait_for(f"{SEEN} === 'visible'")
    await bob.window.focus(".spoiler input")
    await bob.window.type(" ", pace=0)
    await bob.window.wait_for(f"{SEEN} === 'hidden'")
    assert await ann.window.evaluate(SEEN) == "hidden"


async def test_code_scrolls_in_a_box_that_takes_the_focus_and_nothing_widens_the_page(
    visitors: Visitors,
) -> None:
    ann = await visitors.newcomer(width=320, height=700)
    await ann.open_room("Ann")
    await post(
        ann,
        f"```python{LINE}x = '{LONG}'{LINE}```",
        f"**{LONG}** `{LONG}` ||{LONG}|| *{LONG}*",
        f"> > > - {LONG}",
        f"/me {LONG}",
    )
    await ann.window.wait_for("document.querySelectorAll('#messages .text').length === 4")
    await ann.window.wait_for("getComputedStyle(document.querySelector('pre')).whiteSpace === 'pre'")
    wider = "document.querySelector('pre').scrollWidth - document.querySelector('pre').clientWidth"
    assert await ann.window.evaluate(wider) > 1000
    await ann.window.focus("pre")
    assert await ann.window.evaluate("document.activeElement.tagName") == "PRE"
    select = "getComputedStyle(document.querySelector('pre'))"
    assert await ann.window.evaluate(f"{select}.userSelect || {select}.webkitUserSelect") == "all"
    assert await ann.window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for element in ("#scroll", ".b"):
        overflow = f"[...document.querySelectorAll('{element}')].map(e => e.scrollWidth - e.clientWidth)"
        assert max(await ann.window.evaluate(overflow)) <= 0, element


async def test_a_list_is_styled_as_soon_as_it_comes_to_a_page_that_had_none(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    assert await bob.window.evaluate("document.querySelector('#messages link')") is None
    await post(ann, f"- one{LINE}- two")
    for visitor in (ann, bob):
        await visitor.window.wait_for("document.querySelectorAll('#live .text li').length === 2")
        await visitor.window.wait_for(
            "getComputedStyle(document.querySelector('.text ul')).listStyleType === 'disc'"
        )
    await ann.say("and more")  # a page counts its messages, not the items of their lists
    await bob.sees("and more")
    await bob.window.reload()
    await bob.in_room()
    await bob.sees("and more")


async def test_a_long_text_unfolds(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.enters_seen("Ann")  # this line would move what is clicked
    await post(ann, LINE.join(f"line {n}" for n in range(1, 41)))
    await ann.window.wait_for("document.querySelector('.fold summary') !== null")
    height = "document.querySelector('.text').getBoundingClientRect().height"
    folded = await ann.window.evaluate(height)
    await ann.window.click(".fold summary")
    await ann.window.wait_for(f"{height} > {2 * folded}")
    await ann.window.focus(".fold summary")
    await ann.window.type(" ", pace=0)
    await ann.window.wait_for(f"{height} < {folded + 5}")


async def test_the_answer_to_help_goes_when_something_else_is_sent(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for _ in range(2):  # also the second answer stays, and is not taken for the first
        await ann.say("/help")
        await ann.window.wait_for("document.querySelector('#notice a[href^=\"/help\"]') !== null")
    await ann.say("a text")
    await ann.sees("a text")
    await ann.window.wait_for("document.querySelector('#notice').children.length === 0")


async def test_the_live_page_without_javascript_shows_and_hides_the_same(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await bob.window.evaluate(LIVE_FRAME)
    await post(ann, f"||hidden||{LINE}- one")
    await bob.window.wait_for(f"{IN_FRAME}?.querySelector('.text li') != null")
    seen = f"{IN_FRAME}.defaultView.getComputedStyle({IN_FRAME}.querySelector('.spoiler span')).visibility"
    await bob.window.wait_for(f"{seen} === 'hidden'")
    await bob.window.evaluate(f"({IN_FRAME}.querySelector('.spoiler').click(), 0)")
    await bob.window.wait_for(f"{seen} === 'visible'")
