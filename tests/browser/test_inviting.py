"""The sheet by which people are invited: with and without a script, on a phone and on a desk."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People
from browser.visitors import Visitors
from chat.model.codes import grouped

pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}
LOADED = "e => e.complete && e.naturalWidth > 0"
INSIDE = """e => { const box = e.getBoundingClientRect();
  return box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight }"""


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 256)])
@pytest.mark.parametrize("javascript", [True, False])
async def test_it_has_the_link_the_code_and_its_picture(
    people: People, javascript: bool, width: int, height: int
) -> None:
    ann = await people.newcomer(javascript=javascript, width=width, height=height)
    code = await ann.open_room("Ann")
    sheet, invite = ann.page.locator("#invitation"), ann.page.locator("#invite")
    await expect(sheet).to_be_hidden()
    if width < 640:
        await ann.open_menu()
        invite = ann.page.get_by_role("button", name="Invite people")
    await invite.focus()
    await ann.page.keyboard.press("Enter")
    await expect(sheet).to_be_visible()
    assert await sheet.evaluate(INSIDE)
    link = f"{ann.url}/rooms/{code}"
    await expect(sheet.locator(".code")).to_have_text(grouped(code))
    await expect(sheet.get_by_role("link", name=link)).to_have_attribute("href", link)
    for name in ("E-mail", "WhatsApp", "SMS"):
        way = await sheet.get_by_role("link", name=name).get_attribute("href")
        assert way
        assert unquote(way).endswith(f"={link}")
    picture = sheet.get_by_role("img", name="QR code of the link")
    await picture.scroll_into_view_if_needed()
    await expect(picture).to_have_js_property("complete", True)
    assert await picture.evaluate(LOADED)
    await ann.page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(invite).to_be_focused()


async def test_it_opens_and_closes_in_every_browser(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    seen = "getComputedStyle(document.querySelector('#invitation')).display !== 'none'"
    await ann.window.click("[popovertarget=menu]")
    await ann.window.click("#menu [popovertarget=invitation]")
    await ann.window.wait_for(seen)
    await ann.window.wait_for("document.querySelector('.qr').naturalWidth > 0")
    below = "getComputedStyle(document.querySelector('#menu')).opacity"
    assert await ann.window.evaluate(below) == "0"
    await bob.say("meanwhile")
    await ann.sees("meanwhile")
    assert await ann.window.evaluate(seen)
    await ann.window.click("#invitation button")
    await ann.window.wait_for(f"!({seen})")
    await ann.say("closed")
    await bob.sees("closed")
