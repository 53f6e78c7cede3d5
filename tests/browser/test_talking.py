"""Two people talk."""

from __future__ import annotations

import asyncio
import random
import re

from playwright.async_api import expect
from serving import Server

from browser.people import People, paused


async def test_both_see_each_message_once_and_in_order(people: People) -> None:
    ann, bob = await people.two()
    await ann.say("Hello Bob")
    await bob.sees("Hello Bob")
    await bob.say("Hi Ann")
    await bob.say("How are you?")
    await ann.sees("How are you?")
    await ann.say("Fine")
    for tab in (ann, bob):
        await tab.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])
        assert [line.by for line in await tab.lines()] == ["Ann", "Bob", "Bob", "Ann"]
    await ann.page.reload()
    await ann.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])
    await ann.live()


async def test_getting_in_by_code_and_by_link(people: People) -> None:
    ann, bob, cat = [await people.newcomer() for _ in range(3)]
    await ann.page.goto(ann.url)
    await ann.page.get_by_label("Your name").fill("Ann")
    await ann.page.get_by_role("button", name="Create a Room").click()
    await ann.in_room()
    await ann.live()
    await bob.page.goto(bob.url)
    await bob.page.get_by_label("Your name").fill("Bob")
    await bob.page.get_by_label("Room code").fill(await ann.page.locator("#title .code").inner_text())
    await bob.page.get_by_role("button", name="Join a Room").click()
    await bob.in_room()
    await bob.live()
    assert bob.code == ann.code
    await cat.page.goto(await ann.page.locator("header .copy").inner_text())
    await expect(cat.page.get_by_label("Your name")).to_be_focused()
    await cat.page.keyboard.type("Cat")
    await cat.page.keyboard.press("Enter")
    await cat.in_room()
    await expect(ann.page.locator("#roster li bdi")).to_have_text(["Ann", "Bob", "Cat"])
    await expect(ann.page.locator(".notice").last).to_contain_text(
        "Ann, Bob and Cat are here for the first time"
    )


async def test_own_messages_look_different_to_their_author_only(people: People) -> None:
    ann, bob = await people.two()
    await ann.say("Mine")
    await bob.say("Yours")
    await ann.sees("Yours")
    await bob.sees("Yours")
    mine, yours = ".m:has-text('Mine')", ".m:has-text('Yours')"
    for tab, own, other in ((ann, mine, yours), (bob, yours, mine)):
        assert await tab.style(f"{own} .b", "backgroundColor") != await tab.style(
            f"{other} .b", "backgroundColor"
        )
        assert await tab.style(own, "justifyItems") == "end"
        assert await tab.style(other, "justifyItems") == "start"
    html = [await tab.page.locator(mine).evaluate("li => li.outerHTML") for tab in (ann, bob)]
    assert html[0] == html[1], "everybody gets the same bytes"


async def test_the_senders_control_goes_when_the_text_is_stored(people: People) -> None:
    ann, bob = await people.two()
    await ann.type("one\n")
    await bob.sees("one")
    await ann.rest()
    await expect(ann.page.locator("#life")).to_have_attribute("value", re.compile(r"[\w-]\.1$"))


async def test_a_fast_writer_loses_nothing_and_ends_with_one_empty_control(people: People) -> None:
    ann, bob = await people.two()
    texts = [f"w{n}" for n in range(12)]
    await ann.field.focus()
    for text in texts:
        await ann.type(f"{text}\n")
    await bob.shows(texts)
    await ann.shows(texts)
    await ann.rest()


async def test_two_sends_within_one_round_trip_are_two_messages(people: People, server: Server) -> None:
    ann, bob = await people.two()
    for n in range(3):
        with paused(server):  # a very long round trip
            await ann.type(f"first{n}\nsecond{n}\n")
            await expect(ann.page.locator("#texts > *")).to_have_count(3)
        await ann.rest()
    texts = [f"{which}{n}" for n in range(3) for which in ("first", "second")]
    await bob.shows(texts)
    await ann.shows(texts)
    await ann.rest()


async def test_thirty_sends_with_random_pauses_arrive_once_each(people: People) -> None:
    ann, bob = await people.two()
    chance = random.Random(7)
    texts = [f"t{n}" for n in range(30)]
    await ann.field.focus()
    for text in texts:
        await ann.say(text)
        await asyncio.sleep(chance.choice([0, 0.05, 0.15, 0.3]))
    await bob.shows(texts, timeout=25_000)
    await ann.shows(texts)
    await ann.rest()


async def test_both_at_once_agree_on_the_order(people: People) -> None:
    ann, bob = await people.two()

    async def write(name: str) -> None:
        tab = ann if name == "a" else bob
        for n in range(8):
            await tab.say(f"{name}{n}")
            await asyncio.sleep(random.uniform(0, 0.1))

    await asyncio.gather(write("a"), write("b"))
    for tab in (ann, bob):
        await expect(tab.page.locator("#messages .text")).to_have_count(16)
        await tab.rest()
    order = await ann.texts()
    assert order == await bob.texts()
    for name in "ab":
        assert [text for text in order if text and text[0] == name] == [f"{name}{n}" for n in range(8)]


async def test_a_seat_taken_in_one_tab_of_the_home_page_does_not_disturb_another_room(people: People) -> None:
    ann, bob = await people.two()
    other = await people.another_tab(ann)
    await other.open_room("Annette")
    await ann.say("still here")
    await bob.sees("still here")
    assert (await bob.lines())[-1].by == "Ann"
