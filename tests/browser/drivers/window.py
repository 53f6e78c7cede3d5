"""What every browser can do in the tests: the interface of a window, and of the engine that opens windows."""

from __future__ import annotations

import asyncio
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

TIMEOUT = 20.0  # seconds; generous, because other work may share the machine
Scheme = Literal["light", "dark"]

# Keys with a name, as WebDriver writes them.
KEYS = {
    "Enter": "\ue007", "Tab": "\ue004", "Backspace": "\ue003", "End": "\ue010", "Home": "\ue011",
    "Escape": "\ue00c",
    "PageUp": "\ue00e", "PageDown": "\ue00f", "ArrowUp": "\ue013", "ArrowDown": "\ue015", "Space": " ",
}  # fmt: skip


def key_actions(text: str, pace: float) -> list[dict[str, Any]]:
    """The key source of a WebDriver action sequence that types `text`; "\\n" is Enter."""
    actions: list[dict[str, Any]] = []
    for letter in text:
        value = KEYS["Enter"] if letter == "\n" else letter
        actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        if pace:
            actions.append({"type": "pause", "duration": round(pace * 1000)})
    return actions


class Window(ABC):
    """One page of one person. `console` holds what the page has complained about so far."""

    def __init__(self) -> None:
        self.console: list[str] = []
        self._trouble = ""  # why the last expression had no value

    @abstractmethod
    async def open(self, url: str) -> None:
        """Go there, and return when the document has been parsed."""

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression in the page."""

    @abstractmethod
    async def type(self, text: str, pace: float = 0.06) -> None:
        """Type into what has the focus, `pace` seconds between keys."""

    @abstractmethod
    async def click(self, selector: str) -> None: ...

    @abstractmethod
    async def back(self) -> None: ...

    @abstractmethod
    async def reload(self) -> None: ...

    @abstractmethod
    async def screenshot(self, path: Path) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    async def activate(self) -> None:
        """Bring it to the front, where a browser gives keys their meaning in one window at a time only."""
        return

    async def press(self, key: str) -> None:
        """Press a key by its name, such as "PageUp"."""
        await self.type(KEYS[key], pace=0)

    async def focus(self, selector: str) -> None:
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")

    async def wait_for(self, condition: str, timeout: float = TIMEOUT) -> Any:
        """Wait until an expression is true in the page; fail with what it is at the deadline."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (value := await self._try(condition)) in (None, False, 0, ""):
            if loop.time() > deadline:
                text = await self._try("document.body.innerText")
                seen = f"is {value!r} ({self._trouble}) on the page:\n{text}"
                pytest.fail(f"not within {timeout:.0f} s: {condition}\n{seen}")
            await asyncio.sleep(0.03)
        return value

    async def _try(self, expression: str) -> Any:
        """Between two documents there is nothing to ask."""
        try:
            value = await self.evaluate(expression)
        except NoDocument as error:
            self._trouble = str(error)
            return None
        self._trouble = ""
        return value


class NoDocument(Exception):
    """The expression failed, or the page is on its way to another document."""


class Engine(ABC):
    """A browser. Every window that it opens belongs to a person with cookies of their own."""

    name: ClassVar[str]
    package: ClassVar[str]

    @classmethod
    @abstractmethod
    def missing(cls) -> bool:
        """Whether it is not installed."""

    @classmethod
    def require(cls) -> None:
        """Skip the test if the browser is not there; in CI, fail."""
        if cls.missing():
            reason = f"there is no {cls.name} here: apt-get install {cls.package}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)

    @abstractmethod
    async def window(
        self, *, width: int = 1280, height: int = 800, scheme: Scheme = "light", javascript: bool = True
    ) -> Window: ...

    @abstractmethod
    async def quit(self) -> None: ...
