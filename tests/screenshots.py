"""Pictures of every state, to be compared by eye with one another: `python -m tests.screenshots [FOLDER]`.

They go to docs/screenshots. Chromium takes them, and a font with emoji has to be there.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.append(str(Path(__file__).parent))  # as pytest does: `serving` lies there

from browser.drivers.chromium import OPTIONS, PROGRAM
from playwright.async_api import APIRequestContext, Browser, Page, async_playwright, expect
from serving import REPO, Server

TITLE, TOPIC = "Saturday regatta", "Sat 28 Nov · Start 11:00 · Harbour radio 72"
TALK = (
    ("Bruno Keller", "Wind for Saturday: 4–5 Bft from the south-west. Juniors stay inside the mole."),
    ("Ann Hart", "Thanks Bruno. So we start at 11:00 instead of 13:00?"),
    ("Bruno Keller", "Yes."),
    ("Bruno Keller", "I put the new times here: https://example.org/regatta"),
    ("Priya Raman", "Who takes the safety boat? I can do the morning but not after lunch, because the little "
     "one has a birthday party at the other end of town and somebody has to bring the cake 🎂"),
    ("Omar Haddad", "سآخذ القارب بعد الظهر إن شاء الله"),
    ("Ann Hart", "Perfect, thank you both!"),
    ("Jo Weaver", "could you print this for the notice board?"),
    ("Jo Weaver", "⛵🏆"),
    ("Priya Raman", "See you there"),
)  # fmt: skip
FORMATTED = (
    ("Bruno Keller", "/me has *finally* fixed the winch"),
    ("Ann Hart", "That is **great** news. Who can `ssh harbour` and look at:\n"
     "- the clock\n- the ~~old~~ new list\nIt ends ||at 11:40||."),
    ("Priya Raman", "> the clock\nIt is right again :tada:"),
    ("Jo Weaver", "```python\ndef start(boats):\n    for boat in boats:  # every class\n"
     '        print(f"{boat} starts at 11")\n```'),
)  # fmt: skip
NEWS = "Who brings the new rope?", "And the *big* fenders?", "@Ann Hart will you be there at nine?"
OTHER_ROOMS = ("Boat repairs", "Juniors’ parents", "Committee")
DESK, PHONE, SMALL = (1400, 875), (390, 780), (320, 568)


class People:
    """Everybody of the talk, each with cookies of their own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._requests: dict[str, APIRequestContext] = {}
        self.room = ""

    async def request(self, name: str) -> APIRequestContext:
        if name not in self._requests:
            self._requests[name] = (await self._browser.new_context()).request
            if self.room:
                await self._requests[name].post(self.room, form={"name": name})
        return self._requests[name]

    async def create(self, name: str, title: str) -> str:
        reply = await (await self.request(name)).post(
            self._url + "/", form={"name": name, "title": title, "create": "1"}
        )
        return reply.url

    async def say(self, name: str, text: str) -> None:
        await (await self.request(name)).post(
            f"{self.room}/messages",
            data=urlencode({"key": secrets.token_hex(8), "body": text}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    async def talk(self) -> None:
        for title in OTHER_ROOMS:
            await self.create("Ann Hart", title)
        self.room = await self.create("Ann Hart", TITLE)
        ann = await self.request("Ann Hart")
        await ann.post(f"{self.room}/title", form={"title": TITLE, "topic": TOPIC})
        for name, text in TALK:
            await self.say(name, text)
        ids = re.findall(r'id="message-(\d+)" class="m c', await (await ann.get(self.room)).text())
        for name in ("Ann Hart", "Priya Raman", "Omar Haddad"):
            await (await self.request(name)).post(
                f"{self.room}/{ids[0]}/reactions", form={"emoji": "👍", "on": "1"}
            )
        await (await self.request("Bruno Keller")).post(
            f"{self.room}/{ids[5]}/reactions", form={"emoji": "❤️", "on": "1"}
        )

    async def stranger(self, size: tuple[int, int]) -> Page:
        context = await self._browser.new_context(viewport={"width": size[0], "height": size[1]})
        return await context.new_page()

    async def page(self, name: str, size: tuple[int, int], **options: Any) -> Page:
        phone = size[0] < 640
        state = await (await self.request(name)).storage_state()
        context = await self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            storage_state=state,
            has_touch=phone,
            is_mobile=phone,
            **options,
        )
        return await context.new_page()


class Camera:
    def __init__(self, people: People, folder: Path, url: str) -> None:
        self._people = people
        self._folder = folder
        self._url = url

    async def shoot(self, page: Page, name: str) -> None:
        await page.wait_for_timeout(600)
        await page.screenshot(path=self._folder / f"{name}.png")
        print(name)

    async def pages(self) -> None:
        """Every page but the room."""
        ann, room = "Ann Hart", self._people.room
        for name, who, path in (
            ("home", ann, self._url + "/"),
            ("settings", ann, self._url + "/settings"),
            ("leaving", ann, f"{room}/leave"),
            ("my-name", ann, f"{room}/name"),
            ("title", ann, f"{room}/title"),
            ("search", ann, f"{room}/search?q=boat"),
            ("help", ann, f"{self._url}/help"),
            ("day", ann, f"{room}/on/{datetime.now(UTC):%Y-%m-%d}"),
            ("no-such-page", ann, f"{self._url}/rooms/2222222222"),
        ):
            await self._page(name, who, path)
        for size, kind in ((DESK, "desk"), (PHONE, "phone")):
            for name, path in (("first-visit", self._url), ("invited", room)):
                stranger = await self._people.stranger(size)
                await stranger.goto(path)
                await self.shoot(stranger, f"{name}-{kind}")

    async def formatted(self) -> None:
        """A room of texts with marks."""
        self._people.room = await self._people.create("Ann Hart", "Winch and clock")
        for name, text in FORMATTED:
            await (await self._people.request(name)).post(self._people.room, form={"name": name})
            await self._people.say(name, text)
        shots = ("desk", DESK, "light"), ("desk-dark", DESK, "dark"), ("phone", PHONE, "light")
        for kind, size, scheme in shots:
            page = await self.room(f"formatted-{kind}", size, color_scheme=scheme)
            await page.context.close()

    async def unread(self) -> None:
        """What came while somebody was away: the line above it, and how they answer."""
        for size, kind in ((DESK, "desk"), (PHONE, "phone")):
            for text in NEWS:
                await self._people.say("Bruno Keller", text)
            page = await self.room(f"unread-{kind}", size)
            await page.locator(".m", has_text="rope").last.locator(".by > input").check(force=True)
            await page.locator("#pal").get_by_role("button", name="Another emoji").click()
            await page.locator("#emojis").wait_for()
            await self.shoot(page, f"picker-{kind}")
            await page.locator("#acting").get_by_role("button", name="Cancel").click()
            await page.locator(".m", has_text="rope").last.locator(".by > input").check(force=True)
            await page.locator("#pal").get_by_role("button", name="Reply").click()
            await page.locator("#texts > :last-child").press_sequentially("I have one. So has @pri")
            await page.locator("#hint .names").wait_for()
            await self.shoot(page, f"reply-{kind}")
            await page.locator("#hint .names button").click()
            await expect(page.locator("#texts > :last-child")).to_have_value(re.compile("@Priya Raman $"))
            await page.locator("#texts > :last-child").press("Enter")
            await page.locator(".m .quote").last.wait_for()
            await page.context.close()

    async def _page(self, name: str, who: str, path: str) -> None:
        for size, kind in ((DESK, "desk"), (PHONE, "phone")):
            page = await self._people.page(who, size)
            await page.goto(path)
            await self.shoot(page, f"{name}-{kind}")
            await page.context.close()

    async def room(self, name: str, size: tuple[int, int], **options: Any) -> Page:
        page = await self._people.page("Ann Hart", size, **options)
        await page.goto(self._people.room, wait_until="commit")
        await page.wait_for_selector("#composer")
        await self.shoot(page, name)
        return page

    async def rooms(self) -> None:
        """The room in every width and scheme."""
        await self.room("room-desk-dark", DESK, color_scheme="dark")
        await self.room("room-phone-dark", PHONE, color_scheme="dark")
        await self.room("room-320", SMALL)
        await self.room("room-without-javascript", DESK, java_script_enabled=False)
        await self.room("room-arabic", DESK, locale="ar")
        await self.room("room-japanese-phone", PHONE, locale="ja")
        await self.room("room-forced-colours", DESK, forced_colors="active")
        print_out = await self.room("room-middle", (900, 700))
        await print_out.emulate_media(media="print")
        await self.shoot(print_out, "room-print")

    async def states(self, server: Server) -> None:
        for size, kind in ((DESK, "desk"), (PHONE, "phone")):
            page = await self.room(f"room-{kind}", size)
            await page.locator(".m", has_text="Perfect").locator(".by > input").check(force=True)
            await self.shoot(page, f"own-message-{kind}")
            await page.locator("#pal [type=reset]").click()
            if kind == "phone":
                await page.locator("[popovertarget=roster]").click()
                await self.shoot(page, "people-phone")
                await page.keyboard.press("Escape")
            await page.locator("[popovertarget=menu]").click()
            await self.shoot(page, f"menu-{kind}")
            await page.locator("#menu [popovertarget=invitation]").click()
            await self.shoot(page, f"invite-{kind}")
            await page.keyboard.press("Escape")
            await page.keyboard.press("Escape")
            await page.locator("#switch").click()
            await self.shoot(page, f"several-lines-{kind}")
            server.pause()
            await page.locator("#texts > :last-child").fill("This is on its way")
            await page.locator(".send").click()
            await self.shoot(page, f"sending-{kind}")
            server.go_on()
            await page.locator("#texts > :last-child").fill("far too long " * 900)
            await page.locator(".send").click()
            await self.shoot(page, f"refused-{kind}")
            await page.context.close()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        settings = {"CHAT_DATABASE_URL": f"sqlite:///{data}/chat.db", "CHAT_RATE_LIMIT": "off"}
        with Server(env=settings) as server:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=PROGRAM, args=OPTIONS)
                people = People(browser, server.url)
                await people.talk()
                for name in ("Bruno Keller", "Omar Haddad", "Priya Raman"):
                    await (await people.page(name, DESK)).goto(people.room)
                camera = Camera(people, folder, server.url)
                await camera.rooms()
                await camera.states(server)
                await camera.pages()
                await camera.formatted()
                await camera.unread()
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else REPO / "docs" / "screenshots"))
