"""Typing across Enter, as fast as fingers or a robot can, on good and bad machines and networks."""

from __future__ import annotations

import asyncio

import pytest
from deployments import ONE
from playwright.async_api import Browser, WebSocketRoute, expect

from browser.people import People, Tab

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
TEXTS = ["first message", "second one", "3", "the fourth of them"]
DRAFT = "and a draft"


@pytest.fixture
def chromium(whole_chromium: Browser) -> Browser:
    """When keys meet a swap differs without windows; people have this one."""
    return whole_chromium


async def press(tab: Tab, text: str, pace: float) -> None:
    """Press keys at this pace, s, whether the page has dealt with those before or not."""
    session = await tab.page.context.new_cdp_session(tab.page)
    pressed = []
    for char in text:
        key = (
            {"key": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            if char == "\n"
            else {"key": char, "text": char}
        )
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, **(key if kind == "keyDown" else {**key, "text": ""})}
            pressed.append(asyncio.create_task(session.send("Input.dispatchKeyEvent", event)))
        await asyncio.sleep(pace)
    await asyncio.gather(*pressed)


GOOD = [pytest.param(1, latency, 0.02, marks=pytest.mark.quiet) for latency in (0, 400)]  # machines


@pytest.mark.parametrize(("slower", "latency", "pace"), [*GOOD, (6, 0, 0.06), (6, 400, 0.02), (1, 0, 0)])
async def test_nothing_typed_across_enter_is_lost_doubled_or_out_of_order(
    people: People, slower: int, latency: int, pace: float
) -> None:
    ann = await people.newcomer()
    await ann.open_room("Ann")
    await ann.live()
    session = await ann.page.context.new_cdp_session(ann.page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    await ann.field.focus()
    await press(ann, "\n".join([*TEXTS, DRAFT]), pace)
    await ann.shows(TEXTS)
    if slower == 1 and pace:
        assert await ann.field.input_value() == DRAFT
    await ann.page.keyboard.press("Enter")
    await ann.shows([*TEXTS, DRAFT])
    await ann.rest()


async def test_the_same_holds_before_the_page_has_its_first_answer(people: People) -> None:
    """Until then it has no key that its texts could be stored under: it keeps them, and sends them again."""
    ann = await people.newcomer()
    held: list[str | bytes] = []
    answers = held.append

    def slow_down(socket: WebSocketRoute) -> None:
        socket.connect_to_server().on_message(lambda frame: answers(frame))
        sockets.append(socket)

    sockets: list[WebSocketRoute] = []
    await ann.page.route_web_socket("**/live", slow_down)
    await ann.open_room("Ann")
    session = await ann.page.context.new_cdp_session(ann.page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    await expect(ann.field).to_be_focused()
    await press(ann, "\n".join([*TEXTS, DRAFT]), 0.02)
    assert await ann.page.locator("#life").get_attribute("value") == ""
    answers = sockets[0].send
    for frame in held:
        answers(frame)
    await ann.shows(TEXTS)
    await ann.page.keyboard.press("Enter")
    await ann.shows([*TEXTS, DRAFT])
    await ann.rest()
