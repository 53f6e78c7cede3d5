"""People with browsers: what they do in the room, what they see, and what their console says meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlencode, urljoin

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from serving import Server
from wire import Socket, Wire

TIMEOUT = 15_000  # ms; generous, because other work may share the machine
# What the console says while the server is down.
REFUSED = (
    r"net::ERR_CONNECTION_(REFUSED|RESET)|net::ERR_EMPTY_RESPONSE|net::ERR_SOCKET_NOT_CONNECTED|"
    r"WebSocket connection to .* failed|htmx: htmx:ws:error: \[object Event\] {elt: div#room|"
    r"htmx: htmx:error: Failed to fetch"
)
# And while there is no network.
OFFLINE = r"net::ERR_INTERNET_DISCONNECTED|htmx: htmx:error: Failed to fetch"

# And when a window is closed while its socket is connecting.
CUT = "WebSocket is closed before the connection is established"

Scheme = Literal["light", "dark"]

# Every message of the page, oldest first, in the shape of Line.
LINES = """() => [...document.querySelectorAll("#earlier>li[id], #live>li[id]")]
  .filter(li => !li.matches(".notice")).map(li => [+li.id.slice(8), li.querySelector(".by bdi").textContent,
    li.querySelector(".text")?.textContent ?? null])"""
NOTICES = """() => [...document.querySelectorAll("#messages .notice p:last-of-type")]
  .map(p => p.textContent.replace(/\\s*\\d\\d:\\d\\d$/, ""))"""
IDS = """() => [...document.querySelectorAll("#messages li[id]")].map(li => +li.id.slice(8))"""
EMPTIED = """() => document.querySelector("#texts>:last-child")?.value === "" """
# What the page went through: close codes, connections, and pageshow events.
DIARY = """
  window.codes = []; window.opened = 0; window.shows = [];
  addEventListener("htmx:ws:close", e => codes.push(e.detail.code));
  addEventListener("htmx:ws:after:connection", () => opened++);
  addEventListener("pageshow", e => shows.push(e.persisted));
