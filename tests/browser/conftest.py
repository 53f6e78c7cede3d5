"""One Chromium for all browser tests; both deployments for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from deployments import BOTH, deployed
from playwright.async_api import Browser, async_playwright, expect
from serving import Server

from browser.drivers import ENGINES, Engine
from browser.drivers.chromium import PROGRAM, SHELL, Chromium, ChromiumWindow, launch
from browser.failures import keep_pictures, pytest_runtest_makereport
from browser.people import TIMEOUT, People
from browser.visitors import Visitors

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"

__all__ = ["pytest_runtest_makereport"]  # a hook that pytest finds here

expect.set_options(timeout=TIMEOUT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All browser tests share an event loop, because they share the browser."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """What it is without windows is enough for most tests; nothing of it is kept when a page is left."""
    async with _launched(SHELL) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_chromium() -> AsyncIterator[Browser]:
    """With a back/forward cache: for whatever goes back."""
    async with _launched(PROGRAM) as browser:
        yield browser


@asynccontextmanager
async def _launched(program: str | None) -> AsyncIterator[Browser]:
    Chromium.require()
    async with async_playwright() as playwright:
        browser = await launch(playwright, program)
        yield browser
        await browser.close()


@pytest.fixture(scope="module", params=BOTH)
def deployment(request: pytest.FixtureRequest) -> str:
    """Every test runs once on each, unless its `deployment` is parametrised otherwise."""
    return str(request.param)


@pytest.fixture(scope="module")
def nodes(
    request: pytest.FixtureRequest, deployment: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """A deployment with the settings of the module's SETTINGS."""
    settings = getattr(request.module, "SETTINGS", {})
    with deployed(deployment, tmp_path_factory.mktemp("server"), settings) as nodes:
        yield nodes


@pytest.fixture
def server(nodes: list[Server]) -> Server:
    """The node that the first person reaches."""
    return nodes[0]


@pytest_asyncio.fixture(loop_scope="session")
async def people(
    request: pytest.FixtureRequest, chromium: Browser, nodes: list[Server]
) -> AsyncIterator[People]:
    group = People(chromium, [node.url for node in nodes])
    yield group
    await keep_pictures(request.node, [ChromiumWindow(tab.page) for tab in group.tabs])
    await group.go_home()


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=list(ENGINES))
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    ENGINES[request.param].require()
    engine = ENGINES[request.param]()
    yield engine
    await engine.quit()


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(request: pytest.FixtureRequest, engine: Engine, server: Server) -> AsyncIterator[Visitors]:
    visitors = Visitors(engine, server.url)
    yield visitors
    await keep_pictures(request.node, [visitor.window for visitor in visitors.present])
    await visitors.go_home()
