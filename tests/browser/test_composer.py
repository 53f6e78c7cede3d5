"""Writing: nothing typed is lost, nothing sent is doubled, nothing refused disappears."""

from __future__ import annotations

import asyncio
import statistics

import pytest
from playwright.async_api import Route, expect
from serving import Server

from browser.people import People, Tab, paused

LONG = "x" * 9000  # more than 8 KiB, less than the control takes
# Milliseconds from each Enter to the empty control with the focus.
GAPS = """
  window.gaps = []; let sent = 0;
  document.addEventListener("keydown", e => { if (e.key === "Enter") sent = performance.now() }, true);
  new MutationObserver(() => {
    const last = document.querySelector("#texts>:last-child");
    if (sent && last && !last.value && last === document.activeElement) {
      gaps.push(performance.now() - sent);
      sent = 0;
    }
  }).observe(document.querySelector("#texts"), {childList: true});
"""
LABEL = """() => { const s = getComputedStyle(document.querySelector("#texts"), "::before");
  return [s.content, s.visibility] }"""


async def alone(people: People) -> Tab:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    return await ann.live()


async def test_typing_on_after_enter_loses_nothing_and_the_focus_stays(people: People) -> None:
    ann = await alone(people)
    await expect(ann.field).to_be_focused()
    await ann.type("first\nsecond line\nthird")
    await ann.shows(["first", "second line"])
    await expect(ann.field).to_be_focused()
    await expect(ann.page.locator("#texts > *")).to_have_count(1)
    await expect(ann.field).to_have_value("third")


async def test_the_next_control_is_there_before_the_next_key(people: People) -> None:
    ann = await alone(people)
    await ann.page.evaluate(f"() => {{ {GAPS} }}")
    for n in range(9):
        await ann.say(f"message {n}")
    await ann.rest()
    gaps = await ann.page.evaluate("gaps")
    assert len(gaps) == 9
    assert statistics.quantiles(gaps, n=4)[0] < 60, f"ms: {gaps}"  # a busy machine delays some


