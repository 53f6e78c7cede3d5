"""Firefox, driven by the WebDriver BiDi that it has built in: no geckodriver, which Debian does not have."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from browser.drivers.window import TIMEOUT, Engine, NoDocument, Scheme, Window, key_actions

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
STYLED = "[...document.querySelectorAll('link[rel=stylesheet]')].every(link => link.sheet)"
LEAVES, COMES = "browsingContext.navigationStarted", "browsingContext.domContentLoaded"
START = 60.0  # seconds that it may take to start
CUT_SHORT = "htmx:error: NetworkError when attempting to fetch"  # by a page that was left meanwhile
# Nothing of Firefox's own may go out, come up or be remembered.
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.prefs.recommended": True,
    "toolkit.telemetry.enabled": False,
}


class Refused(Exception):
    """Firefox answered a command with an error."""


class Connection:
    """Commands go out, their answers come back by number; events go to those who listen."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.listeners: dict[str, FirefoxWindow] = {}
        self._reader = asyncio.create_task(self._read())

    async def _frames(self) -> AsyncIterator[str | bytes]:
        with suppress(ConnectionClosedError):  # Firefox was killed
            async for frame in self._socket:
                yield frame

    async def _read(self) -> None:
        async for frame in self._frames():
            answer = json.loads(frame)
            if answer["type"] == "event":
                self._hear(answer["method"], answer["params"])
            elif waiting := self._waiting.pop(answer.get("id"), None):
                if waiting.cancelled():
                    continue
                if answer["type"] == "error":
                    waiting.set_exception(Refused(f"{answer['error']}: {answer['message']}"))
                else:
                    waiting.set_result(answer["result"])

    def _hear(self, event: str, params: dict[str, Any]) -> None:
        if window := self.listeners.get(params.get("source", params).get("context", "")):
            window.hear(event, params)

    async def ask(self, method: str, **params: Any) -> Any:
        return await asyncio.wait_for(self._ask(method, params), TIMEOUT)

    async def open_session(self) -> None:
        """The first command is answered when Firefox has started altogether."""
        await asyncio.wait_for(self._ask("session.new", {"capabilities": {}}), START)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        number = next(self._numbers)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        return await answer

    async def close(self) -> None:
        with suppress(Refused, TimeoutError):
            await self.ask("browser.close")
        self._reader.cancel()
        await self._socket.close()


class FirefoxWindow(Window):
    def __init__(self, connection: Connection, context: str, user: str) -> None:
        super().__init__()
        self._connection = connection
        self._context = context
        self._user = user
        self._is_left = False  # its page, for the next one

    def hear(self, event: str, params: dict[str, Any]) -> None:
        if event != "log.entryAdded":
            self._is_left = event == LEAVES
        elif params["level"] in ("warn", "error") and not (self._is_left and CUT_SHORT in params["text"]):
            self.console.append(f"{params['level']}: {params['text']}")

    async def _ask(self, method: str, **params: Any) -> Any:
        return await self._connection.ask(method, context=self._context, **params)

    async def open(self, url: str) -> None:
        # A page that never ends, as the one without JavaScript, is never complete.
        await self._ask("browsingContext.navigate", url=url, wait="none")
        await self.wait_for(f"location.href.startsWith({url!r}) && document.readyState !== 'loading'")

    async def evaluate(self, expression: str) -> Any:
        try:
            answer = await self._connection.ask(
                "script.evaluate",
                expression=f"JSON.stringify({expression})",
                target={"context": self._context},
                awaitPromise=False,
                userActivation=True,
            )
        except Refused as error:
            raise NoDocument(str(error)) from None
        if answer["type"] == "exception":
            raise NoDocument(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"]) if "value" in answer["result"] else None

    async def type(self, text: str, pace: float = 0.06) -> None:
        keys = {"type": "key", "id": "keyboard", "actions": key_actions(text, pace)}
        await self._ask("input.performActions", actions=[keys])

    async def click(self, selector: str) -> None:
        await self.wait_for(STYLED)  # a stylesheet that comes now would move what is clicked
        x, y = await self.wait_for(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const r = e.getBoundingClientRect();"
            " const takes = r.width && getComputedStyle(e).pointerEvents !== 'none';"
            f" return takes && [r.x + r.width / 2, r.y + r.height / 2] }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        actions = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._ask(
            "input.performActions", actions=[{"type": "pointer", "id": "mouse", "actions": actions}]
        )

    async def activate(self) -> None:
        await self._ask("browsingContext.activate")

    async def back(self) -> None:
        await self._ask("browsingContext.traverseHistory", delta=-1)

    async def reload(self) -> None:
        await self._ask("browsingContext.reload", wait="interactive")

    async def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode((await self._ask("browsingContext.captureScreenshot"))["data"]))

    async def close(self) -> None:
        await self._connection.ask("browser.removeUserContext", userContext=self._user)


class Process:
    """One Firefox with a profile of its own, because some preferences hold for all of its windows."""

    def __init__(
        self, scheme: Scheme, javascript: bool, others: Mapping[str, bool | int] = MappingProxyType({})
    ) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True)
        dark = {"layout.css.prefers-color-scheme.content-override": 0 if scheme == "dark" else 1}
        self.profile = self._profile.name
        preferences = {**PREFERENCES, **dark, "javascript.enabled": javascript, **others}
        lines = [
            f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()
        ]
        Path(self.profile, "user.js").write_text("".join(lines))

    async def start(self, *options: str) -> None:
        assert PROGRAM is not None
        self._process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "--headless", "--no-remote"),
            *("--profile", self.profile, "--remote-debugging-port", "0", *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        address = await asyncio.wait_for(self._address(), START)
        self._drain = asyncio.create_task(self._process.communicate())
        self.connection = Connection(await connect(f"{address}/session", max_size=None, ping_interval=None))
        await self.connection.open_session()
        await self.connection.ask("session.subscribe", events=["log.entryAdded", LEAVES, COMES])

    async def _address(self) -> str:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if b"WebDriver BiDi listening on " in line:
                return line.decode().split("listening on ")[1].strip()
        raise AssertionError("Firefox ended before it was ready")

    async def window(self, width: int, height: int) -> Window:
        ask = self.connection.ask
        user = (await ask("browser.createUserContext"))["userContext"]
        context = (await ask("browsingContext.create", type="tab", userContext=user))["context"]
        await ask("browsingContext.setViewport", context=context, viewport={"width": width, "height": height})
        window = FirefoxWindow(self.connection, context, user)
        self.connection.listeners[context] = window
        return window

    async def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        await self._drain

    async def quit(self) -> None:
        await self.connection.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._drain), 10)
        except TimeoutError:
            self._process.kill()
            await self._drain
        self._profile.cleanup()


class Firefox(Engine):
    name = "Firefox"
    package = "firefox-esr"

    def __init__(self) -> None:
        self._processes: dict[tuple[Scheme, bool], Process] = {}
        self._lock = asyncio.Lock()

    @classmethod
    def missing(cls) -> bool:
        return PROGRAM is None

    async def window(
        self, *, width: int = 1280, height: int = 800, scheme: Scheme = "light", javascript: bool = True
    ) -> Window:
        async with self._lock:
            if (scheme, javascript) not in self._processes:
                process = Process(scheme, javascript)
                await process.start()
                self._processes[scheme, javascript] = process
        return await self._processes[scheme, javascript].window(width, height)

    async def quit(self) -> None:
        for process in self._processes.values():
            await process.quit()
