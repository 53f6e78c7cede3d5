"""People for tests: each with cookies of their own, over Quart's test client and test WebSocket."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from dom import Element, parse
from quart import Quart
from quart.testing.connections import WebsocketDisconnectError

from chat.live.connection import Connection

ORIGIN = "http://localhost"
PATIENCE = 5.0  # s until a test gives up on what should come at once
FORM = "application/x-www-form-urlencoded"
Form = Mapping[str, str] | Iterable[tuple[str, str]]
Exchange = Callable[[], Awaitable[None]]
Turn = Callable[..., Awaitable[None]]


class FakeClock:
    """Seconds that pass only when a test says so: as time.monotonic, and as `wall` like time.time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now  # from 2027-01-15 08:16:40 UTC

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


async def until(happened: Callable[[], object]) -> None:
    """Let everybody work until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.002)


async def seconds_until(happened: Callable[[], object], second: Callable[[], Awaitable[object]]) -> None:
    """Let seconds pass until something is so, each by `second`."""
    for _ in range(200):
        await second()
        if happened():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("It has not come to be so.")


class Reply:
    """What the server answered, read."""

    def __init__(self, status: int, headers: Any, cookies: list[str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.cookies = cookies
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def page(self) -> Element:
        return parse(self.text)


class Person:
    """One browser profile: it keeps its cookies, and sends an Origin with what it posts."""

    def __init__(self, app: Quart, name: str, address: str = "192.0.2.1") -> None:
        self.app = app
        self.name = name
        self.client = app.test_client()
        self.scope = {"client": (address, 40000)}

    def at(self, app: Quart) -> Person:
        """The same browser, whose proxy sends it to another node."""
        there = Person(app, self.name)
        there.client.cookie_jar = self.client.cookie_jar
        return there

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.ask("GET", path, headers=_spelled(headers))

    async def post(self, path: str, form: Form = (), **headers: str) -> Reply:
        """Post a form as a browser does; `origin=""` leaves the header out."""
        sent = {"Origin": ORIGIN, "Content-Type": FORM} | _spelled(headers)
        pairs = form.items() if isinstance(form, Mapping) else form
        return await self.ask("POST", path, headers=sent, data=urlencode(list(pairs)).encode())

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        data: bytes = b"",
        scheme: str = "http",
    ) -> Reply:
        client: Any = self.client  # its protocol wants a `json`, the client does not
        response = await client.open(
            path,
            method=method,
            headers={name: value for name, value in (headers or {}).items() if value},
            data=data,
            scheme=scheme,
            scope_base=self.scope,
        )
        body = await response.get_data(as_text=False)
        return Reply(response.status_code, response.headers, response.headers.getlist("Set-Cookie"), body)

    # What people do ---------------------------------------------------------------------------------

    async def create(self, name: str = "") -> str:
        """Make a room; its code."""
        reply = await self.post("/", {"name": name or self.name, "code": "", "create": "1"})
        assert reply.status == 303, reply.text
        return str(reply.headers["Location"]).removeprefix("/rooms/")

    async def join(self, code: str, name: str = "") -> None:
        reply = await self.post(f"/rooms/{code}", {"name": name or self.name})
        assert reply.status == 303, reply.text

    async def have_told(self, code: str) -> None:
        """Have the room tell of everybody who comes and goes."""
        assert (await self.post(f"/rooms/{code}/comings", {"on": "1"})).status == 303

    async def write(self, code: str, *texts: str) -> None:
        """Post by the ordinary form."""
        for text in texts:
            reply = await self.post(f"/rooms/{code}/messages", {"body": text, "key": secrets.token_hex(8)})
            assert reply.status == 303, reply.text

    async def look(self, code: str, query: str = "") -> Element:
        """A page of a room as a script would fetch it, which is not to read it."""
        reply = await self.get(f"/rooms/{code}{query}", sec_fetch_mode="cors")
        assert reply.status == 200, reply.text
        return reply.page

    async def texts(self, code: str) -> list[str]:
        return texts(await self.look(code))

    @asynccontextmanager
    async def live(self, code: str, **headers: str) -> AsyncIterator[Live]:
        """A WebSocket, open and silent until it resumes; that of home for no room."""
        sent = {"Origin": ORIGIN} | _spelled(headers)
        connection = self.client.websocket(
            f"/rooms/{code}/live" if code else "/live",
            headers={name: value for name, value in sent.items() if value},
            scope_base=self.scope,
        )
        async with connection:
            await until(lambda: connection.accepted or connection.status_code or connection._task.done())  # type: ignore
            yield Live(connection)

    @asynccontextmanager
    async def in_room(self, code: str) -> AsyncIterator[Live]:
        """A WebSocket that follows the room from what the page shows."""
        page = await self.look(code)
        feeds = self.app.extensions["chat"].hub.feeds
        async with self.live(code) as live:
            before = set(feeds[code].connections) if code in feeds else set()
            await live.resume(page)
            await until(
                lambda: (
                    code in feeds and any(one.cursor is not None for one in feeds[code].connections - before)
                )
            )
            yield live


class Live:
    """One WebSocket as the page sees it: frames are HTML, and the end has a code."""

    confirms = True  # that a farewell is shown

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.frames: list[Element] = []  # everything received so far
        self.raw: list[str] = []
        self.code: int | None = None

    async def send(self, **frame: object) -> None:
        await self.send_text(json.dumps(frame))

    async def send_text(self, text: str) -> None:
        await self.connection.send(text)

    async def send_bytes(self, data: bytes) -> None:
        # Both fields, as Hypercorn has them; Quart's own helper cannot send empty bytes.
        await self.connection._send_queue.put({"type": "websocket.receive", "bytes": data, "text": None})

    async def say(self, *texts: str, key: str = "page", acked: int = 0) -> None:
        body = list(texts) if len(texts) > 1 else texts[0]
        await self.send(body=body, key=key, acked=str(acked), headers={"HX-Request": "true"})

    async def resume(self, page: Element | None = None, **fields: object) -> None:
        """Say what the page has, as its hidden trigger does."""
        shown: dict[str, object] = {"k": "resume"}
        if page is not None:
            shown |= json.loads(page.one("#resume")["hx-vals"])
            if items := page.all("#live li") or page.all("#earlier li"):
                shown["since"] = items[-1].one("data[name=since]").value
        await self.send(**(shown | fields))

    async def frame(self) -> Element:
        """The next frame; the test fails if the connection ends instead."""
        async with asyncio.timeout(PATIENCE):
            text = await self.connection.receive()
        assert isinstance(text, str)
        text.encode()  # what cannot be encoded cannot be sent
        self.raw.append(text)
        self.frames.append(parse(text))
        if self.confirms and self.frames[-1].all(".farewell"):
            await self.send(k="farewell")
        return self.frames[-1]

    def hold_back(self, gate: asyncio.Event) -> None:
        """From now on this page takes nothing more, until the gate opens."""
        take = self.connection._receive_queue.put

        async def taken_later(item: Any) -> None:
            await gate.wait()
            await take(item)

        self.connection._receive_queue.put = taken_later

    async def stall(self, connection: Connection, sent: Awaitable[None]) -> asyncio.Event:
        """Hold the page back, and have the server's end of it wait with what is sent; what ends that."""
        gate = asyncio.Event()
        self.hold_back(gate)
        await sent
        await until(lambda: not connection.idle and not connection._ready)
        return gate

    async def ask(self, action: str, id: int) -> Element:
        """Choose it in the palette for a message; the form that appears."""
        await self.send(act=f"{action}?ask", id=str(id))
        forms: list[Element] = []
        while not forms:
            forms = (await self.frame()).all("hx-partial[hx-swap=innerMorph] form")
        return forms[-1]  # before it, its fields are empty

    async def until(self, selector: str, text: str = "") -> Element:
        """The next element like this, whichever frame brings it."""
        while True:
            frame = await self.frame()
            for element in frame.all(selector):
                if text in element.text:
                    return element

    async def ended(self) -> int:
        """The close code, when it comes; what is said before goes to `frames`."""
        while self.code is None:
            try:
                await self.frame()
            except WebsocketDisconnectError as error:
                self.code = int(error.args[0])
        return self.code

    @property
    def quiet(self) -> bool:
        """True if nothing has come that was not read."""
        return bool(self.connection._receive_queue.empty())

    @property
    def texts(self) -> list[str]:
        """Of every message received so far, in order of arrival."""
        return [text for frame in self.frames for text in texts(frame)]


def texts(page: Element) -> list[str]:
    """The texts of the messages on a page or in a frame, in order."""
    return [element.text for element in page.all("li .text")]


def ids(page: Element) -> list[int]:
    """Of the messages that a page began with, in order."""
    return [int(item["id"].removeprefix("message-")) for item in page.all("#earlier li[data-by]")]


def notices(page: Element) -> list[str]:
    """What the notices on a page or in a frame say, without their time."""
    return [notice.all("p")[-1].words.rpartition(" ")[0] for notice in page.all("li.notice")]


def window_titles(frame: Element) -> list[str]:
    """What a frame calls the window, one after the other."""
    return [
        new.words
        for new in frame.walk()
        if new.tag == "title" or new.attributes.get("hx-target") == "head>title"
    ]


def _spelled(headers: Mapping[str, str]) -> dict[str, str]:
    """Keyword arguments as header names: content_type is Content-Type."""
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


def on_its_way(write: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., asyncio.Future[Any]]:
    """In place of `append`, which is no coroutine."""
    return lambda *text: asyncio.ensure_future(write(*text))
