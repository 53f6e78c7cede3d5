"""Who is typing, as people see it: over the field, and nothing moves for it."""

from __future__ import annotations

import asyncio

from playwright.async_api import Locator, expect
from serving import Server

from browser.people import REFUSED, People, Tab

PLACES = """() => [...document.querySelectorAll("#messages li, #composer")].map(e => {
  const {x, y, width, height} = e.getBoundingClientRect(); return [x, y, width, height].join() }).join(" ")"""
FRAMES = """() => {
  const send = WebSocket.prototype.send; window.sent = [];
  WebSocket.prototype.send = function (text) { sent.push(text); return send.call(this, text) };
}"""


def line(tab: Tab) -> Locator:
    return tab.page.locator("#typing")


async def test_others_see_it_while_one_types_and_nothing_moves(people: People) -> None:
    ann, bob = await people.two()
    await bob.both_entered()
    await bob.say("hello")
    await ann.sees("hello")
    await bob.rest()
    before = await bob.page.evaluate(PLACES)
    await ann.type("now I am typing")
    await expect(line(bob)).to_have_text("Ann is typing…")
    assert await bob.page.evaluate(PLACES) == before
    await expect(line(ann)).to_have_text("")
    await ann.page.keyboard.press("Enter")
    await bob.sees("now I am typing")
    await expect(line(bob)).to_have_text("")
    await bob.page.wait_for_timeout(2500)  # when htmx's throttle sends the last event
    await expect(line(bob)).to_have_text("")


async def test_a_box_that_was_emptied_is_not_typed_in(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("x")
    await expect(line(bob)).to_have_text("Ann is typing…")
    await expect(line(bob)).to_have_text("", timeout=8000)
    await ann.page.keyboard.press("Backspace")
    await ann.say("hello")
    await bob.sees("hello")
    await expect(line(bob)).to_have_text("")


async def test_the_line_is_no_live_region_and_reads_by_itself(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("x")
    await expect(line(bob)).to_have_text("Ann is typing…")
    assert await line(bob).evaluate("e => e.closest('[role=log], [role=status], [aria-live]')") is None


async def test_nothing_of_it_waits_while_the_server_is_away(people: People, server: Server) -> None:
    """The texts that wait would come after it, and there is room for few."""
    ann, bob = await people.two()
    await bob.type("x")
    await expect(line(ann)).to_have_text("Bob is typing…")
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)
    await asyncio.to_thread(server.kill)
    await expect(ann.page.locator("#status b")).to_be_visible()
    await expect(line(ann)).to_have_text("")
    await ann.page.evaluate(FRAMES)
    await ann.type("typed while it is away")
    await asyncio.to_thread(server.start)
    await ann.live()
    assert not await ann.page.evaluate("sent.filter(text => text.includes('typing'))")
