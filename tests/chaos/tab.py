"""One open page without a browser: it shows, sends, comes back and says what it has, as ours does in one."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlencode

from dom import Element, parse
from shown import ShownMessages, messages_of
from wire import Refused, Response, Socket, Wire

# As in templates/room.html, in seconds.
BACKOFF, LONGEST, JITTER = 0.5, 2.0, 0.5
AGAIN = {1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014}
QUEUE = 100  # frames that htmx keeps while it is offline
CHANGED = "(changed)"  # at the end of a text that was
HANDSHAKE = 5.0  # s; a proxy would give up on a silent node, too
FAILURES = (OSError, EOFError, TimeoutError, Refused)

AT = r'#composer:has\(#life\[value="([^"]+)"\]\)'  # only a page that has come exactly this far
CONTROLS = re.compile(AT + r" :is\(#texts,#replies\):has\(>:nth-child\((\d+)\)\)>:nth-child\(-n\+(\d+)\)")
PROGRESS = re.compile(AT + r":has\(#texts>:nth-child\((\d+)\)\) #life")


class Line(NamedTuple):
    """What one item of the list looks like."""

    id: int
    rev: int
    text: str | None  # of a message, not of a notice
    words: str

    @property
    def seen(self) -> tuple[object, ...]:
        """What a person sees of it: a reaction changes the rev of a message, and not that of its line."""
        return self.id, self.text, self.words


class Roster(NamedTuple):
    at: float
    names: list[str]
    frozen: bool


class Tab:
    """`doors` are ports: it comes in by the first, and by the next ones when that stays shut."""

    def __init__(self, name: str, code: str, cookie: str, doors: Sequence[int]) -> None:
        self.name = name
        self.code = code
        self.cookie = cookie
        self.doors = list(doors)
        self.earlier: list[Line] = []
        self.live: list[Line] = []
        self.rosters: list[Roster] = []
        self.outage = ""  # what the page says is out of order
        self.codes: list[int] = []  # with which its sockets closed
        self.typed: list[str] = []
        self.acknowledged: dict[str, float] = {}  # when
        self.seen: dict[str, float] = {}  # when, of every text
        self.faults: list[str] = []  # what a browser would have shown wrongly
        self.acts = 0  # that were done
        self.changed: set[str] = set()  # texts of its own that it may have edited
        self.deleted: set[str] = set()  # or deleted, or that answered what was
        self._shown = ShownMessages(Element("page"))
        self._ids: set[int] = set()
        self._texts: list[str] = []  # on their way
        self._replies: list[str] = []  # what each of them answers, if anything
        self._queue: list[str] = []
        self.epoch = ""  # of the history it shows
        self._life = ""  # dealt with the first answer, kept over connections
        self._took = False  # whether the controls of the last acknowledgement went
        self._socket: Socket | None = None
        self._work: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, name: str, code: str, doors: Sequence[int]) -> Self:
        """Take a seat, load the page, and open its socket."""
        self = await cls.seated(name, code, doors)
        self.connect()
        return self

    @classmethod
    async def seated(cls, name: str, code: str, doors: Sequence[int]) -> Self:
        """Take a seat and load the page."""
        response = await ask(doors[0], f"/rooms/{code}", form={"name": name})
        assert response.status == 303, response
        self = cls(name, code, response.headers["set-cookie"].partition(";")[0], doors)
        await self.load()
        return self

    async def load(self) -> None:
        page = await look(self.doors[0], f"/rooms/{self.code}", self.cookie)
        self._life = page.one("#composer #life")["value"]
        self._show_newest(page.one("#messages"))
        self._resume_from(page.one("#resume"))
        self._call_roll(page.one("#roster"))

    def connect(self) -> None:
        self._work = asyncio.create_task(self._come_and_go(), name=self.name)

    def check(self) -> None:
        """Raises what ended its coming and going, which nothing should."""
        if self._work and self._work.done():
            self._work.result()

    async def close(self) -> None:
        """The person closes the page."""
        work, self._work = self._work, None
        if work:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def move(self) -> None:
        """Lose the connection, and come back by the next door."""
        self.doors.append(self.doors.pop(0))
        if self._socket:
            self._socket.cut()

    def __str__(self) -> str:
        state = f"{'open' if self.open else 'closed'} {self.doors} {self.codes} {self.outage or 'no outage'}"
        return f"{self.name}: {state}, {self.waiting} waiting, roster {self.rosters[-1]}"

    @property
    def open(self) -> bool:
        return self._socket is not None

    # Writing ------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Texts that are not acknowledged."""
        return len(self._texts)

    def type(self, text: str, reply: int = 0) -> None:
        self.typed.append(text)
        self._texts.append(text)
        self._replies.append(f"{reply or ''}")
        frame = json.dumps(self._unacknowledged() | {"key": "", "headers": {"HX-Request": "true"}})
        if self._socket:
            self._send(self._socket, frame)
        elif len(self._queue) < QUEUE:
            self._queue.append(frame)

    def _unacknowledged(self) -> dict[str, object]:
        """The fields of the composer; one control is one value, several are a list."""
        texts = self._texts if len(self._texts) > 1 else self._texts[0] if self._texts else None
        fields: dict[str, object] = {"life": self._life, "reply": [*self._replies, ""]}
        return fields | ({"body": texts} if texts else {})

    def _send(self, socket: Socket, frame: str) -> None:
        with suppress(OSError):
            socket.start_text(frame)

    def anything_said(self) -> int:
        """One of the newest texts on the page, which may be deleted elsewhere; 0 if there is none."""
        return random.choice([item.id for item in self.lines[-10:] if item.text] or [0])

    async def read(self, id: int, door: int) -> None:
        """Say that everything up to a message is read."""
        response = await ask(door, f"/rooms/{self.code}/read", self.cookie, {"id": str(id)})
        assert response.status == 303, response

    async def act(self) -> None:
        """React to one of its newest texts, change it, or delete it. That may be lost on the way."""
        own = [item for item in self.lines if item.text and item.text.startswith(f"{self.name} ")]
        if not own:
            return
        item, what = random.choice(own[-5:]), random.choice(("reactions", "reactions", "edit", "delete"))
        text = plain(item.text or "")
        form = {"emoji": random.choice("👍🎉"), "on": random.choice("110"), "body": f"{text} {CHANGED}"}
        if what != "reactions":
            (self.changed if what == "edit" else self.deleted).add(text)
        with suppress(*FAILURES):
            async with asyncio.timeout(HANDSHAKE):
                path = f"/rooms/{self.code}/{item.id}/{what}"
                self.acts += (await ask(self.doors[0], path, self.cookie, form)).status == 303

    # Coming and going ---------------------------------------------------------------------------------

    async def _come_and_go(self) -> None:
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(HANDSHAKE):
                    socket = await self._handshake()
            except FAILURES:
                pass
            else:
                attempt = 0
                async with socket:
                    await self._follow(socket)
            attempt += 1
            if attempt % 2 == 0:
                self.doors.append(self.doors.pop(0))
            delay = min(BACKOFF * 2 ** (attempt - 1), LONGEST)
            await asyncio.sleep(delay + random.uniform(-JITTER, JITTER) * delay)

    async def _handshake(self) -> Socket:
        name, _, value = self.cookie.partition("=")
        return await Socket.connect(self.doors[0], f"/rooms/{self.code}/live", cookies={name: value})

    async def _follow(self, socket: Socket) -> None:
        """htmx empties its queue before the page's own trigger says where it stands."""
        queue, self._queue = self._queue, []
        for frame in queue:
            self._send(socket, frame)
        since = (self.live or self.earlier)[-1:]
        resume = {"k": "resume", "epoch": self.epoch} | ({"since": str(since[0].rev)} if since else {})
        resume |= {"outage": self.outage} if self.outage else {}
        resume |= {"new": self._shown.line.removeprefix("message-")} if self._shown.line else {}
        self._send(socket, json.dumps(resume | self._unacknowledged()))
        self._socket = socket
        try:
            while isinstance(said := await socket.recv(), str):
                self._take(said)
        finally:
            self._socket = None
        self.codes.append(said)
        if said not in AGAIN:
            raise AssertionError(f"{self.name} was turned out with {said}")

    # Showing ------------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[Line]:
        return self.earlier + self.live

    def _take(self, frame: str) -> None:
        for element in fragments(frame):
            target = element.attributes.get("hx-target", "")
            if element.tag == "li":
                self._append(element)
            elif target.startswith(("#message-", "#row-", "#messages .quote")):
                self._amend(element)
            elif controls := CONTROLS.fullmatch(target):
                self._drop_controls(controls[1], int(controls[2]), int(controls[3]))
            elif progress := PROGRESS.fullmatch(target):
                self._progress(progress[1], element)
            elif target == '#life[value=""]' and not self._life:
                self._life = element.one("#life")["value"]
            elif place := self._places.get(target):
                place(self, element)

    def _append(self, element: Element) -> None:
        new = line(element)
        if new.id in self._ids:
            self.faults.append(f"message {new.id} was appended twice")
        else:
            self._shown.take(Element("frame", children=[element]))
        self._ids.add(new.id)
        self.live.append(new)
        self._see(new)

    def _amend(self, element: Element) -> None:
        self._shown.take(Element("frame", children=[element]))
        for part in (self.earlier, self.live):
            part[:] = [line(self._shown.items[f"message-{old.id}"]) for old in part]

    def _drop_controls(self, life: str, needed: int, count: int) -> None:
        """Besides the texts on their way there is always the field that is typed into."""
        self._took = life == self._life and len(self._texts) + 1 >= needed
        if not self._took:
            return
        if count > len(self._texts):
            self.faults.append(f"{count} texts acknowledged of {len(self._texts)}")
        now = asyncio.get_running_loop().time()
        self.acknowledged |= dict.fromkeys(self._texts[:count], now)
        del self._texts[:count], self._replies[:count]

    def _progress(self, life: str, element: Element) -> None:
        """The count goes with the controls: htmx looks both up before it changes either."""
        if self._took and life == self._life:
            self._life = element.one("#life")["value"]

    def _show_newest(self, element: Element) -> None:
        self.earlier = [line(item) for item in messages_of(element.one("#earlier"))]
        self.live = [line(item) for item in messages_of(element.one("#live"))]
        self._ids = {item.id for item in self.lines}
        self._shown = ShownMessages(element)
        for item in self.lines:
            self._see(item)

    def _see(self, item: Line) -> None:
        if item.text is not None:
            self.seen.setdefault(plain(item.text), asyncio.get_running_loop().time())

    def _resume_from(self, element: Element) -> None:
        trigger = element if element.id == "resume" else element.one("#resume")
        self.epoch = json.loads(trigger["hx-vals"])["epoch"]

    def _call_roll(self, element: Element) -> None:
        now = asyncio.get_running_loop().time()
        names = [person.text for person in element.all("li bdi")]
        self.rosters.append(Roster(now, names, "Here a moment ago" in element.one("h2").words))

    def _send_pending(self, element: Element) -> None:
        if self._socket:
            self._send(self._socket, json.dumps(self._unacknowledged() | {"k": "pending"}))

    def _show_outage(self, element: Element) -> None:
        said = element.all("data[name=outage]")
        self.outage = said[0]["value"] if said else ""

    def _refuse(self, element: Element) -> None:
        if "replying to is not there any more" in element.words:
            self.deleted.add(element.one("textarea").value)
        else:
            self.faults.append(f"refused: {element.words}")

    _places: Mapping[str, Callable[[Tab, Element], None]] = {
        "#messages": _show_newest,
        "#resume": _resume_from,
        "#roster": _call_roll,
        "#pending": _send_pending,
        "#outage": _show_outage,
        "#refused": _refuse,
    }


