"""Reading: pinned to the newest, still where older messages are read, and older ones without a jump."""

from __future__ import annotations

import asyncio
import json

import pytest
from deployments import ONE
from playwright.async_api import Route, expect

from browser.people import People, Tab
from browser.reading import SCROLL
from browser.visitors import Visitors

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
ABOVE_THE_FIELD = """e => e.getBoundingClientRect().bottom
  <= document.querySelector("#base").getBoundingClientRect().top + 1"""
TOP = "e => e.getBoundingClientRect().top"
# The message in the middle of what can be seen.
UNDER_THE_EYE = """() => { const r = document.querySelector("#scroll").getBoundingClientRect();
  return [...document.querySelectorAll("#messages li")]
    .find(li => li.getBoundingClientRect().bottom > r.top + r.height / 2).id }"""
TO_THE_TOP = """() => { document.querySelector("#scroll").scrollTop = -1e6;
  const li = document.querySelector("#earlier>li");
  return [li.id, li.getBoundingClientRect().top, document.querySelectorAll("#messages li").length] }"""
MORE = """count => document.querySelectorAll("#messages li").length > count
  || document.querySelector("#older.start")"""


async def at_newest(tab: Tab, text: str) -> None:
    """Wait until a message is the lowest thing to be seen."""
    await tab.sees(text)
    await expect(tab.message(text).last).to_be_in_viewport(ratio=0.9)
    assert await tab.page.evaluate(f"() => {SCROLL}.scrollTop") == 0
    assert await tab.message(text).last.evaluate(ABOVE_THE_FIELD)


async def two_with_history(people: People, count: int) -> tuple[Tab, Tab]:
    ann, bob = await people.two()
    await ann.both_entered()
    await ann.write_history(count)
    await bob.sees(f"number {count - 1}")  # what Bob has not read yet is where his page would open
    await bob.page.reload()
    await bob.live()
    return ann, bob


async def test_starts_at_the_newest_and_stays_there(people: People) -> None:
    ann, bob = await two_with_history(people, 60)
    await at_newest(bob, "number 59")
    await at_newest(ann, "number 59")
    await ann.write_history(40, "more {}")
    await at_newest(bob, "more 39")
    await bob.page.set_viewport_size({"width": 600, "height": 420})
    await at_newest(bob, "more 39")


async def test_nothing_moves_for_a_reader_who_scrolled_up(people: People) -> None:
    ann, bob = await two_with_history(people, 50)
    await bob.page.mouse.move(400, 400)
    await bob.page.mouse.wheel(0, -600)
    await bob.page.wait_for_function(f"() => {SCROLL}.scrollTop < -500")
    await asyncio.sleep(0.3)  # the wheel scrolls smoothly
    eye = bob.page.locator(f"#{await bob.page.evaluate(UNDER_THE_EYE)}")
    before = await eye.evaluate(TOP)
    for n in range(30):
        await ann.write_history(1, f"storm {n}")
    await bob.sees("storm 29")
    assert abs(await eye.evaluate(TOP) - before) < 1
    await expect(bob.message("storm 29")).not_to_be_in_viewport()


@pytest.mark.parametrize("deployment", [ONE], scope="module")
@pytest.mark.parametrize("send", ["by Enter", "by the button"])
async def test_who_sends_sees_the_newest(visitors: Visitors, send: str) -> None:
    ann = await visitors.newcomer()
    await ann.open_room("Ann")
    for n in range(30):
        await ann.say(f"number {n}")
    await ann.window.evaluate(f"({SCROLL}.scrollTop = -1e6, 0)")
    if send == "by Enter":
        await ann.say("mine")
    else:
        await ann.window.click("#switch")
        await ann.window.wait_for("document.querySelector('#texts > textarea:last-child') !== null")
        await ann.type("mine")
        await ann.window.click("#composer .send")
    await ann.sees("mine")
    await ann.window.wait_for(f"Math.abs({SCROLL}.scrollTop) < 1")


