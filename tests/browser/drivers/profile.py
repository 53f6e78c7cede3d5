"""A browser with a profile on disk, as one person has it: its tabs are duplicated, discarded and restored."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from browser.drivers.window import TIMEOUT, Window

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """Look until there is something; for what a browser does without an event that a driver hears."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TIMEOUT
    while (found := await look()) is None:
        assert loop.time() < deadline, f"not within {TIMEOUT:.0f} s: {what}"
        await asyncio.sleep(0.03)
    return found


class Profile(ABC):
    """`folder` is empty at first. Every window here is a tab of the same person."""

    name: ClassVar[str]
    repeats_forms: ClassVar[bool] = True  # when the error page of one is reloaded

    def __init__(self, folder: Path, javascript: bool) -> None:
        self.folder = folder
        self.javascript = javascript
        self.first: Window

    @property
    @abstractmethod
    def windows(self) -> Sequence[Window]:
        """Every tab that was opened, and perhaps some that are closed."""

    @abstractmethod
    async def start(self) -> None:
        """Start the browser, with its `first` tab."""

    @abstractmethod
    async def duplicate(self, window: Window) -> Window:
        """A second tab like this one, made by the browser's own command; it has the focus."""

    @abstractmethod
    async def restore(self) -> Window:
        """Kill the browser, start it again, and have it restore the only tab."""

    @abstractmethod
    async def quit(self) -> None: ...


class DiscardingProfile(Profile):
    """Of a browser that can take a tab's memory away and load it again when it is looked at."""

    @abstractmethod
    async def discard(self, window: Window) -> Window:
        """Do that to the tab, as a browser does that has too little memory."""
