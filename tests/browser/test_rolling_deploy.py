"""Two nodes behind nginx are replaced one after the other while two people talk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from deployments import several
from nginx import Nginx
from playwright.async_api import Browser
from serving import Server

from browser.people import REFUSED, People, Tab

RESTART = 1012
TEXTS = 25  # of each


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    with several(tmp_path, 2, CHAT_TRUSTED_PROXIES="127.0.0.1") as nodes:
        yield nodes


@pytest.fixture
def nginx(tmp_path: Path, nodes: list[Server]) -> Iterator[Nginx]:
    (tmp_path / "nginx").mkdir()
    with Nginx(tmp_path / "nginx", [node.port for node in nodes]) as nginx:
        yield nginx


@pytest_asyncio.fixture(loop_scope="session")
async def people(chromium: Browser, nginx: Nginx) -> AsyncIterator[People]:
    group = People(chromium, [nginx.url])
    yield group
    await group.go_home()


async def test_pages_stay_as_they_are_and_miss_nothing_while_both_nodes_are_replaced(
    people: People, nodes: list[Server]
) -> None:
    ann, bob = await people.two()
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)
        await tab.told_of("Bob")
        await tab.page.evaluate("() => { window.sameDocument = true }")
    await ann.have_told()
    notices = await ann.notices()
    talking = [asyncio.create_task(_talk(tab, name)) for tab, name in ((ann, "a"), (bob, "b"))]
    for node in nodes:
        await asyncio.sleep(1)
        await _replace(node)
        await asyncio.gather(ann.live(), bob.live())
    await asyncio.gather(*talking)
    for tab in (ann, bob):
        await tab.rest()
    texts = [str(text) for text in await ann.texts()]
    for name in "ab":
        assert [text for text in texts if text[0] == name] == [f"{name}{n}" for n in range(TEXTS)], texts
    for tab in (ann, bob):
        await tab.shows(texts)
        assert await tab.page.evaluate("window.sameDocument"), "the page was loaded anew"
        assert set(await tab.page.evaluate("codes")) == {RESTART}
        assert await tab.notices() == notices, "nobody left or entered again"
        await tab.page.reload()
        await tab.shows(texts)


async def _talk(tab: Tab, name: str) -> None:
    for n in range(TEXTS):
        await tab.say(f"{name}{n}")
        await asyncio.sleep(0.3)


async def _replace(node: Server) -> None:
    """End a node in good order, and start another in its place."""
    node.terminate()
    assert await asyncio.to_thread(node.wait) == 0
    await asyncio.to_thread(node.start)
