"""Replying, in three browsers: choosing, dropping, sending, and what becomes of the quotes on open pages."""

from __future__ import annotations

import json

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Scheme
from browser.test_palette import begin_to_edit, choose
from browser.visitors import FIELD, Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
QUOTES = """JSON.stringify([...document.querySelectorAll("#messages .m")]
  .filter(li => li.querySelector(".quote"))
  .map(li => [li.querySelector(".quote").textContent, li.querySelector(".text").textContent]))"""
CHOSEN = "(document.querySelector('#replies > :last-child .quote')?.textContent ?? null)"
READY = f"document.activeElement === document.querySelector({FIELD!r})"


async def quotes(visitor: Visitor, *expected: tuple[str, str]) -> None:
    """Wait until exactly these are there: what each says, and the text that it belongs to."""
    wanted = json.dumps([[f"In reply to: {said}", text] for said, text in expected])
    await visitor.window.wait_for(f"{QUOTES} === JSON.stringify({wanted})")


async def choose_to_answer(visitor: Visitor, text: str) -> None:
    await choose(visitor, text, ".quiet[value='reply']")
    await visitor.window.wait_for(f"{CHOSEN} !== null && {READY}")


async def test_a_reply_keeps_the_draft_and_is_for_one_text_only(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("Who has the keys?")
    await bob.sees("Who has the keys?")
    await bob.type("I ", pace=0)
    await choose_to_answer(bob, "Who has the keys?")
    await bob.window.type("do\nand the boat\n", pace=0.02)
    for visitor in (ann, bob):
        await visitor.shows(["Who has the keys?", "I do", "and the boat"])
        await quotes(visitor, ("Ann Who has the keys?", "I do"))
    await bob.rest()
    assert await bob.window.evaluate(CHOSEN) is None
    assert await bob.window.evaluate("document.querySelectorAll('#replies > *').length") == 1


async def test_one_may_choose_another_message_or_none(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    for text in ("one", "two"):
        await ann.say(text)
    await bob.sees("two")
    for text in ("one", "two"):
        await choose_to_answer(bob, text)
    assert await bob.window.evaluate(CHOSEN) == "In reply to: Ann two"
    await bob.window.type("a draft", pace=0)
    await bob.window.click(".replying button")
    await bob.window.wait_for(f"{CHOSEN} === null && {READY}")
    await bob.window.type("!\n", pace=0)
    await ann.shows(["one", "two", "a draft!"])
    await quotes(ann)


async def test_a_quote_and_what_is_chosen_change_with_their_message(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("frist")
    await bob.sees("frist")
    await choose_to_answer(bob, "frist")
    await bob.window.type("yes\n", pace=0)
    await quotes(ann, ("Ann frist", "yes"))
    await bob.rest()
    await choose_to_answer(bob, "frist")
    await begin_to_edit(ann, "frist", "first")
    await ann.window.click("#acting button:not([type])")
    for visitor in (ann, bob):
        await quotes(visitor, ("Ann first", "yes"))
    await bob.window.wait_for(f"{CHOSEN} === 'In reply to: Ann first'")
    await ann.window.wait_for("document.querySelector('#acting').children.length === 0")
    await choose(ann, "first", "[value='delete?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting .bad')")
    await ann.window.click("#acting .bad")
    for visitor in (ann, bob):
        await quotes(visitor, ("Ann Message deleted", "yes"))
    await bob.window.wait_for(f"{CHOSEN} === 'In reply to: Ann Message deleted'")
    await bob.window.focus(FIELD)
    await bob.window.type("too late\n", pace=0)
    await bob.window.wait_for("document.querySelector('.refused textarea')?.value === 'too late'")


async def test_a_quote_leads_to_the_message_and_back(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("Who has the keys?")
    await bob.sees("Who has the keys?")
    await choose_to_answer(bob, "Who has the keys?")
    await bob.window.type("I do\n", pace=0)
    await quotes(ann, ("Ann Who has the keys?", "I do"))
    await ann.window.click("#messages .quote")
    await ann.window.wait_for(
        "document.querySelector('[aria-current=true] .text')?.textContent === 'Who has the keys?'"
    )
    await quotes_on_page(ann)
    await ann.window.click("header a")
    await ann.in_room()
    await quotes(ann, ("Ann Who has the keys?", "I do"))


async def quotes_on_page(visitor: Visitor) -> None:
    assert await visitor.window.evaluate("document.querySelectorAll('.quote').length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1400])
async def test_a_long_quote_is_one_line_and_nothing_sticks_out(
    people: People, width: int, scheme: Scheme
) -> None:
    ann = await people.newcomer(scheme=scheme)
    await ann.page.set_viewport_size({"width": width, "height": 700})
    await ann.open_room("Ann")
    await ann.live()
    for text in ("A long question, " * 12, "wide" * 40, "سآخذ القارب بعد الظهر إن شاء الله"):
        await ann.say(text)
        await ann.choose(ann.newest, "Reply")
        await expect(ann.page.locator("#replies > :last-child .quote")).to_be_visible()
        await ann.say("Perfect, thank you both!")
    await ann.choose(ann.newest, "Reply")
    await expect(ann.page.locator("#replies > :last-child .quote")).to_be_visible()
    names = "all => all.length >= 4 && all.every(e => e.scrollWidth <= e.clientWidth)"
    assert await ann.page.locator(".quote b").evaluate_all(names), "it says who is answered"
    heights = await ann.page.locator(".quote").evaluate_all("all => all.map(q => q.offsetHeight)")
    assert max(heights) < 36
    assert await ann.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await ann.page.locator("#messages").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert await ann.page.locator("#foot").evaluate("e => e.scrollWidth <= e.clientWidth")


async def test_without_javascript_the_palette_leads_to_the_form_for_a_reply(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    code = await cat.open_room("Cat")
    await cat.page.request.post(f"{cat.url}/rooms/{code}/messages", form={"body": "Who has it?", "key": "k"})
    frame = cat.page.frame_locator("iframe")
    await frame.get_by_text("Who has it?").hover()
    await frame.locator(".by > input").click()
    await frame.get_by_role("button", name="Reply").click()
    await cat.page.get_by_label("Your reply").fill("I do")
    await cat.page.locator("#reply").get_by_role("button", name="Reply").click()
    await expect(frame.locator(".quote")).to_contain_text("Who has it?")
    await frame.locator(".quote").click()
    await expect(cat.page.locator("[aria-current=true] .text")).to_have_text("Who has it?")
