"""The palette and the list of all emoji by keyboard alone, in three browsers."""

from __future__ import annotations

import json

import pytest
from deployments import ONE

from browser.test_palette import CHOSEN, SHOWN, UNUSED, choose, dots, focus_newest, press_until
from browser.visitors import FIELD, Visitor, Visitors

pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
LISTED = "document.querySelectorAll('#emojis input').length"
FOCUSED = "document.activeElement.value"
LISTENS = "document.querySelector('#escape dialog') !== null"


def reacted(text: str) -> str:
    return (
        f"[...{dots(text)}.closest('li').querySelectorAll('.reacts button')]"
        ".filter(b => b.getClientRects().length).map(b => b.textContent).join()"
    )


async def all_emoji(visitor: Visitor, text: str) -> None:
    """Ask for them, and wait until they are there and the field has the focus."""
    await choose(visitor, text, "[value='reactions?ask']")
    await visitor.window.wait_for(f"{LISTED} > 100 && document.activeElement.matches('#react [name=emoji]')")


async def one_text(visitors: Visitors, text: str = "one") -> Visitor:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.say(text)
    await ann.rest()
    await ann.window.activate()
    return ann


async def test_all_emoji_of_a_group_are_one_tab_stop_and_so_are_the_groups(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await all_emoji(ann, "one")
    await press_until(ann, "Tab", ".groups input")
    await ann.window.press("Tab")
    await ann.window.wait_for(f"{FOCUSED} === '😀'")
    await ann.window.press("Tab")
    await ann.window.wait_for("document.activeElement.matches('#emojis + button')")
    seen = "document.activeElement.getBoundingClientRect()"
    assert await ann.window.evaluate(f"{seen}.width > 24 && {seen}.bottom <= innerHeight")


@pytest.mark.parametrize("key", ["Enter", "Space"])
async def test_arrows_move_among_emoji_and_only_a_key_of_its_own_reacts(visitors: Visitors, key: str) -> None:
    ann = await one_text(visitors)
    await all_emoji(ann, "one")
    await press_until(ann, "Tab", "#emojis input")
    for emoji in "😃😄":
        await ann.window.press("ArrowDown")
        await ann.window.wait_for(f"document.querySelector('#emojis :checked:focus')?.value === '{emoji}'")
    assert await ann.window.evaluate(reacted("one")) == ""
    await ann.window.press(key)
    await ann.window.wait_for(f"{reacted('one')} === '😄 1'")
    await ann.window.wait_for(f"{UNUSED} && document.activeElement === {dots('one')}")


async def test_arrows_change_the_group_and_keep_their_place(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await all_emoji(ann, "one")
    await press_until(ann, "Tab", ".groups input")
    for first in "👋🐵🍇":
        await ann.window.press("ArrowDown")
        await ann.window.wait_for(f"document.querySelector('#emojis input')?.value === '{first}'")
        assert await ann.window.evaluate("document.activeElement.matches('.groups :checked')")
    await ann.window.press("Tab")
    await ann.window.wait_for(f"{FOCUSED} === '🍇'")


async def test_a_press_on_an_emoji_reacts_at_once_and_once(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await all_emoji(ann, "one")
    await ann.window.click("#emojis label:nth-child(3)")
    await ann.window.wait_for(f"{reacted('one')} === '😄 1'")
    await ann.window.wait_for(f"{UNUSED} && document.activeElement === {dots('one')}")


async def test_escape_closes_the_palette_and_the_message_has_the_focus(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await ann.say("two")
    await ann.rest()
    for _ in range(2):
        await focus_newest(ann)
        await ann.window.press("ArrowUp")
        await ann.window.wait_for(f"({CHOSEN}) === 'one' && {LISTENS}")
        await ann.window.press("Escape")
        await ann.window.wait_for(f"!({SHOWN}) && document.activeElement === {dots('one')}")
    await ann.window.press("Space")
    await ann.window.wait_for(f"{SHOWN} && {LISTENS}")
    await press_until(ann, "Tab", "#pal .quiet[value=reply]")
    await ann.window.press("Escape")
    await ann.window.wait_for(f"!({SHOWN}) && document.activeElement === {dots('one')}")
    assert await ann.window.evaluate("document.querySelector('#escape').children.length") == 0


async def test_the_close_button_gives_the_focus_back_to_the_message(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await focus_newest(ann)
    await ann.window.press("Space")
    await ann.window.wait_for(f"{SHOWN} && {LISTENS}")
    await press_until(ann, "Tab", "#pal [type=reset]")
    await ann.window.press("Enter")
    await ann.window.wait_for(f"!({SHOWN}) && document.activeElement === {dots('one')}")


async def test_enter_on_a_message_replies_to_it(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await ann.say("two")
    await ann.rest()
    await focus_newest(ann)
    await ann.window.press("Enter")
    assert await ann.window.evaluate(f"document.activeElement === {dots('two')}"), "none is chosen yet"
    await ann.window.evaluate(f"{dots('one')}.focus()")
    await ann.window.press("Space")
    await ann.window.wait_for(SHOWN)
    await ann.window.press("Enter")
    await ann.window.wait_for(f"document.activeElement === document.querySelector({json.dumps(FIELD)})")
    await ann.window.wait_for("document.querySelector('#replies .quote')?.textContent.includes('one')")
    assert not await ann.window.evaluate(SHOWN)
    assert await ann.window.evaluate(reacted("one")) == ""


async def test_escape_among_the_emoji_closes_them_and_the_message_has_the_focus(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await all_emoji(ann, "one")
    await press_until(ann, "Tab", "#emojis input")
    await ann.window.press("Escape")
    await ann.window.wait_for(f"{UNUSED} && document.activeElement === {dots('one')}")
    assert await ann.window.evaluate(reacted("one")) == ""


async def test_an_answer_takes_no_focus_from_a_field_in_which_somebody_types(visitors: Visitors) -> None:
    ann = await one_text(visitors)
    await choose(ann, "one", "[aria-label='Thumbs up']")
    await ann.window.focus(FIELD)
    await ann.window.type("on I write")
    await ann.window.wait_for(f"{reacted('one')} === '👍 1' && !({SHOWN})")
    assert await ann.window.evaluate(f"document.querySelector({json.dumps(FIELD)}).value") == "on I write"