async def test_older_messages_come_by_scrolling_also_after_they_could_not_be_fetched(people: People) -> None:
    _, bob = await two_with_history(people, 120)
    bob.expected.append("Failed to load resource|htmx:error|Failed to fetch")
    failed = asyncio.Event()

    async def fail(route: Route) -> None:
        await route.abort()
        failed.set()

    await bob.page.route("**/earlier?*", fail)
    _, _, count = await bob.page.evaluate(TO_THE_TOP)
    await asyncio.wait_for(failed.wait(), 10)
    await bob.page.unroute("**/earlier?*")
    await bob.page.evaluate(f"() => {{ {SCROLL}.scrollTop = 0 }}")
    await expect(bob.page.locator("#older")).not_to_be_in_viewport()
    await bob.page.evaluate(TO_THE_TOP)
    await bob.page.wait_for_function(MORE, arg=count)


async def test_older_messages_come_by_scrolling_to_the_very_top_without_a_jump(people: People) -> None:
    _, bob = await two_with_history(people, 170)
    await expect(bob.page.locator("#messages .m")).to_have_count(50)
    await bob.page.mouse.move(400, 400)
    start = bob.page.get_by_text("This is where")
    for _ in range(8):
        if await start.count():
            break
        # Jump to the top and note, at once, where a message stands; then wait for older ones.
        first, before, count = await bob.page.evaluate(TO_THE_TOP)
        await bob.page.wait_for_function(MORE, arg=count)
        await asyncio.sleep(0.1)
        after = await bob.page.locator(f"#{first}").evaluate(TOP)
        assert abs(after - before) < 1, f"jumped by {after - before} px"
    await expect(start).to_be_attached()
    await bob.shows([f"number {n}" for n in range(170)])


async def test_without_javascript_older_messages_come_by_an_ordinary_link(people: People) -> None:
    ann, _ = await two_with_history(people, 120)
    cat = await people.newcomer(javascript=False)
    await cat.join_room(ann.code, "Cat")
    await expect(cat.page.frame_locator("iframe").get_by_text("number 119")).to_be_visible()
    await cat.page.mouse.move(400, 400)
    await cat.page.mouse.wheel(0, -100_000)
    link = cat.page.frame_locator("iframe").get_by_role("link", name="Earlier messages")
    await expect(link).to_be_in_viewport()
    seen: list[str | None] = []
    while await link.count():
        await link.click()
        await cat.page.wait_for_url("**/rooms/*before=*", wait_until="domcontentloaded")
        await expect(cat.page.locator("#earlier")).to_be_visible()
        await expect(cat.page.locator("iframe")).to_have_count(0)
        page = await cat.texts()
        assert page != seen[: len(page)], "the link leads nowhere"
        seen = [*page, *seen]
        link = cat.page.get_by_role("link", name="Earlier messages")
    await expect(cat.page.get_by_text("This is where")).to_be_visible()
    assert seen[:60] == [f"number {n}" for n in range(60)]
    await cat.page.get_by_role("link", name="Back to the newest messages").click()
    await expect(cat.page.frame_locator("iframe").get_by_text("number 119")).to_be_visible()


APPEND = """count => { const live = document.querySelector("#live");
  for (let n = 0; n < count; n++) {
    live.insertAdjacentHTML("beforeend", `<li class="m on"><p class="by">A</p><p class="text">${n}</p></li>`);
    getComputedStyle(live.lastChild).color;
  } }"""


async def restyled(people: People, tab: Tab, count: int) -> int:
    """How many elements Chromium styles, some of them again, while messages come one by one."""
    await people.browser.start_tracing(page=tab.page, categories=["devtools.timeline"])
    await tab.page.evaluate(APPEND, count)
    events = json.loads(await people.browser.stop_tracing())["traceEvents"]
    seen = [event["args"] for event in events if event["name"] == "UpdateLayoutTree"]
    return sum(args.get("elementCount", 0) for args in seen)


# A matter of the style sheet alone.
@pytest.mark.parametrize("deployment", [ONE], scope="module")
async def test_a_new_message_costs_the_same_however_many_there_are(people: People) -> None:
    """A rule such as li:has(+ x) in chat.css made the browser ask every message again: forty times slower."""
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.told_of("Ann")
    first, _, *last = [await restyled(people, ann, 100) for _ in range(4)]
    assert 300 <= min(last) < 2 * first, "three elements of each message, and few that move meanwhile"
