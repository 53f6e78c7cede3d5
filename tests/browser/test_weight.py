"""What the first view of a room costs on the wire, and what the second does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from deployments import ONE
from playwright.async_api import expect

from browser.people import People, Tab

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# Both deployments serve the same files and the same HTML.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
BUDGET = 32_000  # on a wide window, which lists the reader's rooms too
PARTS = [
    "chat.css",
    "htmx.min.js",
    "hx-ws.min.js",
    "/seats/",
]


class Traffic:
    """What a page fetched, by address: bytes on the wire, or 0 if it came out of the browser's cache."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}
        self._urls: dict[str, str] = {}

    async def listen(self, tab: Tab) -> None:
        session = await tab.page.context.new_cdp_session(tab.page)
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        await session.send("Network.enable")

    def _asked(self, event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):  # what is in the page already
            self._urls[event["requestId"]] = event["request"]["url"]

    def _answered(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache") or event["response"].get("fromPrefetchCache"):
            self._urls.pop(event["requestId"], None)

    def _finished(self, event: dict[str, Any]) -> None:
        if (url := self._urls.get(event["requestId"])) and event["encodedDataLength"]:
            self.bytes[url] = self.bytes.get(url, 0) + int(event["encodedDataLength"])

    async def measure(self, tab: Tab, step: Callable[[], Awaitable[Any]]) -> dict[str, int]:
        self.bytes = {}
        await step()
        await tab.live()
        await tab.page.wait_for_load_state("networkidle")
        return self.bytes


async def test_the_first_view_of_a_room_is_light_and_the_second_fetches_only_the_page(people: People) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    await ann.told_of("Ann")  # a notice among the texts would take the place of one
    await ann.write_history(50, "This is an ordinary message of sixty characters, number {:04}")
    bob = await people.newcomer()
    await bob.page.context.request.post(f"{bob.url}/rooms/{code}", form={"name": "Bob"}, max_redirects=0)

    traffic, room = Traffic(), f"{bob.url}/rooms/{code}"
    await traffic.listen(bob)
    first = await traffic.measure(bob, lambda: bob.page.goto(room))
    await expect(bob.page.locator("#earlier .text")).to_have_count(50)
    for part in PARTS:
        assert any(part in url for url in first), f"{part} was not counted: {first}"
    print(f"first view: {sum(first.values())} bytes: {first}")
    assert sum(first.values()) <= BUDGET, first

    await bob.page.goto("about:blank")
    second = await traffic.measure(bob, lambda: bob.page.goto(room))
    rail = f"{bob.url}/rooms?rail={code}"
    assert sorted(second) == sorted([room, rail]), "everything else is kept for ever"

    third = await traffic.measure(bob, lambda: bob.say("and sending fetches nothing"))
    assert third == {}
