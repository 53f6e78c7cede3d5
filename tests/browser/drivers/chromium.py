"""Chromium, driven by Playwright like all other browser tests."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error, Page, Playwright, async_playwright

from browser.drivers.window import KEYS, Engine, NoDocument, Scheme, Window

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The same without windows, menus and a back/forward cache: a third of the CPU for each person with a page.
SHELL = shutil.which("chromium-headless-shell") or PROGRAM
# Chromium takes the last such list, so Playwright's is repeated before what is ours: pages that it would load
# for the address bar of every window, which cost half the CPU of most tests.
WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints",
    "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch",
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
)  # fmt: skip
OPTIONS = [
    f"--disable-features={','.join(WITHOUT)}",
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic", *(["--no-sandbox"] if os.getuid() == 0 else []),
]  # fmt: skip
NAMES = {value: name for name, value in KEYS.items()}


async def launch(playwright: Playwright, program: str | None = PROGRAM) -> Browser:
    """The system's Chromium, with the back/forward cache that people have."""
    return await playwright.chromium.launch(
        executable_path=program, args=OPTIONS, ignore_default_args=["--disable-back-forward-cache"]
    )


class ChromiumWindow(Window):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))

    async def open(self, url: str) -> None:
        await self.page.goto(url, wait_until="domcontentloaded")

    async def evaluate(self, expression: str) -> Any:
        try:
            return await self.page.evaluate(f"() => ({expression})")
        except Error as error:
            raise NoDocument(str(error)) from None

    async def type(self, text: str, pace: float = 0.06) -> None:
        for letter in text:
            await self.page.keyboard.press("Enter" if letter == "\n" else NAMES.get(letter, letter))
            if pace:
                await self.page.wait_for_timeout(pace * 1000)

    async def click(self, selector: str) -> None:
        await self.page.click(selector)

    async def back(self) -> None:
        await self.page.go_back(wait_until="commit")

    async def reload(self) -> None:
        await self.page.reload(wait_until="domcontentloaded")

    async def screenshot(self, path: Path) -> None:
        await self.page.screenshot(path=path)

    async def close(self) -> None:
        await self.page.context.close()


class Chromium(Engine):
    name = "Chromium"
    package = "chromium"

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def missing(cls) -> bool:
        return PROGRAM is None

    async def window(
        self, *, width: int = 1280, height: int = 800, scheme: Scheme = "light", javascript: bool = True
    ) -> Window:
        async with self._lock:
            if self._browser is None:
                self._playwright = await async_playwright().start()
                self._browser = await launch(self._playwright)
        context = await self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=javascript
        )
        return ChromiumWindow(await context.new_page())

    async def quit(self) -> None:
        if self._browser and self._playwright:
            await self._browser.close()
            await self._playwright.stop()
