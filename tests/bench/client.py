"""A WebSocket client that costs next to nothing: texts are counted in the bytes, no more is looked at."""

from __future__ import annotations

import asyncio
import json
import random
import re
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import cast

HOST = "127.0.0.1"
SINCE = re.compile(rb'<data name="?since"? value="(\d+)">')
BODY = "Nobody ever said that sixty characters were a long message."
MARK = BODY[:16].encode()  # once in every text message, never in a notice or a roster
PING, CLOSE, TEXT = 0x89, 0x88, 0x81
AT_ONCE = 100  # handshakes in flight

# As in templates/room.html, in seconds.
BACKOFF, LONGEST, JITTER = 0.5, 2.0, 0.5


@dataclass(slots=True)
class Ticket:
    """What a browser needs to come into a room and follow it. A baseline's rooms have no epoch."""

    code: str
    cookie: str = ""
    epoch: str = ""
    since: int = 0
    cookie_name: str = "chat"

    def request(self, port: int) -> bytes:
        lines = (
            f"GET /rooms/{self.code}/live HTTP/1.1",
            f"Host: {HOST}:{port}",
            f"Origin: http://{HOST}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Cookie: {self.cookie_name}={self.cookie}",
        )
        return "\r\n".join([*lines, "", ""]).encode()

    def resume(self) -> bytes:
        if not self.epoch:
            return b""
        return framed(json.dumps({"k": "resume", "epoch": self.epoch, "since": str(self.since)}).encode())


def framed(payload: bytes, first: int = TEXT) -> bytes:
    """A client's frame. The mask is zero: the client need not apply it, the server has to all the same."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB4x", first, 0x80 | size) + payload
    return struct.pack("!BBH4x", first, 0x80 | 126, size) + payload


class Member(asyncio.Protocol):
    """One browser's connection to its room."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.texts = 0
        self.refused = b""  # the status line of a handshake that failed
        self.code = 0  # with which the server closed
        self._start()

    def _start(self) -> None:
        self.open = False
        self._left = 0  # bytes of the present frame that have yet to come
        self._head = b""  # the cut-off head of a frame, or of the handshake's response
        self._tail = b""  # the end of what was counted, where a mark may have been cut in two

    async def connect(self, port: int) -> None:
        """Return when the room is open. Raises OSError."""
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda: self, HOST, port)
        await self.opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._start()
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class
        self.transport.write(self.ticket.request(transport.get_extra_info("peername")[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"refused: {self.refused!r}"))

    def data_received(self, data: bytes) -> None:
        if not self.open:
            data = self._handshaken(data)
            if not data:
                return
        counted = self._tail + data if self._tail else data
        texts = counted.count(MARK)
        self._follow(data)
        self._tail = counted[1 - len(MARK) :] if self._left else b""
        if texts:
            self.texts += texts
            self.arrived(texts)

    def arrived(self, texts: int) -> None:
        """So many more text messages are here."""

    def _handshaken(self, data: bytes) -> bytes:
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        self._head = b"" if end else head
        if not end:
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            self.refused = head.partition(b"\r\n")[0]
            self.transport.abort()
            return b""
        self.open = True
        self.transport.write(self.ticket.resume())
        if not self.opened.done():
            self.opened.set_result(None)
        return rest

    def _follow(self, data: bytes) -> None:
        """Step from frame to frame: pings want an answer."""
        if self._head:
            data, self._head = self._head + data, b""
        at, size = self._left, len(data)
        self._left = 0
        while at < size:
            body = at + 2
            length = data[at + 1] if body <= size else 127
            if length >= 126:
                body += 2 if length == 126 else 8
                if body > size:
                    self._head = data[at:]
                    return
                length = int.from_bytes(data[at + 2 : body])
            if data[at] != TEXT:
                self._control(data[at], data[body : body + length])
            at = body + length
        self._left = at - size

    def _control(self, first: int, payload: bytes) -> None:
        if first == PING:
            self.transport.write(framed(payload, 0x8A))
        elif first == CLOSE:
            self.code = int.from_bytes(payload[:2])
            self.transport.write(framed(payload[:2], CLOSE))
            self.transport.close()


class Sender(Member):
    """A member who writes, and waits for what they wrote to come back."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket)
        self._numbers = count()
        self._window = 0
        self.outstanding = 0
        self.due: Callable[[int], None] = lambda texts: None

    def say(self, times: int = 1) -> None:
        self.outstanding += times
        self.transport.write(b"".join(self._message(next(self._numbers)) for _ in range(times)))

    def _message(self, number: int) -> bytes:
        """As the page's composer would send it."""
        frame = {"key": "benchmark", "acked": str(number), "body": BODY, "headers": {"HX-Request": "true"}}
        return framed(json.dumps(frame).encode())

    def keep(self, window: int) -> None:
        """Have so many texts on their way all the time; with 0, stop."""
        self._window = window
        self._fill()

    def _fill(self) -> None:
        if self.outstanding < self._window:
            self.say(self._window - self.outstanding)

    def arrived(self, texts: int) -> None:
        self.outstanding -= texts
        self._fill()


class Timed(Member):
    """Notes how long after its being sent each text arrived."""

    def __init__(self, ticket: Ticket, sent: Sequence[float], took: Callable[[float], None]) -> None:
        super().__init__(ticket)
        self._sent = sent
        self._took = took

    def arrived(self, texts: int) -> None:
        now = time.perf_counter()
        for number in range(self.texts - texts, self.texts):
            self._took(now - self._sent[number])


class Tab(Sender):
    """Comes back by itself, as htmx does, and says what it has."""

    def __init__(self, ticket: Ticket, port: int) -> None:
        super().__init__(ticket)
        self._port = port
        self._attempt = 0
        self._recent = b""
        self.attempts = 0
        self.cuts = 0
        self.away = False  # the benchmark is over
        self.coming: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._recent = (self._recent + data)[-4096:]
        super().data_received(data)
        if self.open:
            self._attempt = 0

    def arrived(self, texts: int) -> None:
        """Whose texts they are does not matter here."""

    def forget(self) -> None:
        self.attempts = self.cuts = 0
        self.refused = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.cuts += self.open
        super().connection_lost(error)
        if found := SINCE.findall(self._recent):
            self.ticket.since = max(self.ticket.since, int(found[-1]))
        self._recent = b""
        if not self.away:
            self._come_back()

    def _come_back(self) -> None:
        self._attempt += 1
        delay = min(BACKOFF * 2 ** (self._attempt - 1), LONGEST)
        delay += random.uniform(-JITTER, JITTER) * delay
        asyncio.get_running_loop().call_later(delay, self._start_try)

    def _start_try(self) -> None:
        if not self.away:
            self.attempts += 1
            self.coming = asyncio.get_running_loop().create_task(self._try())

    async def _try(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, HOST, self._port)
        except OSError:
            self._come_back()


async def connect_all(members: Iterable[Member], port: int) -> float:
    """Open every connection, some at once; the seconds it took."""
    gate = asyncio.Semaphore(AT_ONCE)
    start = time.perf_counter()

    async def one(member: Member) -> None:
        async with gate:
            await member.connect(port)

    await asyncio.gather(*map(one, members))
    return time.perf_counter() - start


def hang_up(members: Iterable[Member]) -> None:
    for member in members:
        if isinstance(member, Tab):
            member.away = True
            if member.coming:
                member.coming.cancel()
        with suppress(AttributeError):  # it never came in
            member.transport.abort()


def total(members: Iterable[Member]) -> int:
    return sum(member.texts for member in members)
