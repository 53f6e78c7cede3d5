"""Chromium with a profile on disk. A small extension duplicates and discards tabs, as people's menus do."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL
from collections.abc import Sequence, Set
from pathlib import Path

from playwright.async_api import Page, Worker, async_playwright

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
LAST = 1  # what is in the first window: the last session
# The first window is opened when Playwright is there: it waits for ever for a tab that is being restored when
# it comes, if it asks while that gets its document.
STARTED = [
    *OPTIONS, "--headless", "--no-startup-window", "--remote-debugging-port=0", "--window-size=1280,720",
    "--password-store=basic", "--disable-breakpad", "--disable-dev-shm-usage", "--disable-popup-blocking",
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]  # fmt: skip
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
        preferences: dict[str, object] = {"session": {"restore_on_startup": LAST}}
        if not self.javascript:
            preferences["profile"] = {"default_content_setting_values": {"javascript": BLOCKED}}
        (self._profile / "Default" / "Preferences").write_text(json.dumps(preferences))
        self._playwright = await async_playwright().start()
        await self._launch()
        self.first = ChromiumWindow(await self._context.new_page())

    async def _launch(self) -> None:
        """Without any window."""
        address = self._profile / "DevToolsActivePort"
        address.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            *STARTED,
            f"--user-data-dir={self._profile}",
            f"--load-extension={self._extension}",
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

        async def look() -> list[str] | None:
            lines = address.read_text().splitlines() if address.exists() else []
            return lines if len(lines) == 2 else None

        port, path = await until(look, "Chromium has started")
        self._browser = await self._playwright.chromium.connect_over_cdp(f"ws://127.0.0.1:{port}{path}")
        [self._context] = self._browser.contexts

    async def _end(self) -> None:
        await (await self._browser.new_browser_cdp_session()).send("Browser.close")
        await self._process.wait()

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
        """Behind the blank tab of a new window, the restored one could wait long to be loaded."""
        await self._launch()
        blank = await self._context.new_page()
        room = await self._room()
        await blank.close()
        return ChromiumWindow(room)

    async def restore(self) -> Window:
        """First ended in order, because Chromium writes cookies to disk every 30 seconds, and then killed."""
        [url] = [page.url for page in self._context.pages if "/rooms/" in page.url]
        await self._end()
        await self._relaunch()
        await until(lambda: self._saved(url), "the session is on disk")
        self._process.kill()
        await self._process.wait()
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
        await self._end()
        await self._playwright.stop()


def _name(path: Path) -> str:
    return path.name
