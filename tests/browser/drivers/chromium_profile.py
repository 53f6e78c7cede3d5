"""Chromium with a profile on disk. A small extension duplicates and discards tabs, as people's menus do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence, Set
from contextlib import suppress
from pathlib import Path

from playwright.async_api import BrowserContext, Error, Page, TimeoutError, Worker, async_playwright

from browser.drivers.chromium import OPTIONS, PROGRAM, ChromiumWindow
from browser.drivers.profile import DiscardingProfile, until
from browser.drivers.window import Window

EXTENSION = {
    "manifest_version": 3,
    "name": "tabs",
    "version": "1",
    "background": {"service_worker": "nothing.js"},
    "permissions": ["tabs", "sessions"],
}
BLOCKED = 2  # a content setting
START = 60  # s that it may take to start
LAST, NEW = 1, 5  # what is there after a start: the last session, or a new tab
ACTIVE = "async () => (await chrome.tabs.query({active: true}))[0].id"
DUPLICATE = f"async () => {{ await chrome.tabs.duplicate(await ({ACTIVE})()) }}"
# Only a tab in the background can be discarded, and the id of a discarded one is another.
DISCARD = f"""async () => {{ const tab = await ({ACTIVE})(); await chrome.tabs.create({{url: "about:blank"}});
  return (await chrome.tabs.discard(tab)).id }}"""
LOOK_AT = "async tab => { await chrome.tabs.update(tab, {active: true}) }"


class ChromiumProfile(DiscardingProfile):
    name = "Chromium"

    @property
    def windows(self) -> Sequence[Window]:
        return [ChromiumWindow(page) for page in self._context.pages]

    async def start(self) -> None:
        self._extension = self.folder / "extension"
        self._extension.mkdir()
        (self._extension / "manifest.json").write_text(json.dumps(EXTENSION))
        (self._extension / "nothing.js").touch()
        self._profile = self.folder / "profile"
        (self._profile / "Default").mkdir(parents=True)
        preferences: dict[str, object] = {"session": {"restore_on_startup": LAST if self.javascript else NEW}}
        if not self.javascript:
            preferences["profile"] = {"default_content_setting_values": {"javascript": BLOCKED}}
        (self._profile / "Default" / "Preferences").write_text(json.dumps(preferences))
        self._playwright = await async_playwright().start()
        self._context = await self._launch()
        self.first = ChromiumWindow(self._context.pages[0])

    async def _launch(self, *without: str) -> BrowserContext:
        """A Chromium that hangs while it starts on a kept profile is started once more."""
        try:
            return await self._launch_once(*without)
        except TimeoutError:
            return await self._launch_once(*without)

    async def _launch_once(self, *without: str) -> BrowserContext:
        return await self._playwright.chromium.launch_persistent_context(
            self._profile,
            executable_path=PROGRAM,
            timeout=START * 1000,
            args=[*OPTIONS, f"--load-extension={self._extension}"],
            ignore_default_args=["--disable-back-forward-cache", "--disable-extensions", *without],
        )

    async def _worker(self) -> Worker:
        workers = self._context.service_workers
        return workers[0] if workers else await self._context.wait_for_event("serviceworker")

    async def duplicate(self, window: Window) -> Window:
        known = set(self._context.pages)
        await (await self._worker()).evaluate(DUPLICATE)
        return ChromiumWindow(await self._room(known))

    async def discard(self, window: Window) -> Window:
        worker = await self._worker()
        known = set(self._context.pages)
        await worker.evaluate(LOOK_AT, await worker.evaluate(DISCARD))
        again = ChromiumWindow(await self._room(known))
        assert await again.wait_for("document.wasDiscarded")
        return again

    async def _relaunch(self) -> ChromiumWindow:
        """Without a blank tab in front of the restored one, which could then wait long to be loaded.

        Playwright would wait for a tab that is there at the start and never ends loading, as without
        JavaScript; so that one is restored by the command that people have in their history.
        """
        if self.javascript:
            self._context = await self._launch("about:blank")
        else:
            self._context = await self._launch()
            await (await self._worker()).evaluate("async () => { await chrome.sessions.restore() }")
        return ChromiumWindow(await self._room())

    async def restore(self) -> Window:
        """First ended in order, because Chromium writes cookies to disk every 30 seconds, and then killed."""
        [url] = [page.url for page in self._context.pages if "/rooms/" in page.url]
        await self._context.close()
        await self._relaunch()
        await until(lambda: self._saved(url), "the session is on disk")
        os.kill(int(os.readlink(self._profile / "SingletonLock").rpartition("-")[2]), signal.SIGKILL)
        with suppress(Error):
            await self._context.close()
        return await self._relaunch()

    async def _room(self, known: Set[Page] = frozenset()) -> Page:
        async def look() -> Page | None:
            pages = (page for page in self._context.pages if page not in known)
            return next((page for page in pages if "/rooms/" in page.url), None)

        return await until(look, "there is another tab with the room")

    async def _saved(self, url: str) -> bool | None:
        """The newest session file is of the Chromium that runs."""
        newest = max((self._profile / "Default" / "Sessions").glob("Session_*"), key=_name)
        return url.encode() in newest.read_bytes() or None

    async def quit(self) -> None:
        await self._context.close()
        await self._playwright.stop()


def _name(path: Path) -> str:
    return path.name
