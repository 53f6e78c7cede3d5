"""The server ends, in good order or not, or falls silent, while two people are in the room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect
from serving import Server

from browser.conftest import serve
from browser.people import REFUSED, People, Tab, paused


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to be killed."""
    with serve(tmp_path) as server:
        yield server


@asynccontextmanager
async def restarted(server: Server, folder: Path) -> AsyncIterator[None]:
    again = serve(folder, server.port)
    await asyncio.to_thread(again.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(again.kill)


async def stop(server: Server, signal: str) -> None:
    if signal == "SIGTERM":
        server.terminate()
        assert await asyncio.to_thread(server.wait) == 0
    else:
        await asyncio.to_thread(server.kill)


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
async def test_open_pages_survive_a_restart_and_miss_nothing(
    people: People, server: Server, tmp_path: Path, signal: str
) -> None:
    ann, bob = await people.two()
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)
        await tab.page.evaluate("() => { window.sameDocument = true }")
    await ann.say("before")
    await bob.shows(["before"])
    await ann.told_of("Bob")
    await bob.told_of("Bob")
    notices = await ann.notices()
    await ann.type("half a th")

    await stop(server, signal)
    for tab in (ann, bob):
        await expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    await bob.type("while it was down\nand more\n")

    async with restarted(server, tmp_path):
        await cat_writes(people, ann, "first of all")
        for tab in (ann, bob):
            await expect(tab.page.get_by_text("Reconnecting…")).not_to_be_attached()
        expected = ["before", *sorted_by_arrival(await settled(ann, 4))]
        assert sorted(expected) == ["and more", "before", "first of all", "while it was down"]
        assert expected.index("while it was down") < expected.index("and more")
        await ann.shows(expected)
        await bob.shows(expected)
        await bob.rest()
        await expect(ann.field).to_have_value("half a th")
        await expect(ann.field).to_be_focused()
        await ann.type("ought\n")
        await bob.sees("half a thought")
        for tab in (ann, bob):
            assert await tab.page.evaluate("window.sameDocument"), "the page was loaded anew"
            codes = await tab.page.evaluate("codes")
            assert codes[0] == (1012 if signal == "SIGTERM" else 1006)
            assert [n for n in await tab.notices() if "Cat" not in n] == notices, "nobody entered again"


async def cat_writes(people: People, like: Tab, text: str) -> None:
    """Somebody writes by plain form, without a socket and without being seen to enter."""
    cat = await people.newcomer(javascript=False)
    request = cat.page.context.request
    await request.post(f"{like.url}/rooms/{like.code}", form={"name": "Cat"})
    answer = await request.post(
        f"{like.url}/rooms/{like.code}/messages", form={"body": text, "key": "k"}, max_redirects=0
    )
    assert answer.status == 303


async def settled(tab: Tab, count: int) -> list[str | None]:
    await expect(tab.page.locator("#messages .text")).to_have_count(count)
    return await tab.texts()


def sorted_by_arrival(texts: list[str | None]) -> list[str]:
    return [text for text in texts[1:] if text is not None]


async def test_text_in_flight_when_the_server_is_killed_arrives_exactly_once(
    people: People, server: Server, tmp_path: Path
) -> None:
    ann, bob = await people.two()
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)
    await bob.say("stored")
    await ann.shows(["stored"])
    await bob.rest()
    with paused(server):
        await bob.type("in flight\n")
        await ann.type("mine too\n")
        await asyncio.to_thread(server.kill)
    await expect(bob.page.get_by_text("Reconnecting…")).to_be_visible()
    async with restarted(server, tmp_path):
        texts = await settled(bob, 3)
        assert sorted(map(str, texts)) == ["in flight", "mine too", "stored"]
        for tab in (ann, bob):
            await tab.rest()
            await tab.shows([str(text) for text in texts])


async def test_killed_at_any_moment_of_a_conversation_nothing_is_lost_or_doubled(
    people: People, server: Server, tmp_path: Path
) -> None:
    ann, bob = await people.two()
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)

    async def write(tab: Tab, name: str) -> None:
        for n in range(10):
            await tab.say(f"{name}{n}")
            await asyncio.sleep(0.15)

    writing = asyncio.gather(write(ann, "a"), write(bob, "b"))
    await asyncio.sleep(0.7)
    await asyncio.to_thread(server.kill)
    async with restarted(server, tmp_path):
        await writing
        texts = await settled(ann, 20)
        await bob.shows([str(text) for text in texts])
        for tab, name in ((ann, "a"), (bob, "b")):
            await tab.rest()
            assert [t for t in texts if t and t[0] == name] == [f"{name}{n}" for n in range(10)]
            await tab.page.reload()
            await tab.shows([str(text) for text in texts])


async def test_a_silent_server_is_noticed_and_forgotten_when_it_speaks_again(
    people: People, server: Server
) -> None:
    ann, bob = await people.two()
    warning = ann.page.get_by_text("No contact with the server")
    await expect(warning).to_be_hidden()
    with paused(server):
        assert await ann.page.locator("#beat p").evaluate(
            "p => p.getAnimations().map(a => a.effect.getTiming().delay)"
        ) == [35_000], "two heartbeats may be late"
        await ann.finish_animations()
        await expect(warning).to_be_visible()
        await ann.type("kept\n")
    await expect(warning).to_be_hidden(timeout=25_000)  # a heartbeat comes every 15 s
    await bob.shows(["kept"])
