"""Many requests of one address at once, in a process of its own: `-m tests.bench.burst KIND PORT`."""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice
from urllib.parse import urlencode

from . import attacker
from .attacker import FORM, HOST, Seat

SOURCE = "127.0.0.2"  # an address of its own on this machine
REQUESTS = 1200
SETTLE = 1.0  # s in which the server accepts the connections
LONGEST = 60.0  # s until all are answered
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
LONG_TEXT = "long words of a long message " * 80


def request(method: str, port: int, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        f"Origin: http://{HOST}:{port}",
        "Accept-Encoding: gzip",
        *headers,
    ]
    if body:
        lines += [f"Content-Type: {FORM}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read(method: str, path: str) -> Callable[[int], Iterator[bytes]]:
    def requests(port: int) -> Iterator[bytes]:
        while True:
            yield request(method, port, path, "Connection: close")

    return requests


def room(port: int, query: str = "", under: str = "") -> Iterator[bytes]:
    """Of several people, as each has a rate of their own."""
    first = Seat(port)
    seats = [first, *(Seat(port, first.room, f"Eve {n}") for n in range(19))]
    for seat in seats:
        seat.say(LONG_TEXT, 5)
    for n in count():
        seat = seats[n % len(seats)]
        path = f"{first.room}{under}{query.format(60 + n % 40)}"
        yield request("GET", port, path, f"Cookie: {seat.cookie}", "Connection: close")


def earlier(port: int) -> Iterator[bytes]:
    return room(port, "?before={}")


def stream(port: int) -> Iterator[bytes]:
    return room(port, under="/stream")


def code(port: int) -> Iterator[bytes]:
    for n in count():
        wrong = f"{n:08d}".translate(str.maketrans("0123456789", "BCDFGHJKMN"))
        yield request("GET", port, f"/rooms/{wrong}", "Connection: close")


def join(port: int) -> Iterator[bytes]:
    invited = Seat(port).room.rpartition("/")[2]
    for n in count():
        body = urlencode({"name": f"Guest {n}", "code": invited}).encode()
        yield request("POST", port, "/", "Connection: close", body=body)


def opening(port: int) -> Iterator[bytes]:
    seats = [Seat(port, name=f"Eve {n}") for n in range(20)]
    for n in count():
        seat = seats[n % len(seats)]
        yield request("GET", port, f"{seat.room}/live", f"Cookie: {seat.cookie}", *UPGRADE)


KINDS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "room": room,
    "earlier": earlier,
    "home": read("GET", "/"),
    "logout": read("POST", "/logout"),
    "static": read("GET", "/static/x/chat.css"),
    "unknown": read("GET", "/nothing/here"),
    "stream": stream,
    "code": code,
    "join": join,
    "opening": opening,
    "healthz": read("GET", "/healthz"),
    "metrics": read("GET", "/metrics"),
}


class Answers:
    """The statuses of all answers, and when the first and the last one came."""

    def __init__(self, socks: list[socket.socket]) -> None:
        self.start = time.perf_counter()
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []
        self._selector = selectors.DefaultSelector()
        for sock in socks:
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, False)

    def read(self) -> None:
        while self._selector.get_map() and time.perf_counter() < self.start + LONGEST:
            for key, _ in self._selector.select(0.5):
                self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        sock, answered = key.fileobj, key.data
        assert isinstance(sock, socket.socket)
        try:
            data = sock.recv(262144)
        except OSError:
            data = b""
        if not answered:
            status = data[9:12].decode("latin1") or "cut"
            self.statuses[status] += 1
            self.times.append(time.perf_counter() - self.start)
            self._selector.modify(sock, selectors.EVENT_READ, True)
        if not data or b"x-accel-buffering" in data or data.startswith(b"HTTP/1.1 101"):
            self._selector.unregister(sock)  # it has ended, or never will


def burst(kind: str, port: int) -> dict[str, object]:
    attacker.SOURCE = SOURCE
    requests = list(islice(KINDS[kind](port), REQUESTS))
    socks = [socket.create_connection((HOST, port), 20, (SOURCE, 0)) for _ in requests]
    time.sleep(SETTLE)
    print("ready", flush=True)
    sys.stdin.readline()
    answers = Answers(socks)
    for sock, data in zip(socks, requests, strict=True):
        sock.send(data)
    sent = time.perf_counter() - answers.start
    answers.read()
    return {
        "statuses": answers.statuses,
        "sent": sent,
        "first": min(answers.times, default=0.0),
        "last": max(answers.times, default=0.0),
    }


if __name__ == "__main__":
    print(json.dumps(burst(sys.argv[1], int(sys.argv[2]))), flush=True)
