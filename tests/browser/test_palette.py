"""Changing and deleting from the palette of the page, in three browsers, by mouse and by keyboard."""

from __future__ import annotations

import json

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Scheme
from browser.reading import LIVE_FRAME, sees_in_frame, still
from browser.visitors import Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
FOCUS = "[document.activeElement.tagName, document.activeElement.name, document.activeElement.value]"
SHOWN = "getComputedStyle(document.querySelector('#pal')).display !== 'none'"
UNUSABLE = """e => [...e.querySelectorAll("button, label")].filter(b => {
  if (!b.getClientRects().length) return false
  const r = b.getBoundingClientRect()
  return r.left < 0 || r.right > innerWidth || r.bottom > innerHeight || r.width < 24 || r.height < 24
}).map(b => b.outerHTML)"""
CHOSEN = "document.querySelector('.by>:checked')?.closest('li').querySelector('.text').textContent ?? null"

CHIPS_IN_FRAME = """JSON.stringify(
  [...document.querySelector("#stream").contentDocument.querySelectorAll("li .reacts button")]
  .filter(b => b.checkVisibility()).map(b => [b.textContent, b.getAttribute("aria-pressed")]))"""
FORM = "document.querySelector('#acting textarea')"
SAVE = "#acting button:not([type])"
UNUSED = "document.querySelector('#acting').children.length === 0"


def dots(text: str) -> str:
    """What chooses the message with this text."""
    return (
        f"[...document.querySelectorAll('#messages li')].find(li => li.querySelector('.text')"
        f"?.textContent === {json.dumps(text)}).querySelector('.by>input')"
    )


async def choose(visitor: Visitor, text: str, button: str) -> None:
    """Click a message's dots, and then a button of the palette, which must not move meanwhile."""
    await visitor.window.wait_for("document.querySelectorAll('#texts > *').length === 1")
    await visitor.window.evaluate(f"{dots(text)}.click()")
    await visitor.window.wait_for(SHOWN)
    await still(visitor.window)
    await visitor.window.click(f"#pal {button}")


GIVEN = "document.querySelector('#messages .reacts')?.textContent.includes('🍕 1')"
PIZZA = "[...document.querySelectorAll('#emojis input')].find(b => b.value === '🍕')"


async def test_a_reaction_is_chosen_from_all_emoji(visitors: Visitors) -> None:
    ann, bob = await visitors.newcomer(), await visitors.newcomer()
    code = await ann.open_room("Ann")
    await bob.join_room(code, "Bob")
    await ann.say("who is hungry?")
    await bob.shows(["who is hungry?"])
    await choose(bob, "who is hungry?", "[value='reactions?ask']")
    await bob.window.wait_for("document.querySelectorAll('#emojis input').length > 100")
    await bob.window.click(".groups label:nth-child(4)")
    await bob.window.wait_for(PIZZA)
    await bob.window.evaluate(f"{PIZZA}.parentElement.click()")
    for visitor in (ann, bob):
        await visitor.window.wait_for(
            "document.querySelector('#messages .reacts')?.textContent.includes('🍕 1')"
        )
    await bob.window.wait_for(UNUSED)


