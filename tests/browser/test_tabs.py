"""Tabs that begin again: by Back, duplicated, discarded, or restored after the browser was killed.

The server is killed before it has stored a text of such a tab, and again after that, before it has said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
import pytest_asyncio
from deployments import ONE, deployed
from dom import parse
from faults import Proxy
from serving import Server

from browser.drivers import ENGINES
from browser.drivers.chromium_profile import ChromiumProfile
from browser.drivers.firefox_profile import FirefoxProfile
from browser.drivers.profile import DiscardingProfile, Profile, until
from browser.drivers.webkit_profile import WebKitProfile
from browser.drivers.window import Window
from browser.failures import keep_pictures
from browser.visitors import FIELD, LIVE, UNREACHABLE, Visitor

pytestmark = pytest.mark.parametrize("deployment", [ONE])
PROFILES = {kind.name: kind for kind in (ChromiumProfile, FirefoxProfile, WebKitProfile)}
FRAMED = """[...document.querySelector("iframe")?.contentDocument?.querySelectorAll(".text") ?? []]
  .map(p => p.textContent)"""

ASK = """(window.answered = null, fetch(location.href).then(answer => answer.text())
  .then(text => { window.answered = text }), 0)"""


class Somebody(Visitor):
    """A visitor whose page may have no script: then they press Enter in a form, and read in a frame."""

    def __init__(self, window: Window, url: str, profile: Profile) -> None:
        super().__init__(window, url)
        self.javascript = profile.javascript
        self.repeats_forms = profile.repeats_forms
        self.expected += [UNREACHABLE, "ERR_INCOMPLETE_CHUNKED_ENCODING"]

    async def in_room(self) -> None:
        """The server has dealt the page its life, or the messages are in their frame."""
        await self.window.wait_for(f"document.querySelector({FIELD!r}) !== null")
        await self.window.wait_for(LIVE if self.javascript else f"{FRAMED}.length >= 0")

    async def shows(self, texts: Sequence[str]) -> None:
        if self.javascript:
            await super().shows(texts)
        else:
            await self.window.wait_for(f"JSON.stringify({FRAMED}) === JSON.stringify({list(texts)})")

    async def type(self, text: str, pace: float = 0) -> None:
        """Instead of what Back has brought back."""
        await self.window.evaluate(f"(document.querySelector({FIELD!r}).value = '')")
        await super().type(text, pace)

    async def says(self, text: str, shows: list[str]) -> None:
        await self.type(f"{text}\n")
        await self.shows(shows)

    async def sends_again(self, text: str = "") -> None:
        """Without JavaScript it is up to them: there is an error page, which they reload.

        If the browser does not repeat the form, they are in the room again, and write what is not there.
        """
        if not self.javascript:
            await self.window.reload()
            if text and not self.repeats_forms:
                await self.in_room()
                await self.type(f"{text}\n")


class Reader:
    """Sees what is stored, without a browser."""

    def __init__(self, url: str) -> None:
        self._open = build_opener(HTTPCookieProcessor()).open
        self._url = url

    async def _ask(self, form: dict[str, str] | None = None) -> str:
        data = urlencode(form).encode() if form else None
        with await asyncio.to_thread(self._open, self._url, data, 10) as answer:
            return str(answer.read().decode())

    async def join(self, code: str) -> None:
        self._url += f"/rooms/{code}"
        await self._ask({"name": "Bob"})

    async def sees(self, texts: list[str]) -> None:
        async def look() -> bool | None:
            return [p.text for p in parse(await self._ask()).all(".text")] == texts or None

        await until(look, f"{texts} are stored")


@pytest.fixture
def nodes(deployment: str, tmp_path: Path) -> Iterator[list[Server]]:
    """A server of this test's own, to be killed."""
    with deployed(deployment, tmp_path, {}) as nodes:
        yield nodes


