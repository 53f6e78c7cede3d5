"""WebKitGTK with cookies, a cache and a session on disk, seen through its remote inspector.

A window that WebKitWebDriver opens has none of these, and no page without JavaScript. The inspector has
no keyboard: texts are inserted by the command that pasting uses, and sent by the form. MiniBrowser saves its
session when its window is closed. It cannot duplicate a tab, so two are begun from the same session.

WebKitGTK does not discard tabs: no function of its API and no command of MiniBrowser does. What it has,
webkit_web_view_terminate_web_process(), ends a page without loading it again when it is looked at. So this is
no DiscardingProfile.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from serving import free_port
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from browser.drivers.profile import Profile, until
from browser.drivers.webkit import BROWSER, complaints, start_screen
from browser.drivers.window import NoDocument, Window
from browser.drivers.x11 import close_windows

INSERT = "document.execCommand('insertText', false, %s)"
SUBMIT = "(document.activeElement.form.requestSubmit(), true)"


class InspectedWindow(Window):
    """One MiniBrowser on a screen of its own."""

    def __init__(self, folder: Path, javascript: bool) -> None:
        super().__init__()
        self._folder = folder
        self._javascript = javascript
        self._said = folder / f"said-{id(self)}"
        self._said.touch()

    async def start(self) -> None:
        """It opens the page of the saved session, if there is one, and else what the proxy refuses."""
        assert BROWSER is not None
        self._screen, self._display = await start_screen()
        port = free_port()
        environment = os.environ | {"DISPLAY": self._display, "HOME": str(self._folder), "NO_AT_BRIDGE": "1"}
        environment["WEBKIT_INSPECTOR_HTTP_SERVER"] = f"127.0.0.1:{port}"
        with self._said.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                str(BROWSER),
                f"--session-file={self._folder}/session",
                f"--cookies-file={self._folder}/cookies",
                "--proxy=http://127.0.0.1:9",
                "--ignore-host=127.0.0.1",
                "--enable-write-console-messages-to-stdout=true",
                f"--enable-javascript={'true' if self._javascript else 'false'}",
                env=environment, stdout=said, stderr=said,
            )  # fmt: skip
        await self._attach(port)

    async def _attach(self, port: int) -> None:
        async def look() -> str | None:
            try:
                answer = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/")
            except OSError:
                return None
            with answer:
                found = re.search(r"/socket/[^'\"]+", answer.read().decode())
            return found and found[0]

        path = await until(look, "there is a page to inspect")
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._target = ""
        self._socket = await connect(f"ws://127.0.0.1:{port}{path}", max_size=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self._socket:
                event = json.loads(frame)
                self._hear(event.get("method"), event.get("params", {}))

    def _hear(self, method: str | None, params: dict[str, Any]) -> None:
        """Another site's page has another process, and so another target."""
        if method == "Target.targetCreated" and not params["targetInfo"].get("isProvisional"):
            self._target = params["targetInfo"]["targetId"]
        elif method == "Target.didCommitProvisionalTarget":
            self._target = params["newTargetId"]
        elif method == "Target.dispatchMessageFromTarget":
            answer = json.loads(params["message"])
            if waiting := self._waiting.pop(answer.get("id"), None):
                waiting.set_result(answer)

    async def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        message = json.dumps({"id": number, "method": method, "params": params})
        forward = {"targetId": self._target, "message": message}
        await self._socket.send(
            json.dumps({"id": number, "method": "Target.sendMessageToTarget", "params": forward})
        )
        try:
            return await asyncio.wait_for(answer, 5)
        except TimeoutError:  # its target is gone
            raise NoDocument(f"{method} was not answered") from None

    async def evaluate(self, expression: str) -> Any:
        self.console[:] = complaints(self._said)
        answer = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        value = answer.get("result", {}).get("result", {})
        if "result" not in answer or answer["result"].get("wasThrown"):
            raise NoDocument(value.get("description", str(answer)))
        return value.get("value")

    async def open(self, url: str) -> None:
        # Whatever it opened by itself has failed, and cannot come later than this page.
        await self.wait_for("location.protocol !== 'about:' || document.body.innerText !== ''")
        await self.evaluate(f"void (location.href = {json.dumps(url)})")
        await self.wait_for(
            f"location.href.startsWith({json.dumps(url)}) && document.readyState !== 'loading'"
        )

    async def type(self, text: str, pace: float = 0.06) -> None:
        for part in re.split("(\n)", text):
            if part:
                await self.evaluate(SUBMIT if part == "\n" else INSERT % json.dumps(part))

    async def click(self, selector: str) -> None:
        await self.evaluate(f"(document.querySelector({json.dumps(selector)}).click(), true)")

    async def back(self) -> None:
        await self.evaluate("(history.back(), true)")

    async def reload(self) -> None:
        await self._ask("Page.reload")

    async def screenshot(self, path: Path) -> None:
        width, height = await self.evaluate("[innerWidth, innerHeight]")
        view = {"x": 0, "y": 0, "width": width, "height": height, "coordinateSystem": "Viewport"}
        url = (await self._ask("Page.snapshotRect", **view))["result"]["dataURL"]
        path.write_bytes(base64.b64decode(url.partition(",")[2]))

    async def end(self) -> None:
        """As its close button does, which saves the session."""
        close_windows(self._display)
        await self._ended()

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._ended()

    async def _ended(self) -> None:
        await self._process.wait()
        self._reader.cancel()
        await self._socket.close()
        self._screen.terminate()
        await self._screen.wait()

    async def close(self) -> None:
        if self._process.returncode is None:
            await self.kill()


class WebKitProfile(Profile):
    name = "WebKit"
    repeats_forms = False

    @property
    def windows(self) -> Sequence[Window]:
        return self._windows

    async def start(self) -> None:
        self.first = self._first = await self._another()
        self._windows = [self._first]

    async def _another(self) -> InspectedWindow:
        window = InspectedWindow(self.folder, self.javascript)
        await window.start()
        return window

    async def duplicate(self, window: Window) -> Window:
        await self._first.end()
        await self._first.start()
        self._windows.append(await self._another())
        return self._windows[-1]

    async def restore(self) -> Window:
        """Ended in order, which saves the session; begun again, and then killed."""
        await self._first.end()
        await self._first.start()
        await self._first.wait_for("location.pathname.startsWith('/rooms/')")
        await self._first.kill()
        await self._first.start()
        return self._first

    async def quit(self) -> None:
        for window in self._windows:
            await window.close()