"""


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """The server is silent, but its connections stay."""
    server.pause()
    try:
        yield
    finally:
        server.go_on()


async def crowd(port: int, code: str, names: Sequence[str]) -> list[Socket]:
    """Many people without a browser, each here and with one message."""
    sockets = []
    for name in names:
        form = urlencode({"name": name})
        async with await Wire.open(port) as wire:
            lines = [f"POST /rooms/{code} HTTP/1.1", "Host: x", f"Content-Length: {len(form)}"]
            lines += ["Content-Type: application/x-www-form-urlencoded", "", form]
            await wire.send("\r\n".join(lines).encode())
            cookie = (await wire.head()).headers["set-cookie"].split(";")[0].partition("=")
        socket = await Socket.connect(port, f"/rooms/{code}/live", cookies={cookie[0]: cookie[2]})
        await socket.send_text(json.dumps({"k": "resume", "since": "0"}))
        await socket.send_text(json.dumps({"body": f"I am {name}", "key": secrets.token_hex(4)}))
        sockets.append(socket)
    return sockets


class Line(NamedTuple):
    id: int
    by: str
    text: str | None


class Tab:
    """One tab of a person. Whatever its console says is noise, unless it was expected."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.noise: list[str] = []
        # Chromium says this if somebody was quicker than the page's autofocus, or came to a place in it.
        self.expected = [
            "Autofocus processing was blocked because a document already has a focused element",
            "Autofocus processing was blocked because a document's URL has a fragment",
            'Clear-Site-Data header on .*: Cleared data types: "cache"',  # after leaving, on this machine
        ]
        page.on("console", lambda message: self.noise.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.noise.append(f"error: {error}"))
        page.on("crash", lambda _: self.noise.append("the page crashed"))

    # Silence ------------------------------------------------------------------------------------------

    def expect_noise(self, pattern: str) -> None:
        """The console may say this from now on."""
        self.expected.append(pattern)

    async def go_offline(self) -> None:
        """Whatever the page asks for from now on fails, such as its list of rooms."""
        self.expect_noise(OFFLINE)
        await self.page.context.set_offline(True)

    @contextmanager
    def noise_expected(self, pattern: str) -> Iterator[None]:
        """The console may say this during a step."""
        before = len(self.noise)
        yield
        self.noise[before:] = [line for line in self.noise[before:] if not re.search(pattern, line)]

    @property
    def unexpected(self) -> list[str]:
        return [line for line in self.noise if not any(re.search(p, line) for p in self.expected)]

    # Getting in and out -------------------------------------------------------------------------------

    async def open_room(self, name: str) -> str:
        """Create a room, as the home page's form does, and return its code."""
        await self._post(self.url, {"name": name, "create": "1"})
        return self.code

    async def join_room(self, code: str, name: str) -> Self:
        """Accept an invitation, as its form does."""
        await self._post(f"{self.url}/rooms/{code}", {"name": name})
        return self

    async def _post(self, url: str, form: dict[str, str | float | bool]) -> None:
        answer = await self.page.context.request.post(url, form=form, max_redirects=0)
        assert answer.status == 303, await answer.text()
        await self.page.goto(urljoin(self.url, answer.headers["location"]), wait_until="domcontentloaded")
        await self.in_room()

    async def in_room(self) -> None:
        await self.page.wait_for_url("**/rooms/*", wait_until="commit")
        await expect(self.page.locator("#composer")).to_be_visible()

    async def ask_to_leave(self) -> None:
        """Go to the page that asks whether to leave."""
        await self.open_menu()
        await self.page.get_by_role("link", name="Leave for good…").click()

    async def leave(self) -> None:
        """Leave for good, which is asked first."""
        await self.ask_to_leave()
        await self.page.get_by_role("button", name="Leave for good").click()

    async def live(self) -> Self:
        """Wait until the socket is open and the page has been brought up to date."""
        await self.page.wait_for_function("() => window.opened > 0")
        await expect(self.page.locator("#status")).not_to_contain_text("Reconnecting")
        return self

    @property
    def code(self) -> str:
        return re.split("[/?#]", self.page.url.split("/rooms/")[1])[0]

    # Writing ------------------------------------------------------------------------------------------

    @property
    def field(self) -> Locator:
        """The control that takes what is typed next; those before it are on their way."""
        return self.page.locator("#texts > :last-child")

    async def say(self, text: str) -> None:
        await self.field.focus()
        await self.page.keyboard.insert_text(text)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_function(EMPTIED)

    async def type(self, text: str, pace: tuple[float, float] = (0.06, 0.12)) -> None:
        """Type like a person who is good at it: `pace` is seconds between keys. "\\n" is Enter.

        On a machine with too much to do the empty control may come late: a person would see that and wait
        too. How soon it comes is a test of its own.
        """
        for key in text:
            await self.page.keyboard.press("Enter" if key == "\n" else "Space" if key == " " else key)
            await asyncio.sleep(random.uniform(*pace))
            if key == "\n":
                await self.page.wait_for_function(EMPTIED)

    async def open_menu(self) -> None:
        await self.page.get_by_role("button", name="Room menu").click()
        await expect(self.page.locator("#menu")).to_be_visible()

    async def rest(self) -> None:
        """Wait until exactly one empty control is left and nothing is on its way."""
        await expect(self.page.locator("#texts > *")).to_have_count(1)
        await expect(self.field).to_have_value("")

    async def choose(self, message: Locator, button: str | None = None) -> None:
        """Click a message's dots, and a button of the palette.

        A click on what moves between the pressing and the letting go does nothing, so the notice of who
        entered has to be there, the last text stored, and the last choice answered.
        """
        await expect(self.page.locator("#messages .notice").first).to_be_attached()
        await expect(self.page.locator("#texts > *")).to_have_count(1)
        await expect(self.page.locator(".by > :checked")).to_have_count(0)
        await message.locator(".by > input").check()
        if button:
            await self.page.locator("#pal").get_by_role("button", name=button, exact=True).click()

    # Reading ------------------------------------------------------------------------------------------

    @property
    def newest(self) -> Locator:
        """The last message that can be chosen."""
        return self.page.locator("#messages .m:has(.by > input)").last

    def message(self, text: str) -> Locator:
        return self.page.locator("#messages .m").filter(has=self.page.locator(".text", has_text=text))

    async def sees(self, text: str) -> None:
        await expect(self.message(text).last).to_be_attached()

    async def lines(self) -> list[Line]:
        return [Line(*line) for line in await self.page.evaluate(LINES)]

    async def texts(self) -> list[str | None]:
        return [line.text for line in await self.lines()]

    async def shows(self, texts: Sequence[str | None], timeout: float = TIMEOUT) -> None:
        """Wait until exactly these texts are there, in this order and in the order of their ids."""
        deadline = asyncio.get_running_loop().time() + timeout / 1000
        while (seen := await self.texts()) != list(texts) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.1)
        assert seen == list(texts)
        ids = await self.page.evaluate(IDS)
        assert ids == sorted(set(ids)), f"twice, or out of order: {ids}"

    async def have_told(self) -> None:
        """Have the room tell of everybody who comes and goes."""
        url = f"{self.url}/rooms/{self.code}/comings"
        answer = await self.page.context.request.post(url, form={"on": "1"}, max_redirects=0)
        assert answer.status == 303, await answer.text()
        await self.told_of("everybody who comes and goes")

    async def told_of(self, what: str) -> None:
        """Wait for a notice that has these words; the one about who entered may take a second."""
        await expect(self.page.locator("#messages .notice", has_text=what).first).to_be_attached()

    async def notices(self) -> list[str]:
        return list(await self.page.evaluate(NOTICES))

    async def both_entered(self) -> list[str]:
        """Wait until the room was told of Ann and Bob, and return its notices; that may take a second."""
        entered = re.compile(
            "(Ann and Bob|Bob and Ann) are here for the first time"
        )  # whose page was quicker
        await expect(self.page.locator("#messages .notice")).to_contain_text(entered)
        return await self.notices()

    async def style(self, selector: str, name: str) -> str:
        return str(await self.page.locator(selector).last.evaluate(f"e => getComputedStyle(e)[{name!r}]"))

    async def write_history(self, count: int, text: str = "number {}") -> None:
        """Have many messages in the room without typing them; needs CHAT_RATE_LIMIT=off."""
        for start in range(0, count, 50):
            bodies = [("body", text.format(n)) for n in range(start, min(count, start + 50))]
            answer = await self.page.context.request.post(
                f"{self.url}/rooms/{self.code}/messages",
                data=urlencode([("key", secrets.token_hex(8)), *bodies]),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                max_redirects=0,
            )
            assert answer.status == 303, await answer.text()

    async def finish_animations(self) -> None:
        """Let the future of every running CSS animation come now."""
        await self.page.evaluate("() => document.getAnimations().forEach(a => a.finish())")


