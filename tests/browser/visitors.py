"""People in any of the three browsers: the same steps, and the same promises, in each."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from browser.drivers import Engine, Window
from browser.people import REFUSED

FIELD = "#texts > :last-child"
TEXTS = """[...document.querySelectorAll("#earlier > li:not(.notice) .text, #live > li:not(.notice) .text")]
  .map(p => p.textContent)"""
IDS = """[...document.querySelectorAll("#messages li[id]")].map(li => +li.id.slice(8))"""
IN_ROOM = f"""document.readyState === "complete" && document.querySelector({FIELD!r}) !== null"""
# The server has dealt the page its life.
LIVE = "document.querySelector('#life')?.value > ''"
# What each browser says while the server is down.
UNREACHABLE = (
    rf"{REFUSED}|ERR_CONNECTION_|WebSocket connection to|htmx:ws:error|establish a connection|"
    r"icon from the Manifest|was interrupted while|Could not connect|Connection terminated|NetworkError|"
    r"htmx:error: Load failed"
)


class Visitor:
    """One person with a window of their own. What its console says fails the test, unless it was expected."""

    def __init__(self, window: Window, url: str) -> None:
        self.window = window
        self.url = url
        self.expected: list[str] = ["Autofocus processing was blocked", "Clear-Site-Data header on"]

    @property
    def noise(self) -> list[str]:
        return [line for line in self.window.console if not any(re.search(e, line) for e in self.expected)]

    async def _fill(self, selector: str, text: str) -> None:
        await self.window.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        await self.window.focus(selector)
        await self.window.type(text, pace=0)

    async def open_room(self, name: str) -> str:
        await self.window.open(self.url)
        await self._fill("#name", name)
        await self.window.click("button[name=create]")
        await self.in_room()
        return str(await self.window.evaluate("location.pathname.split('/')[2]"))

    async def join_room(self, code: str, name: str, *, live: bool = True) -> None:
        await self.window.open(f"{self.url}/rooms/{code}")
        await self._fill("#name", name)
        await self.window.click(".buttons button")
        # Without JavaScript the frame never ends, and so the page is never complete.
        await self.window.wait_for(IN_ROOM if live else "document.querySelector('iframe') !== null")

    async def in_room(self) -> None:
        await self.window.wait_for(IN_ROOM)

    async def live(self) -> None:
        """Wait until the server has heard what the page has, and whether it has the focus."""
        await self.window.wait_for(LIVE)

    async def leave(self) -> None:
        """Leave for good, which is asked first."""
        await self.window.click("[popovertarget=menu]")
        await self.window.click("a.leave")
        await self.window.wait_for(
            "location.pathname.endsWith('/leave') && document.querySelector('main button')"
        )
        await self.window.click("main button")

    async def enters_seen(self, *names: str) -> None:
        """Wait until the room says who entered: the page is live then."""
        notices = "[...document.querySelectorAll('#messages .notice')].map(n => n.textContent).join()"
        await self.window.wait_for(f"{json.dumps(names)}.every(name => {notices}.includes(name))")

    async def type(self, text: str, pace: float = 0.06) -> None:
        await self.window.focus(FIELD)
        await self.window.type(text, pace)

    async def say(self, text: str) -> None:
        await self.type(f"{text}\n", pace=0)
        await self.window.wait_for(f"document.querySelector({FIELD!r})?.value === ''")

    async def texts(self) -> list[str]:
        return list(await self.window.evaluate(TEXTS))

    async def shows(self, texts: Sequence[str]) -> None:
        """Wait until exactly these texts are there, in this order; nothing is there twice."""
        wanted = json.dumps(list(texts))
        await self.window.wait_for(f"JSON.stringify({TEXTS}) === JSON.stringify({wanted}) || null")
        ids = await self.window.evaluate(IDS)
        assert ids == sorted(set(ids)), f"twice, or out of order: {ids}"

    async def sees(self, text: str) -> None:
        await self.window.wait_for(f"{TEXTS}.includes({json.dumps(text)})")

    async def rest(self) -> None:
        """Wait until one empty field is left and nothing is on its way."""
        await self.window.wait_for(
            f"document.querySelector({FIELD!r})?.value === ''"
            " && document.querySelectorAll('#texts > *').length === 1"
        )


class Visitors:
    """Everybody of a test, in one engine."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.engine = engine
        self.url = url
        self.present: list[Visitor] = []

    async def newcomer(self, **options: Any) -> Visitor:
        visitor = Visitor(await self.engine.window(**options), self.url)
        self.present.append(visitor)
        return visitor

    async def two(self, **options: Any) -> tuple[Visitor, Visitor]:
        """Ann and Bob, live in a new room."""
        ann, bob = await asyncio.gather(self.newcomer(**options), self.newcomer(**options))
        await bob.join_room(await ann.open_room("Ann"), "Bob")
        await asyncio.gather(*(visitor.enters_seen("Ann", "Bob") for visitor in (ann, bob)))
        return ann, bob

    async def go_home(self) -> None:
        noise = [line for visitor in self.present for line in visitor.noise]
        for visitor in self.present:
            await visitor.window.close()
        if noise:
            pytest.fail("the console said:\n" + "\n".join(noise))
