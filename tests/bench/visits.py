"""What requests cost the server: a page, a file, somebody who comes in. Asked over HTTP alone, so that an
older tree can be asked the same."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from .client import BODY, HOST, Member, Ticket, connect_all, hang_up
from .parts import Row
from .servers import Chat, Meter, Options, database, profiled, sqlite

TEXTS = 50  # of a room's page
PEOPLE = 15  # who come into each room
SETTLED = 2.5  # s until those who have come in are announced
MOST = {"page": 2.2, "file": 0.6, "file, not modified": 0.6, "coming in, all together": 7.0}  # ms
FORM = "application/x-www-form-urlencoded"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Priority": "u=0, i",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Visitor:
    """One keep-alive connection and its cookies. Each request is one packet, as a browser's is."""

    def __init__(self, port: int) -> None:
        self._origin = f"{HOST}:{port}"
        self.cookies: dict[str, str] = {}
        self.code = ""
        self._port = port
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection((HOST, self._port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def create(self, name: str) -> None:
        """Make a room."""
        self.code = self.post("/", name=name, create="1").headers["location"].rpartition("/")[2]

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask(self.request("GET", path, **headers))

    def post(self, path: str, **form: str) -> Answer:
        body = urlencode(form).encode()
        return self.ask(self.request("POST", path, body, Origin=f"http://{self._origin}", Content_Type=FORM))

    def request(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._origin}"]
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines += [f"Cookie: {cookies}"] if cookies else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*lines, "", ""]).encode() + body

    def ask(self, request: bytes) -> Answer:
        self._socket.sendall(request)
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = b"" if status == 304 else self._file.read(int(headers.get("content-length", 0)))
        if "set-cookie" in headers:
            name, _, value = headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        if headers.get("connection") == "close":  # Hypercorn says so after a thousand requests
            self.close()
            self._connect()
        return Answer(status, headers, body)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


async def visits(options: Options) -> list[Row]:
    """r: a room's page, static files, somebody who comes in; baseline: the tree of --tree"""
    ours = await _visited(options, None)
    theirs = await _visited(options, options.tree) if options.tree else {}
    return [
        Row(f"r CPU: {name}", cost, "ms", theirs.get(name), most=None if theirs else MOST.get(name))
        for name, cost in ours.items()
    ]


async def _visited(options: Options, tree: Path | None) -> dict[str, float]:
    """ms of processor time of the server for each kind of request."""
    with database(options) as path, Chat(options, sqlite(path), tree=tree) as chat:
        rooms = [_room(chat, f"Host {n}") for n in range(options.some(20))]
        times, results = options.some(1000), {}
        for name, reader, request in _requests(chat, rooms[0]):
            with profiled(options, chat, f"r-{name}"):
                results[name] = cost(chat, times, partial(reader.ask, request))
        newcomers = await _come_in(options, chat, [host.code for host in rooms])
        for host in rooms:
            host.close()
    return results | newcomers | {"coming in, all together": sum(newcomers.values())}


def _requests(chat: Chat, reader: Visitor) -> Iterator[tuple[str, Visitor, bytes]]:
    """What is asked for again and again, on one connection."""
    room = f"/rooms/{reader.code}"
    page = reader.get(room).body.decode()
    style = re.search(r'/static/[^"]+/chat\.css', page)
    assert style
    assert len(re.findall('<p class="?text', page)) == TEXTS
    kept = {"If-None-Match": reader.get(style[0], Accept_Encoding="gzip").headers.get("etag", '"none"')}
    yield "page", reader, reader.request("GET", room)
    yield "page, as a browser asks for it", reader, reader.request("GET", room, **BROWSER)
    yield "earlier messages", reader, reader.request("GET", f"{room}/earlier?before={TEXTS // 2}")
    yield "file", reader, reader.request("GET", style[0], **BROWSER)
    yield "file, not modified", reader, reader.request("GET", style[0], **BROWSER, **kept)
    yield "first page", reader, reader.request("GET", "/")


def cost(chat: Chat, times: int, ask: Callable[[], object]) -> float:
    for _ in range(min(times, 50)):
        ask()
    meter = Meter(chat.cpu)
    for _ in range(times):
        ask()
    return meter.read().cpu * 1000 / times


def _room(chat: Chat, name: str) -> Visitor:
    """Somebody who has made a room and written a page of texts."""
    host = Visitor(chat.port)
    host.create(name)
    known = host.cookies.copy()
    for number in range(TEXTS):
        host.post(f"/rooms/{host.code}/messages", body=f"{BODY} {number}", key=f"bench{number}")
        host.cookies = known.copy()  # without the one that says which forms were sent last
    return host


async def _come_in(options: Options, chat: Chat, codes: Sequence[str]) -> dict[str, float]:
    """One at a time: each sends the form, loads the page and opens a socket."""
    visitors = [(code, Visitor(chat.port)) for _ in range(PEOPLE) for code in codes]
    meter = Meter(chat.cpu)
    for number, (code, visitor) in enumerate(visitors):
        visitor.post("/", name=f"Guest {number}", code=code)
    forms, meter = meter.read().cpu, Meter(chat.cpu)
    tickets = [ticket_of(code, visitor) for code, visitor in visitors]
    pages, meter = meter.read().cpu, Meter(chat.cpu)
    members = [Member(ticket) for ticket in tickets]
    for member in members:
        await connect_all([member], chat.port)
    await asyncio.sleep(SETTLED)
    sockets = meter.read().cpu
    hang_up(members)
    for _, visitor in visitors:
        visitor.close()
    used = {"form": forms, "its page": pages, "socket, and its notice": sockets}
    return {f"coming in, {name}": cpu * 1000 / len(visitors) for name, cpu in used.items()}


def ticket_of(code: str, visitor: Visitor) -> Ticket:
    page = visitor.get(f"/rooms/{code}").body.decode()
    epoch = re.search(r'"epoch":"(\w+)"', unescape(page))
    assert epoch, page
    since = re.findall(r'name="?since"? value="(\d+)"', page)
    ((name, value),) = visitor.cookies.items()
    return Ticket(code, value, epoch[1], int(since[-1]) if since else 0, name)


PARTS = {"r": visits}