def fragments(frame: str) -> list[Element]:
    """The top elements of a frame, which a page may change."""
    return [child for child in parse(frame).children if isinstance(child, Element)]


def plain(text: str) -> str:
    """As it was typed."""
    return text.removesuffix(f" {CHANGED}")


def line(item: Element) -> Line:
    text, since = item.all(".text"), item.all("data[name=since]")
    return Line(
        int(item.id.removeprefix("message-")),
        int(since[0]["value"]) if since else 0,  # of those that come with a page the last one says it
        text[0].text if text else None,
        item.words,
    )


async def look(port: int, path: str, cookie: str) -> Element:
    """A page, fetched and not gone to: what is on it is not read by that."""
    response = await ask(port, path, cookie)
    assert response.status == 200, response
    return parse(response.body.decode())


async def ask(port: int, path: str, cookie: str = "", form: Mapping[str, str] | None = None) -> Response:
    """One request over a connection of its own: a GET, or a POST of `form`. Raises OSError and EOFError."""
    body = urlencode(form).encode() if form is not None else b""
    head = [f"{'GET' if form is None else 'POST'} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    head += [f"Cookie: {cookie}", f"Origin: http://127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    head += ["Sec-Fetch-Mode: cors"] if form is None else []
    head += ["Content-Type: application/x-www-form-urlencoded", "Connection: close", "", ""]
    async with await Wire.open(port) as wire:
        await wire.send("\r\n".join(head).encode() + body)
        response = await wire.head()
        length = int(response.headers.get("content-length", "0"))
        return response._replace(body=await wire.reader.readexactly(length))
