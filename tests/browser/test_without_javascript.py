"""The same room with JavaScript off: live through a page that never ends, posting by plain form."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from browser.people import People


async def test_join_read_live_write_and_leave(people: People) -> None:
    ann, cat = await people.newcomer(), await people.newcomer(javascript=False)
    code = await ann.open_room("Ann")
    await ann.live()
    await ann.say("before you came")
    await cat.page.goto(cat.url)
    await cat.page.get_by_label("Your name").fill("Cat")
    await cat.page.get_by_label("Room code").fill(f" {code[:4].lower()} - {code[4:].lower()} ")
    await cat.page.get_by_role("button", name="Join a Room").click()
    await cat.in_room()
    frame = cat.page.frame_locator("iframe")
    await expect(frame.get_by_text("before you came")).to_be_visible()
    await expect(cat.page.locator("#earlier")).to_be_hidden()
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann", "Cat"])
    await expect(cat.page.locator("#roster li bdi")).to_have_text(["Ann", "Cat"])

    for n in range(3):
        await ann.say(f"live {n}")
        await expect(frame.get_by_text(f"live {n}")).to_be_visible()
    for n in range(30):  # the newest stays in view
        await ann.say(f"storm {n}")
    await expect(frame.get_by_text("storm 29")).to_be_in_viewport(timeout=25_000)

    await cat.page.get_by_label("Message", exact=True).fill("by plain form")
    await cat.page.get_by_role("button", name="Send").click()
    await ann.sees("by plain form")
    await expect(frame.get_by_text("by plain form")).to_be_visible()
    await expect(frame.get_by_text("by plain form")).to_have_count(1)

    await cat.leave()
    await expect(cat.page.get_by_label("Room code")).to_be_visible()
    await ann.told_of("Cat left for good")
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann"])


async def test_refused_text_comes_back_and_many_lines_keep_the_draft(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    await cat.open_room("Cat")
    await cat.field.fill("a draft")
    await cat.page.get_by_role("button", name="Write several lines").click()
    await expect(cat.page.locator("#texts > textarea")).to_have_value("a draft")
    await cat.field.fill("x" * 9000)
    with cat.noise_expected("422"):
        await cat.page.get_by_role("button", name="Send").click()
        await expect(cat.page.get_by_role("alert")).to_contain_text("too long")
    await expect(cat.field).to_have_value("x" * 9000)


async def test_somebody_is_chosen_below_the_field_and_enter_sends(people: People) -> None:
    ann, cat = await people.newcomer(), await people.newcomer(javascript=False)
    await cat.join_room(await ann.open_room("Ann"), "Cat")
    await ann.live()
    await cat.field.fill("Tea")
    await cat.page.get_by_role("button", name="Mention somebody").click()
    await expect(cat.field).to_have_value("Tea")
    await cat.page.get_by_role("button", name="@Ann").click()
    await expect(cat.field).to_have_value("Tea @Ann ")
    await cat.page.get_by_role("button", name="Mention somebody").click()
    await expect(cat.page.get_by_role("button", name="@Ann")).to_be_visible()
    await cat.field.press("Enter")
    await ann.sees("Tea @Ann")
    await expect(ann.page.locator(".at")).to_have_text("@Ann")


async def test_the_live_frame_says_how_to_go_on_if_it_was_cut(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    await cat.open_room("Cat")
    frame = cat.page.frame_locator("iframe")
    await frame.get_by_role("link", name="Reload the messages").click()
    await expect(frame.get_by_text("Cat is here for the first time")).to_be_visible()
    await expect(cat.page.locator("#composer")).to_be_visible()


@pytest.mark.parametrize(
    ("button", "field"),
    [("Edit", "Change the message"), ("Reply", "Your reply"), ("Another emoji", "Another emoji")],
)
async def test_the_palette_leads_to_the_field_of_what_was_chosen(
    people: People, button: str, field: str
) -> None:
    cat = await people.newcomer(javascript=False, height=500)
    code = await cat.open_room("Cat")
    for text in ("one", "two", "three", "four", "five", "six"):
        await cat.page.request.post(f"{cat.url}/rooms/{code}/messages", form={"body": text, "key": text})
    frame = cat.page.frame_locator("iframe")
    await frame.get_by_text("two", exact=True).hover()
    await frame.locator(".m", has_text="two").locator(".by > input").click()
    await frame.get_by_role("button", name=button, exact=True).click()
    await expect(cat.page.get_by_label(field, exact=True)).to_be_focused()
    await expect(cat.page.get_by_label(field, exact=True)).to_be_in_viewport()


async def test_a_refused_edit_is_shown_with_its_reason(people: People) -> None:
    cat = await people.newcomer(javascript=False, height=500)
    code = await cat.open_room("Cat")
    for text in ("one", "two", "three", "four", "five", "six"):
        await cat.page.request.post(f"{cat.url}/rooms/{code}/messages", form={"body": text, "key": text})
    await cat.page.frame_locator("iframe").locator(".m", has_text="six").locator("time").click()
    await cat.page.get_by_label("Change the message").fill("")
    with cat.noise_expected("422"):
        await cat.page.get_by_role("button", name="Save").click()
        await expect(cat.page.get_by_role("alert")).to_be_in_viewport()
    await expect(cat.page.get_by_label("Change the message")).to_be_focused()


async def test_a_text_that_changes_is_shown_in_its_place(people: People) -> None:
    ann, cat = await people.newcomer(), await people.newcomer(javascript=False)
    code = await ann.open_room("Ann")
    await ann.live()
    await cat.join_room(code, "Cat")
    frame = cat.page.frame_locator("iframe")
    for text in ("one", "two", "three"):
        await ann.say(text)
        await expect(frame.get_by_text(text, exact=True)).to_be_visible()
    for text, act, body in (("one", "edit", "one again"), ("two", "delete", "")):
        id = await ann.page.locator("#messages li", has_text=text).get_attribute("id")
        path = f"/rooms/{code}/{(id or '').removeprefix('message-')}/{act}"
        await ann.page.context.request.post(ann.url + path, form={"body": body}, headers={"Origin": ann.url})
    await expect(frame.get_by_text("Message deleted")).to_be_visible()
    await expect(frame.locator("li:not(.notice):visible :is(.text, .gone)")).to_have_text(
        ["three", "one again", "Message deleted"]  # in the order of their arrival
    )
    heights = [
        (await frame.get_by_text(text, exact=True).bounding_box() or {"y": 0})["y"]
        for text in ("one again", "Message deleted", "three")
    ]
    assert heights == sorted(heights)
