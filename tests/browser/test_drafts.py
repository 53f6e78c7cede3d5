"""What somebody has begun to write is there on every device, and when they come back."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect
from serving import Server

from browser.people import REFUSED, People, Tab

SETTINGS = {"CHAT_RATE_LIMIT": "off"}


async def kept(tab: Tab, text: str) -> None:
    """Wait until a page that is opened now begins with this text."""
    url = f"{tab.url}/rooms/{tab.code}"
    async with asyncio.timeout(15):
        while f'name="body" value="{text}"' not in await (await tab.page.context.request.get(url)).text():
            await asyncio.sleep(0.1)


async def comes_back(tab: Tab, text: str) -> None:
    """The room is opened anew, and the field has this."""
    await tab.page.goto(f"{tab.url}/rooms/{tab.code}")
    await tab.live()
    await expect(tab.field).to_have_value(text)


async def test_a_text_is_there_after_a_reload_and_goes_on_at_its_end(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("hello")
    await ann.page.reload()
    await ann.live()
    await expect(ann.field).to_have_value("hello")
    await expect(ann.field).to_be_focused()
    await ann.page.keyboard.type(" there")
    await expect(ann.field).to_have_value("hello there")
    await ann.page.keyboard.press("Enter")
    await bob.sees("hello there")
    await ann.rest()
    await comes_back(ann, "")


async def test_several_lines_come_back_as_several_lines(people: People) -> None:
    ann, bob = await people.two()
    await ann.page.locator("#switch").click()
    await expect(ann.page.locator("#texts textarea")).to_be_focused()
    await ann.page.keyboard.type("one")
    await ann.page.keyboard.press("Enter")
    await ann.page.keyboard.type("two")
    await comes_back(ann, "one\ntwo")
    await ann.page.keyboard.type(", three")
    await expect(ann.field).to_have_value("one\ntwo, three")
    await ann.page.locator(".send").click()
    await bob.sees("two, three")
    await comes_back(ann, "")


async def test_it_is_there_on_another_device_and_gone_once_it_is_sent(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("from the phone")
    await kept(ann, "from the phone")
    desk = await people.another_tab(ann, people.urls[-1])
    await desk.page.goto(f"{desk.url}/rooms/{ann.code}")
    await desk.live()
    await expect(desk.field).to_have_value("from the phone")
    await desk.page.keyboard.type(", sent from the desk")
    await desk.page.keyboard.press("Enter")
    await bob.sees("from the phone, sent from the desk")
    await kept(ann, "")
    await comes_back(ann, "")


async def test_of_two_devices_none_overwrites_the_other(people: People) -> None:
    ann, _ = await people.two()
    desk = await people.another_tab(ann)
    await desk.page.goto(f"{desk.url}/rooms/{ann.code}")
    await desk.live()
    await ann.type("from the phone")
    await kept(ann, "from the phone")
    await desk.field.focus()
    await desk.page.keyboard.type("from the desk")
    await kept(ann, "from the desk")
    await comes_back(desk, "from the desk")
    other = desk.page.locator(".drafts > div", has_text="from the phone")
    await expect(other).to_be_visible()
    await other.get_by_role("button", name="Use this one").click()
    await expect(desk.field).to_have_value("from the phone")
    other = desk.page.locator(".drafts > div", has_text="from the desk")
    await other.get_by_role("button", name="Throw away").click()
    await expect(desk.page.get_by_role("button", name="Throw away")).to_have_count(0)
    await expect(desk.field).to_have_value("from the phone")


async def test_back_leads_to_what_was_begun(people: People) -> None:
    ann, _ = await people.two()
    await ann.type("hello")
    await ann.page.goto(f"{ann.url}/settings")
    await ann.page.go_back()
    await ann.live()
    await expect(ann.field).to_have_value("hello")
    await ann.field.press("Enter")
    await ann.sees("hello")
    await ann.rest()
    await ann.page.goto(f"{ann.url}/settings")
    await ann.page.go_back()
    await ann.live()
    await expect(ann.field).to_have_value("")


async def test_what_was_typed_while_the_server_was_killed_is_there_later(
    people: People, server: Server
) -> None:
    ann, _ = await people.two()
    await ann.type("before, ")
    for tab in people.tabs:
        tab.expect_noise(REFUSED)
    await asyncio.to_thread(server.kill)
    await expect(ann.page.locator("#status b")).to_be_visible()
    await ann.type("and meanwhile")
    await asyncio.to_thread(server.start)
    await expect(ann.page.locator("#status b")).to_have_count(0)
    await kept(ann, "before, and meanwhile")
    await comes_back(ann, "before, and meanwhile")


async def test_an_edit_and_a_reply_have_drafts_of_their_own(people: People) -> None:
    ann, bob = await people.two()
    await ann.say("a mesage")
    await bob.sees("a mesage")
    await ann.type("something new")
    await ann.page.locator("[accesskey=l]").evaluate("link => (link.focus(), link.click())")
    editing = ann.page.locator("#edit textarea")
    await expect(editing).to_be_focused()
    await ann.page.keyboard.type(", corrected")
    await comes_back(ann, "something new")
    await ann.page.locator("[accesskey=l]").evaluate("link => (link.focus(), link.click())")
    await expect(editing).to_have_value("a mesage, corrected")
    await ann.page.locator("#edit").get_by_role("button", name="Save").click()
    await bob.sees("a mesage, corrected")
    await expect(ann.field).to_have_value("something new")


async def test_nobody_is_told_and_the_field_is_not_touched(people: People) -> None:
    ann, bob = await people.two()
    await ann.page.evaluate("() => { window.field = document.querySelector('#texts > :last-child') }")
    await ann.type("hello there, this takes a while to type")
    await kept(ann, "hello there, this takes a while to type")
    assert await ann.page.evaluate("field === document.querySelector('#texts > :last-child')")
    assert "hello there" not in await bob.page.content()