@pytest_asyncio.fixture(loop_scope="session")
async def wire(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def profile(
    request: pytest.FixtureRequest, tmp_path: Path, browser: str, javascript: bool
) -> AsyncIterator[Profile]:
    ENGINES[browser].require()
    profile = PROFILES[browser](tmp_path, javascript)
    await profile.start()
    yield profile
    await keep_pictures(request.node, profile.windows)
    await profile.quit()


async def back(profile: Profile, window: Window) -> Window:
    """With JavaScript, not out of the back/forward cache, which keeps the page's life: its HTML comes back.

    Without, to the page whose form was answered. In Firefox and WebKit that is one entry with the answer,
    and they go forward again.
    """
    if profile.javascript:
        await window.evaluate("(addEventListener('unload', () => {}), 0)")
        await window.click("#rail a[href='/']")
        await window.wait_for("document.querySelector('#code') !== null")
        await window.back()
        return window
    await window.evaluate("(window.answer = true)")
    await window.back()
    await window.wait_for(f"!window.answer && document.querySelector({f'#code, {FIELD}'!r}) !== null")
    if await window.evaluate("document.querySelector('#code') !== null"):
        await window.evaluate("(history.forward(), 0)")
    return window


async def duplicated(profile: Profile, window: Window) -> Window:
    return await profile.duplicate(window)


async def discarded(profile: Profile, window: Window) -> Window:
    assert isinstance(profile, DiscardingProfile)
    return await profile.discard(window)


async def restored(profile: Profile, window: Window) -> Window:
    return await profile.restore()


BEGINNINGS = [back, duplicated, discarded, restored]
POSSIBLE = [
    (browser, begins_again, javascript)
    for browser, begins_again, javascript in product(PROFILES, BEGINNINGS, [True, False])
    if begins_again is not discarded or issubclass(PROFILES[browser], DiscardingProfile)
]


@pytest.mark.parametrize(("browser", "begins_again", "javascript"), POSSIBLE)
async def test_a_tab_that_begins_again_sends_each_text_once_whenever_the_server_is_killed(
    profile: Profile,
    server: Server,
    wire: Proxy,
    begins_again: Callable[[Profile, Window], Awaitable[Window]],
) -> None:
    first = Somebody(profile.first, f"http://127.0.0.1:{wire.port}", profile)
    reader = Reader(server.url)
    await reader.join(await first.open_room("Ann"))
    await first.in_room()
    await first.says("ok", ["ok"])
    tab = Somebody(await begins_again(profile, profile.first), first.url, profile)
    await tab.in_room()
    await tab.shows(["ok"])
    await tab.says("ok", ["ok"] * 2)

    server.pause()
    await tab.type("before\n")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await tab.sends_again("before")
    await tab.shows(["ok", "ok", "before"])

    wire.mute()
    await tab.type("after\n")
    await reader.sees(["ok", "ok", "before", "after"])
    await asyncio.to_thread(server.kill)
    wire.heal()
    await asyncio.to_thread(server.start)
    await tab.sends_again()
    await tab.shows(["ok", "ok", "before", "after"])

    await tab.says("ok", ["ok", "ok", "before", "after", "ok"])
    if begins_again is duplicated:
        await first.says("ok", ["ok", "ok", "before", "after", "ok", "ok"])
    await tab.in_room()
    assert not tab.noise
    assert not first.noise


@pytest.mark.parametrize("javascript", [True])
@pytest.mark.parametrize("browser", ["Chromium", "Firefox"])  # in WebKit the first tab begins again, too
async def test_a_text_on_its_way_is_sent_by_the_tab_that_holds_it_not_by_its_duplicate(
    profile: Profile, server: Server
) -> None:
    first = Somebody(profile.first, server.url, profile)
    await first.open_room("Ann")
    await first.in_room()
    server.pause()
    await first.type("on its way\n")
    second = Somebody(await profile.duplicate(first.window), server.url, profile)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    await second.in_room()
    texts = ["on its way"]
    for tab in (first, second, first):
        await tab.shows(texts)
        texts.append("ok")
        await tab.says("ok", texts)
    await first.rest()
    await second.rest()


@pytest.mark.parametrize("javascript", [True])
@pytest.mark.parametrize("browser", ["Chromium"])  # decision 29 says why the other two forget it
async def test_a_text_on_its_way_is_sent_once_after_back(profile: Profile, server: Server) -> None:
    first = Somebody(profile.first, server.url, profile)
    await first.open_room("Ann")
    await first.in_room()
    server.pause()
    await first.type("on its way\n")
    await first.window.evaluate("(window.kept = true)")
    await first.window.open("about:blank")
    await asyncio.to_thread(server.kill)
    await first.window.back()
    assert await first.window.wait_for("window.kept")
    await asyncio.to_thread(server.start)
    await first.shows(["on its way"])
    await first.says("ok", ["on its way", "ok"])
    await first.rest()


async def is_kept(tab: Somebody, text: str) -> None:
    """Wait until the draft of the person is this text."""

    async def look() -> bool | None:
        await tab.window.evaluate(ASK)
        found = await tab.window.wait_for("window.answered ?? null")
        return parse(str(found)).one("#texts [name=body]").value == text or None

    await until(look, f"the draft is {text!r}")


@pytest.mark.parametrize("javascript", [True])
@pytest.mark.parametrize("begins_again", [back, restored, duplicated])
@pytest.mark.parametrize("browser", PROFILES)
async def test_a_tab_that_begins_again_has_what_was_begun_once(
    profile: Profile, server: Server, begins_again: Callable[[Profile, Window], Awaitable[Window]]
) -> None:
    """Whatever the browser itself puts back into the field."""
    first = Somebody(profile.first, server.url, profile)
    reader = Reader(server.url)
    await reader.join(await first.open_room("Ann"))
    await first.in_room()
    await first.type("begun")
    await is_kept(first, "begun")
    tab = Somebody(await begins_again(profile, profile.first), first.url, profile)
    await tab.in_room()
    await tab.window.wait_for(f"document.querySelector({FIELD!r})?.value === 'begun' || null")
    await tab.window.focus(FIELD)
    await tab.window.type(" and sent\n", 0)
    await tab.shows(["begun and sent"])
    await tab.rest()
    again = Somebody(await begins_again(profile, tab.window), first.url, profile)
    await again.in_room()
    await again.shows(["begun and sent"])
    await again.rest()


@pytest.mark.parametrize("javascript", [False])
@pytest.mark.parametrize("browser", PROFILES)
async def test_a_picture_of_a_tab_shows_what_is_in_it(
    profile: Profile, server: Server, tmp_path: Path
) -> None:
    [window] = profile.windows
    pictures = []
    for path in ("/", "/nowhere"):
        await window.open(server.url + path)
        await window.screenshot(tmp_path / "picture.png")
        pictures.append((tmp_path / "picture.png").read_bytes())
        size = [int.from_bytes(pictures[-1][at : at + 4]) for at in (16, 20)]  # of a PNG
        assert size == await window.evaluate("[innerWidth, innerHeight]")
    assert pictures[0] != pictures[1]