async def test_a_text_that_is_emptied_is_deleted_instead(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    await ann.say("one")
    await begin_to_edit(ann, "one", "x")
    await ann.window.press("Backspace")
    await ann.window.click(SAVE)
    await ann.window.wait_for("document.querySelector('#acting [role=alert]')")
    await ann.window.click("#acting .bad")
    await ann.window.wait_for("document.activeElement.matches('#delete button')")
    await ann.window.click("#delete .bad")
    await ann.window.wait_for("document.querySelector('#messages .gone')")


async def begin_to_edit(visitor: Visitor, text: str, changed: str) -> None:
    """Open the form of a message, and type another text into it."""
    await choose(visitor, text, "[value='edit?ask']")
    await visitor.window.wait_for("document.activeElement.matches('#acting textarea')")
    await visitor.window.evaluate("document.activeElement.select()")
    await visitor.window.type(changed)


async def focus_newest(visitor: Visitor) -> None:
    """Shift+Tab from the field, in a way that every driver has."""
    await visitor.window.evaluate("[...document.querySelectorAll('.by>input')].at(-1).focus()")


async def test_an_author_changes_a_text_in_place_and_the_draft_stays(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("frist")
    await bob.say("second")
    await ann.shows(["frist", "second"])
    await ann.type("a draft")
    await begin_to_edit(ann, "frist", "first")
    assert not await ann.window.evaluate(SHOWN)
    await ann.window.click(SAVE)
    for visitor in (ann, bob):
        await visitor.shows(["first", "second"])
    await ann.window.wait_for(UNUSED)
    assert await ann.window.evaluate("document.querySelector('#texts > :last-child').value") == "a draft"
    assert await bob.window.evaluate("document.querySelectorAll('.edited').length") == 1


async def test_writing_goes_on_at_the_end_of_the_text_that_is_changed(visitors: Visitors) -> None:
    """Also of one that comes back: it is what the person typed."""
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for text in ("see you at eight", ' 1 < 2 & "3"'):
        await ann.say(text)
        await choose(ann, text, "[value='edit?ask']")
        await ann.window.wait_for("document.activeElement.matches('#acting textarea')")
        await ann.window.type(" or nine", pace=0)
        await ann.window.click(SAVE)
        await ann.sees(f"{text} or nine")
        await ann.window.wait_for(UNUSED)
    await choose(ann, "see you at eight or nine", "[value='edit?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting textarea')")
    long = json.dumps("x" * 9000)
    await ann.window.evaluate(f"(document.activeElement.value = {long}, 0)")
    await ann.window.click(SAVE)
    await ann.window.wait_for("document.querySelector('#acting textarea[aria-invalid]:focus') !== null")
    assert await ann.window.evaluate("document.activeElement.selectionStart") == 9000


async def test_only_authors_are_offered_to_change_and_delete(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("of Ann")
    await bob.say("of Bob")
    await ann.shows(["of Ann", "of Bob"])
    for text, offered in (("of Ann", True), ("of Bob", False)):
        await ann.window.evaluate(f"{dots(text)}.click()")
        await ann.window.wait_for(f"{CHOSEN} === {json.dumps(text)}")
        shown = "document.querySelector('#pal .own').getClientRects().length > 0"
        assert await ann.window.evaluate(shown) == offered


async def test_arrows_choose_and_the_close_button_closes(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    for n in range(3):
        await ann.say(f"text {n}")
    await bob.sees("text 2")
    await focus_newest(bob)
    await bob.window.press("ArrowUp")
    await bob.window.wait_for(f"{CHOSEN} === 'text 1'")
    await bob.window.press("ArrowUp")
    await bob.window.wait_for(f"{CHOSEN} === 'text 0'")
    await ann.say("meanwhile")  # what is chosen stays so
    await bob.sees("meanwhile")
    assert await bob.window.evaluate(CHOSEN) == "text 0"
    await bob.window.click("#pal [type=reset]")
    await bob.window.wait_for(f"!({SHOWN})")


async def press_until(visitor: Visitor, key: str, selector: str) -> None:
    """Press a key until it has brought the focus there."""
    for _ in range(30):
        if await visitor.window.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
            return
        await visitor.window.press(key)
    pytest.fail(f"{key} does not lead to {selector}")


async def press_button(visitor: Visitor, selector: str) -> None:
    """Of the palette, from a message whose dots have the focus."""
    await visitor.window.press("Space")
    await visitor.window.wait_for(SHOWN)
    await press_until(visitor, "Tab", f"#pal {selector}")
    await visitor.window.press("Enter")


async def test_by_keys_alone_one_reacts_changes_and_deletes(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    for text in ("before", "frist"):
        await ann.say(text)
    await bob.shows(["before", "frist"])
    await ann.rest()
    await ann.window.activate()
    await focus_newest(ann)
    await press_button(ann, "[aria-label='Thumbs up']")
    for visitor, pressed in ((ann, "true"), (bob, "false")):
        await visitor.window.wait_for(f"""{chips("frist")} === '[["👍 1","{pressed}"]]'""")
    await ann.window.wait_for(f"!({SHOWN}) && document.activeElement === {dots('frist')}")
    await press_button(ann, "[value='edit?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting textarea')")
    await ann.window.evaluate("document.activeElement.select()")
    await ann.window.type("first")
    await press_until(ann, "Tab", SAVE)
    await ann.window.press("Enter")
    for visitor in (ann, bob):
        await visitor.shows(["before", "first"])
    await ann.window.wait_for(f"{UNUSED} && document.activeElement === {dots('first')}")
    await press_button(ann, "[value='delete?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting .bad')")
    await ann.window.press("Enter")
    for visitor in (ann, bob):
        await visitor.window.wait_for("document.querySelectorAll('.gone').length === 1")
        await visitor.shows(["before"])
    await ann.window.wait_for("document.activeElement.matches('#acting p')")


async def test_deleting_asks_first_and_keeps_the_focus_in_the_page(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("a slip")
    await bob.sees("a slip")
    await choose(ann, "a slip", "[value='delete?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting .bad')")
    await ann.window.click("#acting .bad")
    for visitor in (ann, bob):
        await visitor.window.wait_for("document.querySelectorAll('.gone').length === 1")
        # The question, which quotes the text, goes with the next frame.
        await visitor.window.wait_for("!document.body.textContent.includes('a slip')")
    await ann.window.wait_for("document.activeElement.matches('#acting p')")


async def test_without_javascript_the_palette_leads_to_the_page_of_the_message(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    code = await cat.open_room("Cat")
    await cat.page.request.post(f"{cat.url}/rooms/{code}/messages", form={"body": "frist", "key": "k"})
    frame = cat.page.frame_locator("iframe")
    await frame.get_by_text("frist").hover()
    await frame.locator(".by > input").click()
    await frame.get_by_role("button", name="Edit").click()
    await expect(cat.page.locator("[aria-current=true] .text")).to_have_text("frist")
    await cat.page.get_by_label("Change the message").fill("first")
    await cat.page.get_by_role("button", name="Save").click()
    await expect(cat.page.locator("[aria-current=true] .text")).to_have_text("first")
    await cat.page.get_by_role("link", name="Back to the room").click()
    await expect(frame.locator(".text", has_text="first")).to_be_visible()  # a notice has this word, too


def chips(text: str) -> str:
    """What is shown of the reactions to the message with this text: label and whether it is pressed."""
    return (
        f"JSON.stringify([...({dots(text)}).closest('li').querySelectorAll('.reacts button')]"
        ".filter(b => b.getClientRects().length).map(b => [b.textContent, b.getAttribute('aria-pressed')]))"
    )


async def test_a_reaction_is_given_and_taken_back_in_place(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("a text")
    await bob.sees("a text")
    path = await bob.window.evaluate("location.href")
    await choose(bob, "a text", "[aria-label='Thumbs up']")
    await bob.window.wait_for(f"""{chips("a text")} === '[["👍 1","true"]]'""")
    await ann.window.wait_for(f"""{chips("a text")} === '[["👍 1","false"]]'""")
    assert not await bob.window.evaluate(SHOWN)
    await still(ann.window)
    await ann.window.click(".reacts [aria-pressed=false]")
    await ann.window.wait_for(f"""{chips("a text")} === '[["👍 2","true"]]'""")
    await bob.window.wait_for(f"""{chips("a text")} === '[["👍 2","true"]]'""")
    await still(bob.window)
    await bob.window.click(".reacts [aria-pressed=true]")
    await bob.window.wait_for(f"""{chips("a text")} === '[["👍 1","false"]]'""")
    await ann.window.wait_for(f"""{chips("a text")} === '[["👍 1","true"]]'""")
    await still(ann.window)
    await ann.window.click(".reacts [aria-pressed=true]")
    for visitor in (ann, bob):
        await visitor.window.wait_for(f"{chips('a text')} === '[]'")
        await visitor.shows(["a text"])
    assert await bob.window.evaluate("location.href") == path


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_palette_and_the_reactions_fit_the_narrowest_phone(people: People, scheme: Scheme) -> None:
    ann = await people.newcomer(scheme=scheme)
    await ann.page.set_viewport_size({"width": 320, "height": 568})
    await ann.open_room("Ann")
    await ann.live()
    await ann.say("a text " * 12)
    await ann.say("short")
    for place, text in enumerate(("a text", "short")):
        for button in ("Thumbs up", "Heart"):
            await ann.choose(ann.message(text))
            await expect(ann.page.locator("#pal")).to_be_visible()
            assert await ann.page.locator("#pal").evaluate(UNUSABLE) == []
            await ann.page.locator("#pal").get_by_role("button", name=button).click()
            await expect(ann.page.locator(".reacts [aria-pressed=true]:visible")).to_have_count(
                2 * place + (1 if button == "Thumbs up" else 2)
            )
    assert await ann.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await ann.page.locator("#messages").evaluate("e => e.scrollWidth <= e.clientWidth")


async def test_a_reaction_of_another_person_comes_and_goes_on_the_live_page_without_javascript(
    visitors: Visitors,
) -> None:
    ann, bob = await visitors.two()
    await ann.say("a text")
    await bob.sees("a text")
    await bob.window.evaluate(LIVE_FRAME)
    await sees_in_frame(bob, ["a text"])
    await choose(ann, "a text", "[aria-label='Thumbs up']")
    await bob.window.wait_for(f"""{CHIPS_IN_FRAME} === '[["👍 1","false"]]'""")
    await choose(bob, "a text", "[aria-label='Thumbs up']")
    await bob.window.wait_for(f"""{CHIPS_IN_FRAME} === '[["👍 2","true"]]'""")
    await still(ann.window)
    await ann.window.click(".reacts [aria-pressed=true]")
    await bob.window.wait_for(f"""{CHIPS_IN_FRAME} === '[["👍 1","true"]]'""")
    await still(bob.window)
    await bob.window.click(".reacts [aria-pressed=true]")
    await bob.window.wait_for(f"{CHIPS_IN_FRAME} === '[]'")
    await sees_in_frame(bob, ["a text"])


async def test_what_sends_reactions_leaves_every_other_form_alone(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("one")
    await bob.say("two")
    await ann.shows(["one", "two"])
    await ann.rest()
    assert await ann.window.evaluate("document.querySelector('#notice').textContent") == ""


async def test_a_refused_reaction_says_why(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("a text")
    await bob.sees("a text")
    await choose(bob, "a text", "[aria-label='Another emoji']")
    await bob.window.wait_for("document.activeElement.matches('#react [name=emoji]')")
    await bob.window.type("no\n")
    await bob.window.wait_for("document.querySelector('#react [role=alert]') !== null")
    assert await bob.window.evaluate("document.querySelector('#react [name=emoji]').value") == "no"
    await bob.window.wait_for("document.activeElement.matches('#react [name=emoji]')")
    await bob.window.type("!")
    assert await bob.window.evaluate("document.querySelector('#react [name=emoji]').value") == "no!"


async def test_reactions_work_without_javascript(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    code = await cat.open_room("Cat")
    await cat.page.request.post(f"{cat.url}/rooms/{code}/messages", form={"body": "a text", "key": "k"})
    frame = cat.page.frame_locator("iframe")
    await frame.get_by_text("a text").hover()
    await frame.locator(".by > input").click()
    await frame.get_by_role("button", name="Thumbs up").click()
    pressed = cat.page.locator("[aria-current=true]").get_by_role("button", name="👍 1", pressed=True)
    await expect(pressed).to_be_visible()
    await cat.page.get_by_role("link", name="Back to the room").click()
    await frame.get_by_role("button", name="👍 1", pressed=True).click()
    await expect(cat.page.locator("[aria-current=true]")).to_be_visible()
    await expect(pressed).to_have_count(0)


async def test_link_leads_to_the_page_of_the_message_and_its_address(visitors: Visitors) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for text in ("one", "two"):
        await ann.say(text)
    await choose(ann, "one", "[value='link?ask']")
    await ann.window.wait_for("document.activeElement.matches('#acting a')")
    await ann.window.press("Enter")
    await ann.window.wait_for("document.querySelector('[aria-current=true] .text')?.textContent === 'one'")
    assert await ann.window.evaluate("document.querySelector('#to-link').value === location.href")
