"""Mentions: names are offered while one is typed, by keys and by pointer, and one types on behind them."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from browser.people import People, Tab
from browser.visitors import FIELD, Visitors

NAMES = "[...document.querySelectorAll('#hint .names button')].map(one => one.textContent).join()"


def names(tab: Tab) -> Locator:
    return tab.page.locator("#hint .names button")


async def test_a_name_is_chosen_by_keys_and_one_types_on_behind_it(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("Hello @b")
    await expect(names(ann)).to_have_text(["@Bob"])
    await ann.page.keyboard.press("Shift+Tab")
    await expect(names(ann)).to_be_focused()
    await ann.page.keyboard.press("Enter")
    await expect(ann.field).to_have_value("Hello @Bob ")
    await expect(ann.field).to_be_focused()
    await expect(names(ann)).to_have_count(0)
    await ann.type("tea?\n")
    await bob.shows(["Hello @Bob tea?"])
    mention = bob.page.locator(".at")
    await expect(mention).to_have_text("@Bob")
    ours, theirs = [
        await tab.page.locator(".b:has(.at)").evaluate("one => getComputedStyle(one).backgroundColor")
        for tab in (ann, bob)
    ]
    assert ours != theirs


async def test_names_go_when_none_is_typed_any_more(people: People) -> None:
    ann, _ = await people.two()
    await ann.type("@b")
    await expect(names(ann)).to_be_visible()
    await ann.type(" ")
    await expect(names(ann)).to_be_hidden()
    await ann.page.keyboard.press("Backspace")
    await expect(names(ann)).to_be_visible()
    await names(ann).click()
    await expect(ann.field).to_have_value("@Bob ")
    await ann.page.keyboard.press("Control+a")
    await ann.type("@b")
    await names(ann).click()
    await expect(ann.field).to_have_value("@Bob ")
    await ann.type("and @b\n")
    await ann.shows(["@Bob and @b"])
    await expect(names(ann)).to_have_count(0)
    await expect(ann.field).to_have_value("")


async def test_names_are_offered_in_a_field_of_several_lines_by_what_is_saved_of_it(
    visitors: Visitors,
) -> None:
    ann, bob = await visitors.two()
    await ann.window.click("#switch")
    await ann.window.wait_for("document.querySelector('#texts textarea')")
    await ann.type("Tea\nHello @b")
    await ann.window.wait_for(f"{NAMES} === '@Bob'")
    await ann.window.type("x")
    await ann.window.wait_for(f"{NAMES} === ''")
    await ann.window.press("Backspace")
    await ann.window.wait_for(f"{NAMES} === '@Bob'")
    await ann.window.click("#hint .names button")
    await ann.window.wait_for(f"document.querySelector({FIELD!r}).value === 'Tea\\nHello @Bob '")
    await ann.window.wait_for(f"document.activeElement === document.querySelector({FIELD!r})")
    await ann.window.type("tea?\n@b")
    await ann.window.wait_for(f"document.querySelector({FIELD!r}).value === 'Tea\\nHello @Bob tea?\\n@b'")
    await ann.window.wait_for(f"{NAMES} === '@Bob'")
    await ann.window.click(".send")
    await bob.sees("Tea\nHello @Bob tea?\n@b")
    await ann.window.wait_for(f"{NAMES} === ''")
    assert await ann.window.evaluate(f"document.querySelector({FIELD!r}).tagName") == "TEXTAREA"


async def test_somebody_is_chosen_in_the_list_of_people(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.type("Tea")
    await ann.window.wait_for("document.querySelector('#by-2 button')")
    await ann.window.click("#by-2 button")
    await ann.window.wait_for(f"document.querySelector({FIELD!r}).value === 'Tea @Bob '")
    await ann.window.wait_for(f"document.activeElement === document.querySelector({FIELD!r})")
    await ann.window.type("?")
    await ann.window.click("#switch")
    await ann.window.wait_for("document.querySelector('#texts textarea')")
    await ann.window.type("\nCake")
    await ann.window.click("#by-2 button")
    await ann.window.wait_for(f"document.querySelector({FIELD!r}).value === 'Tea @Bob ?\\nCake @Bob '")
    await ann.window.type("?")
    await ann.window.click(".send")
    await bob.sees("Tea @Bob ?\nCake @Bob ?")


async def test_on_a_phone_the_list_of_people_closes_when_somebody_is_chosen(visitors: Visitors) -> None:
    ann, bob = await visitors.two(width=390)
    await ann.window.wait_for("document.querySelector('#by-2 button')")
    for wanted in ("@Bob ", "@Bob ! @Bob "):
        await ann.window.click("[popovertarget=roster]")
        await ann.window.wait_for("document.querySelector('#roster:popover-open')")
        await ann.window.click("#by-2 button")
        await ann.window.wait_for(f"document.querySelector({FIELD!r}).value === {wanted!r}")
        await ann.window.wait_for("!document.querySelector('#roster:popover-open')")
        await ann.window.wait_for(f"document.activeElement === document.querySelector({FIELD!r})")
        await ann.window.type("!")
    await ann.window.type("\n")
    await bob.sees("@Bob ! @Bob !")
    await bob.leave()
    await ann.window.wait_for("!document.querySelector('#by-2')")


async def test_who_looks_for_oneself_in_the_list_finds_no_button(people: People) -> None:
    ann, _ = await people.two()
    await expect(ann.page.locator("#roster li button")).to_have_count(2)
    await expect(ann.page.locator("#roster").get_by_role("button")).to_have_text(["Bob", "Mention somebody"])
    await expect(ann.page.locator("#roster li bdi").first).to_be_visible()


@pytest.mark.parametrize("kind", ["one line", "several lines"])
async def test_the_list_of_people_is_one_button_for_keys(people: People, kind: str) -> None:
    ann, _ = await people.two()
    if kind != "one line":
        await ann.page.locator("#switch").click()
        await expect(ann.page.locator("#texts textarea")).to_be_visible()
    button = ann.page.get_by_role("button", name="Mention somebody")
    await expect(button).to_be_visible()
    await ann.type("Hello")
    await ann.page.locator("#roster").focus()
    await ann.page.keyboard.press("Tab")
    await expect(button).to_be_focused()
    await ann.page.keyboard.press("Enter")
    await expect(ann.field).to_have_value("Hello @")
    await expect(ann.field).to_be_focused()
    await expect(names(ann)).to_have_text(["@Bob"])
    await ann.page.keyboard.press("Shift+Tab")
    await ann.page.keyboard.press("Enter")
    await expect(ann.field).to_have_value("Hello @Bob ")
    await ann.page.locator("#roster").focus()
    await ann.page.keyboard.press("Tab")
    await ann.page.keyboard.press("Tab")
    await expect(ann.page.get_by_role("link", name="Ignore somebody")).to_be_focused()


async def test_the_list_of_people_changes_and_leaves_the_focus_at_the_person(people: People) -> None:
    ann, bob = await people.two()
    cat = await (await people.newcomer()).join_room(ann.code, "Cat")
    button = ann.page.locator("#roster").get_by_role("button", name="Cat")
    await button.focus()
    await bob.leave()
    await expect(ann.page.locator("#roster").get_by_role("button")).to_have_text(["Cat", "Mention somebody"])
    await expect(button).to_be_focused()
    await cat.say("here")
    await expect(button).to_be_focused()


# Names have come again since this was asked for.
ANSWERED = """window.answered = new Promise(done => addEventListener("htmx:ws:after:message:incoming",
  event => event.detail.message.data.includes('"#hint') && done(true))), 1"""


async def test_names_stay_while_one_of_them_has_the_focus(people: People) -> None:
    ann, _ = await people.two()
    await (await people.newcomer()).join_room(ann.code, "Cat")
    await ann.type("@")
    await expect(names(ann)).to_have_text(["@Bob", "@Cat"])
    await ann.page.evaluate(ANSWERED)
    await ann.page.keyboard.type("c")
    await ann.page.keyboard.press("Shift+Tab")
    await ann.page.evaluate("answered")
    await expect(names(ann).last).to_be_focused()
    await ann.page.keyboard.press("Enter")
    await expect(ann.field).to_have_value("@Cat ")
