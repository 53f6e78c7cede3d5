"""One Chromium for all browser tests; a server for each module."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect
from serving import Server

from browser.people import TIMEOUT, People

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic", *(["--no-sandbox"] if os.getuid() == 0 else []),
]  # fmt: skip

expect.set_options(timeout=TIMEOUT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All browser tests share an event loop, because they share the browser."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        reason = "there is no Chromium here: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=OPTIONS, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        await browser.close()


def serve(folder: Path, port: int | None = None, **settings: str) -> Server:
    """The README's command on a database of its own."""
    return Server(env={"CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db", **settings}, port=port)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the settings of the module's SETTINGS."""
    settings = getattr(request.module, "SETTINGS", {})
    with serve(tmp_path_factory.mktemp("server"), **settings) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def people(chromium: Browser, server: Server) -> AsyncIterator[People]:
    group = People(chromium, server.url)
    yield group
    await group.go_home()
