"""How it looks: screenshots to be judged by people, and what can be asserted of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from deployments import ONE
from playwright.async_api import expect
from serving import Server
from wire import Socket

from browser.conftest import CACHE
from browser.people import People, Scheme, Tab, crowd, paused
from chat.model.codes import grouped

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# The same code writes the same HTML on both deployments.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
Talk = Callable[..., Awaitable[Tab]]
Shot = Callable[[Tab, str], Awaitable[Path]]
SCREENS = CACHE / "screens"
WIDTHS = {320: 568, 390: 844, 1280: 800}
LONG_NAME = "Bartholomäus-Maximilian von Hohe"
TALK = (
    ("ann", "Morning! Shall we meet at ten?"),
    ("ann", "I have the room until noon."),
    ("bob", "The agenda is at https://example.org/minutes/2026/agenda-of-the-week?version=3, see item 4."),
    ("cat", "I may be late: the train is slow today, for a long reason that nobody wants to read in full."),
    ("bob", "No hurry."),
    ("bob", "We start with the small things:\n- keys\n- heating\n- who feeds the cat"),
    ("cat", "🐈‍⬛🎉"),
    ("ann", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" + "a" * 40),
    ("bob", "שלום, אני אהיה שם בעשר 👍"),
    ("ann", "Perfect, see you then"),
)  # fmt: skip
OVERFLOW = """() => [document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll("body *")].filter(e => e.getClientRects().length
    && getComputedStyle(e).clipPath === "none"
    && !e.closest("#roster ul, #rooms :is(b, .last), .vh, .skip, .m.on .by")
    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))]"""
WHOLE = """e => { const r = e.getBoundingClientRect();
  return r.width > 0 && r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight && r.right <= innerWidth }"""
CLIPS = """() => [...document.querySelectorAll("#messages .by bdi")].map(e => getComputedStyle(e).clipPath)"""
MESSAGES_SEEN = """() => { const s = document.querySelector("#scroll").getBoundingClientRect(),
    edge = document.querySelector("#base").getBoundingClientRect().top;
  return [...document.querySelectorAll("#messages .text")].map(e => e.getBoundingClientRect())
    .filter(r => r.top >= s.top && r.bottom <= edge && r.bottom <= innerHeight).length }"""


@pytest_asyncio.fixture(loop_scope="session")
async def talk(people: People, server: Server) -> AsyncIterator[Talk]:
    """A conversation as seen by Ann."""
    sockets: list[Socket] = []

    async def talk(**options: Any) -> Tab:
        ann = await people.newcomer(**options)
        code = await ann.open_room("Ann")
        await ann.live()
        others = dict(zip(("bob", "cat"), await crowd(server.port, code, ["Bob", LONG_NAME]), strict=True))
        sockets.extend(others.values())
        await expect(ann.page.locator("#roster .count")).to_have_text("3")
        for n, (who, text) in enumerate(TALK):
            if who == "ann":
                await ann.say(text)
            else:
                await others[who].send_text(json.dumps({"body": text, "key": f"{who}{n}"}))
            await ann.sees(text.partition("\n")[0])
        await ann.rest()
        return ann

    yield talk
    for socket in sockets:
        socket.cut()


@pytest.fixture
def shot() -> Shot:
    SCREENS.mkdir(parents=True, exist_ok=True)

    async def take(tab: Tab, name: str) -> Path:
        path = SCREENS / f"{name}.png"
        await tab.page.screenshot(path=path)
        return path

    return take


async def no_overflow(tab: Tab) -> None:
    overflow = await tab.page.evaluate(OVERFLOW)
    assert overflow[0] <= 0, overflow
    assert overflow[1:] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_screens_fit_from_narrow_to_wide(people: People, talk: Talk, shot: Shot, scheme: str) -> None:
    ann = await talk(scheme=cast(Scheme, scheme))
    visitor = await people.newcomer(scheme=cast(Scheme, scheme))
    empty = await people.newcomer(scheme=cast(Scheme, scheme))
    await empty.open_room("Catherine of the long name")
    await empty.live()
    await empty.say("hi")
    await empty.shows(["hi"])
    for width, height in WIDTHS.items():
        size = f"{width}-{scheme}"
        for tab in (ann, visitor, empty):
            await tab.page.set_viewport_size({"width": width, "height": height})
        await shot(ann, f"room-{size}")
        await no_overflow(ann)
        await shot(empty, f"empty-{size}")
        await no_overflow(empty)
        for tab in (ann, empty):
            crowd_at = "#roster h2" if width >= 960 else "[popovertarget=roster]"
            for part in ("#composer", ".send", "#switch", crowd_at, "[popovertarget=menu]"):
                assert await tab.page.locator(part).evaluate(WHOLE), f"{part} at {width}"
            await tab.open_menu()
            for part in ("#menu [popovertarget=invitation]", ".leave"):
                assert await tab.page.locator(part).evaluate(WHOLE), f"{part} at {width}"
            await tab.page.keyboard.press("Escape")
        await visitor.page.goto(visitor.url)
        await shot(visitor, f"home-{size}")
        await no_overflow(visitor)
        with visitor.noise_expected("422|404"):
            await visitor.page.get_by_role("button", name="Join a Room").click()
            await expect(visitor.page.get_by_role("alert")).to_have_count(2)
            await shot(visitor, f"home-errors-{size}")
            await no_overflow(visitor)
            await visitor.page.goto(f"{visitor.url}/rooms/22222222")
            await shot(visitor, f"error-{size}")
            await no_overflow(visitor)
        await visitor.page.goto(f"{visitor.url}/rooms/{ann.code}")
        await shot(visitor, f"join-{size}")
        await no_overflow(visitor)


async def test_with_the_keyboard_open_the_composer_and_some_messages_are_visible(
    people: People, talk: Talk, shot: Shot
) -> None:
    ann = await talk(width=390, height=400)
    await ann.field.focus()
    for part in ("#composer", ".send"):
        assert await ann.page.locator(part).evaluate(WHOLE)
    await shot(ann, "keyboard-390")
    assert await ann.page.evaluate(MESSAGES_SEEN) >= 2
    await ann.page.get_by_role("button", name="Write several lines").click()
    await ann.page.keyboard.insert_text("line\n" * 30)
    await shot(ann, "many-lines-390")
    assert await ann.page.locator("button.send").evaluate(WHOLE), "a long draft pushes nothing out of sight"


async def test_text_at_twice_the_size_fits(people: People, talk: Talk, shot: Shot) -> None:
    ann = await talk(width=390, height=844)
    await ann.page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    await shot(ann, "zoom-390")
    await no_overflow(ann)
    for part in ("#composer", ".send", "[popovertarget=roster]", "[popovertarget=menu]"):
        assert await ann.page.locator(part).evaluate(WHOLE), part
    assert await ann.page.evaluate(MESSAGES_SEEN) >= 1
    await ann.page.goto(ann.url)
    await ann.page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    await no_overflow(ann)


async def test_what_goes_wrong_is_visible(people: People, talk: Talk, server: Server, shot: Shot) -> None:
    """Refused text, text on its way, a dead server: in one picture each."""
    ann = await talk(width=390, height=844)
    await ann.field.fill("x " * 4500)
    await ann.page.keyboard.press("Enter")
    await expect(ann.page.locator("#refused form")).to_be_visible()
    await shot(ann, "refused-390")
    await no_overflow(ann)
    assert await ann.page.locator("#texts").evaluate(WHOLE)
    await ann.page.get_by_role("button", name="Throw away").click()
    await ann.field.focus()
    with paused(server):
        for n in range(6):
            await ann.type(f"sending {n}\n", pace=(0, 0))
        await expect(ann.page.locator("#texts > :nth-last-child(2)")).to_be_visible()
        await shot(ann, "sending-390")
        assert await ann.page.locator("#composer").evaluate(WHOLE)
        await no_overflow(ann)
    await ann.sees("sending 5")
    await ann.go_offline()
    await ann.finish_animations()
    await expect(ann.page.get_by_text("The server is not answering")).to_be_visible()
    await shot(ann, "no-contact-390")
    await no_overflow(ann)


@pytest.mark.parametrize("width", WIDTHS)
async def test_without_javascript_it_looks_the_same(
    people: People, talk: Talk, shot: Shot, width: int
) -> None:
    ann = await talk()
    cat = await people.newcomer(javascript=False, width=width, height=WIDTHS[width])
    await cat.join_room(ann.code, "Dora")
    await expect(cat.page.frame_locator("iframe").get_by_text(TALK[-1][1])).to_be_visible()
    await shot(cat, f"without-javascript-{width}")
    assert await cat.page.locator("#composer").evaluate(WHOLE)
    await expect(cat.page.locator("#messages")).to_be_hidden()


async def test_print_is_a_clean_transcript(people: People, talk: Talk) -> None:
    ann = await talk(scheme="dark")
    assert "inset(50%)" in await ann.page.evaluate(CLIPS)  # on the screen, her own name says nothing new
    await ann.page.emulate_media(media="print")
    assert set(await ann.page.evaluate(CLIPS)) == {"none"}  # on paper, nobody knows who printed it
    for part in ("#base", "#composer", "#roster", "#signs", "#invite", ".leave", ".skip", ".home"):
        await expect(ann.page.locator(part)).to_be_hidden()
    for part in ("h1", "header .link", "#messages"):
        await expect(ann.page.locator(part)).to_be_visible()
    assert await ann.page.locator("#scroll").evaluate("e => getComputedStyle(e).overflowY") == "visible"
    by = ann.page.locator("#messages .by")
    for line in await by.all():
        box = await line.bounding_box()
        assert box
        assert box["height"] > 5, "every message says who and when"
    ink = await ann.page.evaluate("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")
    assert max(ink) < 64, "dark on white, whatever the scheme of the screen"
    SCREENS.mkdir(parents=True, exist_ok=True)
    await ann.page.pdf(path=SCREENS / "transcript.pdf")


async def test_reduced_motion_and_forced_colours(people: People, talk: Talk) -> None:
    ann = await talk(reduced_motion="reduce", forced_colors="active")
    await ann.say("still")
    assert await ann.style("#live > .m", "transitionDuration") == "0s"
    assert await ann.style(".b", "borderTopWidth") == "1px"
    assert await ann.style("button.send", "borderTopStyle") == "solid"


async def test_code_and_link_are_selected_by_one_click(people: People, talk: Talk) -> None:
    ann = await people.newcomer()
    code = await ann.open_room("Ann")
    for selector, text in (
        ("#title .code", grouped(code)),
        (".invite .code", grouped(code)),
        (".invite .copy", f"{ann.url}/rooms/{code}"),
    ):
        await ann.page.locator(selector).click()
        assert (await ann.page.evaluate("String(getSelection())")).strip() == text
    await ann.live()
    await ann.say("no longer alone")
    await expect(ann.page.locator(".invite")).to_be_hidden()
    await ann.page.reload()
    await expect(ann.page.locator("#composer")).to_be_visible()
    await expect(ann.page.locator(".invite")).to_have_count(0)
