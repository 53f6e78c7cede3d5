"""The same HTML begins to live again: Back, restored sessions, discarded and duplicated tabs, and kills."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import ONE, deployed
from playwright.async_api import Browser, Route, expect
from serving import Server

from browser.people import REFUSED, People, Tab, paused

# The key is the page's and the server's; how many nodes there are makes no difference.
pytestmark = pytest.mark.parametrize("deployment", [ONE])


@pytest.fixture
def chromium(whole_chromium: Browser) -> Browser:
    """What keeps a page that is left and shows it again."""
    return whole_chromium


@pytest.fixture
def nodes(deployment: str, tmp_path: Path) -> Iterator[list[Server]]:
    """A deployment of this test's own, to be killed."""
    with deployed(deployment, tmp_path, {}) as nodes:
        yield nodes


async def live_in_room(people: People) -> Tab:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    return await ann.live()


async def go_away_and_back(tab: Tab) -> None:
    """Not out of the back/forward cache, which keeps the page's life: only its HTML comes back."""
    await tab.page.evaluate("() => addEventListener('unload', () => {})")
    await tab.page.get_by_role("link", name="My rooms", exact=True).click()
    await expect(tab.page.get_by_label("Room code")).to_be_visible()
    await tab.page.go_back(wait_until="commit")
    await tab.live()
    assert await tab.page.evaluate("shows") == [False]


async def test_the_same_text_after_back_is_another_message(people: People) -> None:
    ann = await live_in_room(people)
    await ann.say("ok")
    await ann.shows(["ok"])
    for n in (2, 3):
        await go_away_and_back(ann)
        await ann.say("ok")
        await ann.shows(["ok"] * n)
        await ann.rest()


async def test_the_same_text_in_every_tab_of_the_same_html_is_another_message(people: People) -> None:
    """A duplicated, discarded or restored tab begins with the HTML that the first one had."""
    ann = await live_in_room(people)
    html = await (await ann.page.context.request.get(ann.page.url)).text()

    async def out_of_the_cache(route: Route) -> None:
        await route.fulfill(body=html, content_type="text/html; charset=utf-8")

    # Chromium takes what the test hands it for a page from elsewhere.
    await ann.page.context.grant_permissions(["local-network-access"])
    tabs = [ann, *[await people.another_tab(ann) for _ in range(2)]]
    for n, tab in enumerate(tabs, 1):
        await tab.page.route(ann.page.url, out_of_the_cache)
        await tab.page.goto(ann.page.url)
        await tab.live()
        await tab.say("ok")
        await tab.shows(["ok"] * n)
    for n, tab in enumerate(tabs, len(tabs) + 1):  # and each life goes on
        await tab.say("ok")
        await tab.shows(["ok"] * n)
        await tab.rest()


async def test_a_text_written_before_the_first_answer_is_sent_once(people: People, server: Server) -> None:
    ann = await live_in_room(people)
    with paused(server):
        await ann.say("on the old page")
    await ann.rest()
    html = await (await ann.page.context.request.get(ann.page.url)).text()
    await ann.page.context.grant_permissions(["local-network-access"])
    second = await people.another_tab(ann)
    await second.page.route(ann.page.url, lambda route: route.fulfill(body=html, content_type="text/html"))
    await second.page.goto(ann.page.url, wait_until="domcontentloaded")
    await expect(second.field).to_be_focused()
    with paused(server):
        await second.type("early\nand earlier\n")
    await second.shows(["on the old page", "early", "and earlier"])
    await ann.shows(["on the old page", "early", "and earlier"])
    await second.rest()


async def test_killed_in_the_middle_the_page_out_of_the_cache_sends_its_texts_once(
    people: People, server: Server
) -> None:
    ann = await live_in_room(people)
    ann.expect_noise(REFUSED)
    await ann.say("ok")
    await ann.shows(["ok"])
    await go_away_and_back(ann)
    for n in range(3):
        server.pause()
        await ann.type(f"ok\nlast {n}\n")
        await asyncio.to_thread(server.kill)
        await expect(ann.page.get_by_text("Reconnecting…")).to_be_visible()
        await asyncio.to_thread(server.start)
        expected = ["ok", *[text for m in range(n + 1) for text in ("ok", f"last {m}")]]
        await ann.shows(expected)
        await ann.rest()


async def test_the_same_text_after_back_is_another_message_without_javascript(people: People) -> None:
    cat = await people.newcomer(javascript=False)
    await cat.open_room("Cat")
    frame = cat.page.frame_locator("iframe")
    for n in range(1, 4):
        await cat.field.fill("ok")
        await cat.page.get_by_role("button", name="Send").click()
        await expect(frame.locator(".text")).to_have_text(["ok"] * n)
        if n % 2:
            await cat.page.go_back(wait_until="commit")
    await expect(frame.locator(".text")).to_have_text(["ok"] * 3)
