"""Firefox with its tabs and its session: what the menus call is asked for in the window around the pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browser.drivers.firefox import FirefoxWindow, Process
from browser.drivers.profile import DiscardingProfile, until
from browser.drivers.window import Window

SESSION = {
    "browser.startup.page": 3,
    "browser.sessionstore.resume_from_crash": True,
    "dom.confirm_repost.testing.always_accept": True,  # "Resend", says who reloads the answer to a form
}
DUPLICATE = "void (gBrowser.selectedTab = gBrowser.duplicateTab(gBrowser.selectedTab))"
DISCARD = """(async () => {
  const tab = gBrowser.selectedTab
  gBrowser.selectedTab = gBrowser.addTrustedTab("about:blank")
  await gBrowser.prepareDiscardBrowser(tab)
  if (!gBrowser.discardBrowser(tab, true)) throw new Error("it was not discarded")
  gBrowser.selectedTab = tab
})()"""
SAVE = """(async () => {
  const from = "resource:///modules/sessionstore/"
  const { TabStateFlusher } = ChromeUtils.importESModule(from + "TabStateFlusher.sys.mjs")
  const { SessionSaver } = ChromeUtils.importESModule(from + "SessionSaver.sys.mjs")
  await TabStateFlusher.flushWindow(window)
  await SessionSaver.run()
})()"""


class FirefoxProfile(DiscardingProfile):
    name = "Firefox"

    @property
    def windows(self) -> Sequence[Window]:
        return list(self._process.connection.listeners.values())

    async def start(self) -> None:
        self._process = Process("light", self.javascript, SESSION)
        await self._process.start("--remote-allow-system-access")
        self.first = await self._new(set())

    async def _tabs(self) -> set[str]:
        tree = await self._process.connection.ask("browsingContext.getTree", maxDepth=0)
        return {tab["context"] for tab in tree["contexts"] if tab["url"] != "about:blank"}

    async def _new(self, known: set[str]) -> FirefoxWindow:
        async def look() -> str | None:
            return next(iter(await self._tabs() - known), None)

        context = await until(look, "there is another tab")
        window = FirefoxWindow(self._process.connection, context, "default")
        self._process.connection.listeners[context] = window
        return window

    async def _around(self, expression: str) -> None:
        """Evaluate it in the browser's own window, not in a page."""
        ask = self._process.connection.ask
        tree = await ask("browsingContext.getTree", maxDepth=0, **{"moz:scope": "chrome"})
        [window] = [tab["context"] for tab in tree["contexts"] if tab["url"].endswith("/browser.xhtml")]
        answer: Any = await ask(
            "script.evaluate", expression=expression, target={"context": window}, awaitPromise=True
        )
        assert answer["type"] == "success", json.dumps(answer)

    async def duplicate(self, window: Window) -> Window:
        known = await self._tabs()
        await self._around(DUPLICATE)
        return await self._new(known)

    async def discard(self, window: Window) -> Window:
        """It has the same name to the driver before and after."""
        await window.evaluate("(window.before = true)")
        await self._around(DISCARD)
        await window.wait_for("window.before === undefined")
        return window

    async def restore(self) -> Window:
        await self._around(SAVE)
        await until(self._cookies_saved, "the cookies are on disk")
        await self._process.kill()
        await self._process.start("--remote-allow-system-access")
        return await self._new(set())

    async def _cookies_saved(self) -> bool | None:
        """Those that outlive the session; the others are saved with it."""
        cookies = (await self._process.connection.ask("storage.getCookies"))["cookies"]
        names = [cookie["name"].encode() for cookie in cookies if "expiry" in cookie]
        files = Path(self._process.profile).glob("cookies.sqlite*")
        saved = b"".join(file.read_bytes() for file in files)
        return all(name in saved for name in names) or None

    async def quit(self) -> None:
        await self._process.quit()