class People:
    """Everybody who takes part in a test; leaving is refused while somebody's console has complained.

    The first person reaches the first node, the next the next, and so on.
    """

    def __init__(self, browser: Browser, urls: Sequence[str]) -> None:
        self.browser = browser
        self.urls = urls
        self.tabs: list[Tab] = []
        self._contexts: list[BrowserContext] = []

    async def newcomer(
        self,
        *,
        width: int = 1280,
        height: int = 800,
        scheme: Scheme = "light",
        javascript: bool = True,
        **options: Any,
    ) -> Tab:
        """A person with a browser of their own, on no page yet."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=javascript,
            **options,
        )
        context.set_default_timeout(TIMEOUT)
        url = self.urls[len(self._contexts) % len(self.urls)]
        self._contexts.append(context)
        if javascript:
            await context.add_init_script(DIARY)
        return await self._open(context, url)

    async def another_tab(self, of: Tab, url: str = "") -> Tab:
        """Of the same person, on the same node unless `url` leads to another."""
        return await self._open(of.page.context, url or of.url)

    async def _open(self, context: BrowserContext, url: str) -> Tab:
        tab = Tab(await context.new_page(), url)
        self.tabs.append(tab)
        return tab

    async def two(self) -> tuple[Tab, Tab]:
        """Ann and Bob, both live in a new room."""
        ann, bob = await self.newcomer(), await self.newcomer()
        code = await ann.open_room("Ann")
        await bob.join_room(code, "Bob")
        await asyncio.gather(ann.live(), bob.live())
        for tab in (ann, bob):  # Chromium may pass over the autofocus of a window that is behind another
            await tab.field.focus()
        return ann, bob

    async def go_home(self) -> None:
        with ExitStack() as closing:
            for tab in self.tabs:
                closing.enter_context(tab.noise_expected(CUT))
            for context in self._contexts:
                await context.close()
        noise = [f"{i}: {line}" for i, tab in enumerate(self.tabs) for line in tab.unexpected]
        assert not noise, "the console said:\n" + "\n".join(noise)
