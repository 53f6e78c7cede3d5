"""The server ends, in good order or not, or falls silent, while two people are in the room.

Of two nodes it is Bob's that ends, while Ann's goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import deployed
from playwright.async_api import expect
from serving import Server

from browser.people import REFUSED, People, Tab, paused


@pytest.fixture
def nodes(deployment: str, tmp_path: Path) -> Iterator[list[Server]]:
    """A deployment of this test's own, to be killed."""
    with deployed(deployment, tmp_path, {}) as nodes:
        yield nodes


@pytest.fixture
def struck(nodes: list[Server]) -> Server:
    """The node that Bob reaches."""
    return nodes[-1]


def cut_off(struck: Server, *tabs: Tab) -> list[Tab]:
    """Those whose node it is."""
    return [tab for tab in tabs if tab.url == struck.url]


async def restart(server: Server) -> None:
    await asyncio.to_thread(server.start)


async def stop(server: Server, signal: str) -> None:
    if signal == "SIGTERM":
        server.terminate()
        assert await asyncio.to_thread(server.wait) == 0
    else:
        await asyncio.to_thread(server.kill)


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
async def test_open_pages_survive_a_restart_and_miss_nothing(
    people: People, struck: Server, signal: str
) -> None:
    ann, bob = await people.two()
    losers = cut_off(struck, ann, bob)
    for tab in losers:
        tab.expect_noise(REFUSED)
    for tab in (ann, bob):
        await tab.page.evaluate("() => { window.sameDocument = true }")
    await ann.both_entered()
    await ann.have_told()
    notices = await ann.notices()
    await ann.say("before")
    await bob.shows(["before"])
    await ann.type("half a th")

    await stop(struck, signal)
    for tab in losers:
        await expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    await bob.type("while it was down\nand more\n")
    if ann not in losers:
        await cat_writes(people, ann, "first of all")
        await ann.shows(["before", "first of all"])

    await restart(struck)
    if ann in losers:
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
        assert codes[:1] == ([1012 if signal == "SIGTERM" else 1006] if tab in losers else [])
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
    people: People, struck: Server
) -> None:
    ann, bob = await people.two()
    for tab in cut_off(struck, ann, bob):
        tab.expect_noise(REFUSED)
    await bob.say("stored")
    await ann.shows(["stored"])
    await bob.rest()
    with paused(struck):
        await bob.type("in flight\n")
        await ann.type("mine too\n")
        await asyncio.to_thread(struck.kill)
    await expect(bob.page.get_by_text("Reconnecting…")).to_be_visible()
    await restart(struck)
    texts = await settled(bob, 3)
    assert sorted(map(str, texts)) == ["in flight", "mine too", "stored"]
    for tab in (ann, bob):
        await tab.rest()
        await tab.shows([str(text) for text in texts])


async def test_killed_at_any_moment_of_a_conversation_nothing_is_lost_or_doubled(
    people: People, struck: Server
) -> None:
    ann, bob = await people.two()
    for tab in cut_off(struck, ann, bob):
        tab.expect_noise(REFUSED)

    async def write(tab: Tab, name: str) -> None:
        for n in range(10):
            await tab.say(f"{name}{n}")
            await asyncio.sleep(0.15)

    writing = asyncio.gather(write(ann, "a"), write(bob, "b"))
    await asyncio.sleep(0.7)
    await asyncio.to_thread(struck.kill)
    await restart(struck)
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
    warning = ann.page.get_by_text("The server is not answering")
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
