"""WebKitGTK, Safari's engine, driven by WebKitWebDriver.

A window that another covers stands still, so everybody has an X server of their own.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from serving import free_port

from browser.drivers.window import Engine, NoDocument, Scheme, Window, key_actions

DRIVER = shutil.which("WebKitWebDriver")
SCREEN = shutil.which("Xvfb")
BROWSER = next(iter(sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))), None)
# What it says on every page about the viewport's interactive-widget, which it does not know.
HARMLESS = "Viewport argument key"


class Failed(Exception):
    """The driver answered a command with an error."""


def _ask(port: int, method: str, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        value = json.loads(answer.read())["value"]
    finally:
        connection.close()
    if answer.status != 200:
        raise Failed(f"{value.get('error')}: {value.get('message')}")
    return value


async def start_screen() -> tuple[asyncio.subprocess.Process, str]:
    """An X server and the name of its display."""
    assert SCREEN is not None
    read, write = os.pipe()
    screen = await asyncio.create_subprocess_exec(
        SCREEN, "-displayfd", str(write), "-screen", "0", "1400x1100x24", "-nolisten", "tcp",
        pass_fds=(write,), stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        return screen, f":{(await asyncio.to_thread(pipe.readline)).strip()}"


def complaints(said: Path) -> list[str]:
    """What pages have written on the console, of all that a browser has said."""
    lines = said.read_text(errors="replace").splitlines()
    return [line for line in lines if "CONSOLE" in line and HARMLESS not in line]


class WebKitWindow(Window):
    """A screen, a driver and a browser of one's own."""

    def __init__(self, width: int, height: int, scheme: Scheme) -> None:
        super().__init__()
        self._size = (width, height)
        self._scheme = scheme
        self._folder = tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True)
        self._port = free_port()

    async def start(self) -> None:
        assert DRIVER is not None
        self._screen, display = await start_screen()
        environment = os.environ | {"DISPLAY": display, "HOME": self._folder.name, "NO_AT_BRIDGE": "1"}
        environment["GTK_THEME"] = "Adwaita:dark" if self._scheme == "dark" else "Adwaita"
        self._driver = await asyncio.create_subprocess_exec(
            DRIVER, f"--port={self._port}", "--host=127.0.0.1", env=environment,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._session = f"/session/{(await self._new_session())['sessionId']}"
        width, height = self._size
        await self._ask("POST", "/timeouts", {"script": 2_000, "pageLoad": 20_000})
        await self._ask("POST", "/window/rect", {"x": 0, "y": 0, "width": width, "height": height})

    async def _new_session(self) -> Any:
        """The driver swallows the browser's console, hence a program that writes it to a file."""
        program = Path(self._folder.name, "browser")
        self._said = Path(self._folder.name, "said")
        self._said.touch()
        program.write_text(f'#!/bin/sh\nexec "{BROWSER}" "$@" >>"{self._said}" 2>&1\n')
        program.chmod(0o755)
        options = {
            "binary": str(program),
            "args": ["--automation", "--enable-write-console-messages-to-stdout=true"],
        }
        wanted = {
            "browserName": "MiniBrowser",
            "pageLoadStrategy": "normal",
            "webkitgtk:browserOptions": options,
        }
        deadline = asyncio.get_running_loop().time() + 15
        while True:
            try:
                body = {"capabilities": {"alwaysMatch": wanted}}
                return await asyncio.to_thread(_ask, self._port, "POST", "/session", body)
            except ConnectionRefusedError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return await asyncio.to_thread(_ask, self._port, method, self._session + path, body)
        finally:
            self._listen()

    def _listen(self) -> None:
        self.console[:] = complaints(self._said)

    async def open(self, url: str) -> None:
        await self._ask("POST", "/url", {"url": url})

    async def evaluate(self, expression: str) -> Any:
        try:
            return await self._ask("POST", "/execute/sync", {"script": f"return ({expression})", "args": []})
        except Failed as error:
            raise NoDocument(str(error)) from None

    async def type(self, text: str, pace: float = 0.06) -> None:
        keys = {"type": "key", "id": "keyboard", "actions": key_actions(text, pace)}
        await self._ask("POST", "/actions", {"actions": [keys]})

    async def click(self, selector: str) -> None:
        element = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(f"{element} === null || getComputedStyle({element}).pointerEvents !== 'none'")
        found = await self._ask("POST", "/element", {"using": "css selector", "value": selector})
        await self._ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    async def back(self) -> None:
        await self._ask("POST", "/back", {})

    async def reload(self) -> None:
        await self._ask("POST", "/refresh", {})

    async def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(await self._ask("GET", "/screenshot")))

    async def close(self) -> None:
        with suppress(Failed, OSError):
            await self._ask("DELETE", "")
        for process in (self._driver, self._screen):
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        self._folder.cleanup()


class WebKit(Engine):
    name = "WebKit"
    package = "webkit2gtk-driver xvfb"

    @classmethod
    def missing(cls) -> bool:
        return not (SCREEN and DRIVER and BROWSER)

    async def window(
        self, *, width: int = 1280, height: int = 800, scheme: Scheme = "light", javascript: bool = True
    ) -> Window:
        assert javascript, "WebKitWebDriver cannot be used without JavaScript"
        window = WebKitWindow(width, height, scheme)
        await window.start()
        return window

    async def quit(self) -> None:
        """Each window ends its own browser."""