async def test_a_storm_of_messages_leaves_caret_draft_and_selection_alone(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("half a th")
    await ann.page.keyboard.press("ArrowLeft")
    await ann.page.keyboard.press("Shift+ArrowLeft")
    for n in range(8):
        await bob.say(f"storm {n}")
    await ann.sees("storm 7")
    await expect(ann.field).to_be_focused()
    await ann.page.keyboard.press("T")
    await expect(ann.field).to_have_value("half a Th")


async def test_text_in_flight_shows_as_sending_until_it_is_stored(people: People, server: Server) -> None:
    ann, bob = await people.two()
    sending = ann.page.locator("#texts > :not(:last-child)")
    with paused(server):
        await ann.type("in flight\nalso this\n")
        await expect(sending).to_have_count(2)
        await expect(sending.first).to_be_visible()
        await expect(sending.first).to_have_value("in flight")
        await expect(sending.last).to_have_value("also this")
        assert await ann.page.evaluate(LABEL) == ['"Sending…"', "visible"]
        await expect(ann.field).to_be_focused()
        assert await ann.lines() == []
    await expect(sending).to_have_count(0)
    await ann.shows(["in flight", "also this"])
    await bob.shows(["in flight", "also this"])
    assert (await ann.page.evaluate(LABEL))[0] == "none"


async def test_refused_text_comes_back_with_the_reason_and_can_be_sent_again(people: People) -> None:
    ann, bob = await people.two()
    await ann.say(LONG)
    refused = ann.page.locator("#refused form")
    await expect(refused.get_by_role("alert")).to_contain_text("too long")
    await expect(refused.get_by_role("textbox")).to_have_value(LONG)
    await expect(ann.field).to_be_focused()
    await ann.type("meanwhile\n")
    await bob.sees("meanwhile")
    await ann.rest()
    first = await refused.get_attribute("id")
    await refused.get_by_role("button", name="Send again").click()  # still too long: it comes back again
    await expect(ann.page.locator(f"#{first}")).to_have_count(0)
    await expect(refused).to_have_count(1)
    await expect(refused.get_by_role("textbox")).to_have_value(LONG)
    await refused.get_by_role("textbox").fill("shorter")
    await refused.get_by_role("button", name="Send again").click()
    await expect(refused).to_have_count(0)
    await ann.shows(["meanwhile", "shorter"])
    await bob.shows(["meanwhile", "shorter"])


async def paste(tab: Tab, text: str) -> None:
    await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await tab.page.evaluate("text => navigator.clipboard.writeText(text)", text)
    await tab.field.focus()
    await tab.page.keyboard.press("Control+V")


async def test_what_is_pasted_is_kept_whole_and_told_by_how_much_it_is_too_long(people: People) -> None:
    ann = await alone(people)
    text = "".join(f"{n:05} " for n in range(2000)) + "end"
    await paste(ann, text)
    await expect(ann.field).to_have_value(text)
    await ann.page.keyboard.press("Enter")
    refused = ann.page.locator("#refused form")
    await expect(refused.get_by_role("alert")).to_contain_text("about 3,800 characters too long")
    await expect(refused.get_by_role("textbox")).to_have_value(text)


async def test_lines_pasted_into_the_one_line_field_are_not_joined_without_a_word(people: People) -> None:
    ann = await alone(people)
    hint = ann.page.locator("#hint")
    await paste(ann, "one\ntwo")
    await expect(hint).to_contain_text("line breaks become spaces")
    await ann.page.keyboard.press("Enter")
    await expect(hint).to_have_text("")
    await ann.page.get_by_role("button", name="Write several lines").click()
    await expect(ann.page.locator("#texts > textarea")).to_be_focused()
    await paste(ann, "one\ntwo")
    await ann.page.get_by_role("button", name="Send").click()
    await ann.shows(["one two", "one\ntwo"])
    await expect(hint).to_have_text("")


async def test_refused_text_can_be_discarded(people: People) -> None:
    ann = await alone(people)
    await ann.say(LONG)
    refused = ann.page.locator("#refused form")
    await expect(refused).to_have_count(1)
    await ann.page.get_by_role("button", name="Throw away").click()
    await expect(refused).to_have_count(0)
    await ann.say("fine")
    await ann.shows(["fine"])


async def test_the_switch_to_many_lines_and_back_keeps_the_draft(people: People) -> None:
    ann, bob = await people.two()
    switch = ann.page.locator("#switch")
    await ann.type("a draft")
    await switch.click()
    await expect(ann.page.locator("#texts > textarea")).to_have_value("a draft")
    await expect(ann.field).to_be_focused()
    await ann.page.keyboard.press("End")
    await ann.page.keyboard.press("Enter")
    await ann.page.keyboard.type("and more")
    await ann.page.get_by_role("button", name="Send").click()
    await bob.shows(["a draft\nand more"])
    await expect(ann.page.locator("#texts > textarea")).to_have_count(1)
    await ann.rest()
    await expect(ann.field).to_be_focused()
    await ann.page.keyboard.type("one line again")
    await switch.click()
    await expect(ann.page.locator("#texts > input")).to_have_value("one line again")
    await ann.field.press("Enter")
    await bob.sees("one line again")
    await expect(ann.page.locator("#texts > input")).to_have_count(1)
    await ann.rest()


async def test_the_switch_does_not_take_text_in_flight_along(people: People, server: Server) -> None:
    ann, bob = await people.two()
    with paused(server):
        await ann.type("sent\n")
        await ann.page.keyboard.type("draft")
        await ann.page.locator("#switch").click()
    await expect(ann.page.locator("#texts > textarea")).to_have_value("draft")
    await bob.shows(["sent"])
    await expect(ann.page.locator("#texts > *")).to_have_count(1)


@pytest.mark.parametrize("way", ["mouse", "enter", "tab and space"])
async def test_every_way_to_send_sends_and_returns_to_the_control(people: People, way: str) -> None:
    ann = await alone(people)
    await ann.page.keyboard.type("Hello")
    if way == "mouse":
        await ann.page.locator("button.send").click()
    elif way == "enter":
        await ann.page.keyboard.press("Enter")
    else:
        await ann.page.keyboard.press("Tab")
        await ann.page.keyboard.press("Space")
    await ann.shows(["Hello"])
    await ann.rest()
    await expect(ann.field).to_be_focused()


async def test_nothing_and_blanks_are_not_sent(people: People) -> None:
    ann = await alone(people)
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#texts > *")).to_have_count(1)
    await ann.page.keyboard.type("   ")
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#refused").get_by_role("alert")).to_contain_text("write something")
    assert await ann.lines() == []


async def test_text_of_many_scripts_arrives_as_it_was_typed(people: People) -> None:
    ann, bob = await people.two()
    texts = ["שלום עולם", "👩‍👩‍👧‍👦🏳️‍🌈", "  indented", "Ἀ ﷽ z̷a̷l̷g̷o̷", "tab\there", "a" * 300]
    for text in texts:
        await ann.say(text)
    await bob.shows(texts)
    assert await bob.style(".text:has-text('שלום')", "direction") == "rtl"


@pytest.mark.parametrize("way", ["the switch", "a name"])
async def test_nothing_is_typed_into_a_field_whose_successor_is_on_its_way(people: People, way: str) -> None:
    """On a slow line it would be gone with the field."""
    ann, _ = await people.two()
    await ann.type("for @bo")
    button = ann.page.locator("#switch" if way == "the switch" else "#hint button")
    await expect(ann.page.locator("#hint button")).to_be_visible()
    answered = asyncio.Event()

    async def wait(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    await ann.page.route("**/composer", wait)
    await button.click()
    await expect(ann.field).to_be_disabled()
    answered.set()
    await expect(ann.field).to_be_enabled()
    await expect(ann.field).to_have_value("for @bo" if way == "the switch" else "for @Bob ")
    await expect(ann.field).to_be_focused()
    await ann.page.unroute("**/composer")


async def test_a_switch_that_the_server_cannot_make_leaves_the_draft_as_it_is(
    people: People,
) -> None:
    ann, _ = await people.two()
    await ann.page.route("**/composer", lambda route: route.fulfill(status=503, body="<h1>Not just now</h1>"))
    await ann.type("a precious draft")
    ann.expect_noise("503")
    async with ann.page.expect_response("**/composer"):
        await ann.page.get_by_role("button", name="Write several lines").click()
    await ann.page.unroute("**/composer")
    await expect(ann.field).to_have_value("a precious draft")
    await expect(ann.field).to_be_enabled()
    await expect(ann.page.get_by_text("Not just now")).not_to_be_attached()
    await ann.page.get_by_role("button", name="Write several lines").click()
    await expect(ann.page.locator("#texts textarea")).to_have_value("a precious draft")


@pytest.mark.parametrize("width", [320, 1280])
async def test_a_long_text_on_its_way_makes_nothing_wider(people: People, width: int) -> None:
    ann = await people.newcomer(width=width, height=700)
    await ann.open_room("Ann")
    await ann.live()
    await ann.go_offline()
    await ann.page.locator("#texts > :last-child").fill("long" * 1000)
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#texts > *")).to_have_count(2)
    wide = "e => [...e.querySelectorAll('#texts > *')].map(f => f.offsetWidth).every(w => w <= e.offsetWidth)"
    assert await ann.page.locator("#composer").evaluate(wide)
    assert await ann.page.locator("#scroll").evaluate("e => e.scrollWidth <= e.clientWidth")
