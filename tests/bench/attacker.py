"""One hostile visitor, in a process of its own: `attacker.py NAME PORT`. Standard library only."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from urllib.parse import urlencode

LASTS = 8.0  # s, at most
HOST = "127.0.0.1"
SOURCE = HOST  # where the visitor comes from
FORM = "application/x-www-form-urlencoded"


def ask(
    port: int, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=60, source_address=(SOURCE, 0))
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read()
    return 0, {}, b""


def form(port: int, path: str, cookie: str = "", **fields: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": FORM, "Origin": f"http://{HOST}:{port}", "Cookie": cookie}
    return ask(port, "POST", path, urlencode(fields).encode(), **headers)


class Seat:
    """A person in a room."""

    def __init__(self, port: int, room: str = "", name: str = "Eve") -> None:
        self.port = port
        _, headers, _ = form(port, room or "/", name=name, create="1")
        self.room = headers.get("location", "/")
        self.cookie = headers.get("set-cookie", "").partition(";")[0]

    def say(self, text: str, times: int) -> None:
        for n in range(times):
            form(self.port, f"{self.room}/messages", self.cookie, body=text, key=f"{os.getpid()} {n}")

    def page(self) -> bytes:
        return ask(self.port, "GET", self.room, Cookie=self.cookie)[2]

    def socket(self, small: bool = False) -> socket.socket:
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        sock.connect((HOST, self.port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self.room}/live HTTP/1.1",
            f"Host: {HOST}:{self.port}",
            f"Origin: http://{HOST}:{self.port}",
            f"Cookie: {self.cookie}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        sock.recv(65536)
        return sock


def frame(payload: bytes, opcode: int = 1) -> bytes:
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + bytes(4) + payload  # masked with zeros


def field(port: int) -> None:
    """1: a name of 240 kB of marks"""
    name = "a" + "\u0301" * 60_000 + "\u0316" * 60_000
    part = f'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    ask(port, "POST", "/", part.encode(), **{"Content-Type": kind})


def pings(port: int) -> None:
    """2: 100,000 empty pings"""
    with suppress(OSError), Seat(port).socket() as sock:
        sock.sendall(frame(b"", 9) * 100_000)
        sock.settimeout(LASTS)
        while sock.recv(65536):
            pass


def links(port: int) -> None:
    """3: ten texts of http://a))))…, read 30 times"""
    seat = Seat(port)
    seat.say("http://a" + ")" * 8_180, 10)
    for _ in range(30):
        seat.page()


def catch_up(port: int) -> None:
    """4: 20 sockets resume over 150 texts of 8 KiB and do not read"""
    first = Seat(port)
    page = first.page().decode()
    epoch = re.search(r'"epoch":\s*"(\w+)"', page.replace("&#34;", '"').replace("&quot;", '"'))
    seats = [first, *(Seat(port, first.room, f"Eve {n}") for n in range(14))]
    for seat in seats:
        seat.say('"' * 8_190, 10)
    resume = json.dumps({"k": "resume", "epoch": epoch[1] if epoch else "", "since": "0"}).encode()
    socks = []
    for seat in (*seats, *seats[:5]):
        with suppress(OSError):
            socks.append(seat.socket(small=True))
            socks[-1].sendall(frame(resume))
    time.sleep(5)


def inbox(port: int) -> None:
    """5: 20 sockets, 32 frames of 255 kB each"""
    seats = [Seat(port, name=f"Eve {n}") for n in range(20)]
    socks = []
    text = frame(json.dumps({"k": "x", "body": "\U0001f600" + "x" * 255_000}, ensure_ascii=False).encode())
    for seat in seats:
        with suppress(OSError):
            socks.append(seat.socket())
    for sock in socks:
        sock.settimeout(0.3)
        with suppress(OSError):
            for _ in range(32):
                sock.sendall(text)
    time.sleep(2)


def bodies(port: int) -> None:
    """6: an endless chunked file, for eight seconds"""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as sock:
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n"
        sock.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
        start = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        sock.sendall(b"%x\r\n%s\r\n" % (len(start), start))
        end = time.monotonic() + LASTS
        while time.monotonic() < end:
            sock.sendall(b"%x\r\n%s\r\n" % (16384, bytes(16384)))
            time.sleep(0.001)  # what comes all at once is refused by its length


def slow_bodies(port: int) -> None:
    """6: 1,000 forms of 190 kB that lack their last byte"""
    head = f"POST / HTTP/1.1\r\nHost: {HOST}:{port}\r\nOrigin: http://{HOST}:{port}\r\n"
    request = f"{head}Content-Type: {FORM}\r\nContent-Length: 190000\r\n\r\n".encode() + b"x" * 189_999
    unsent: dict[socket.socket, memoryview] = {}
    for _ in range(1000):
        with suppress(OSError):
            sock = socket.create_connection((HOST, port), timeout=1)
            sock.setblocking(False)
            unsent[sock] = memoryview(request)
    end = time.monotonic() + LASTS
    while time.monotonic() < end:
        for sock, rest in unsent.items():
            with suppress(OSError):
                unsent[sock] = rest[sock.send(rest[:16384]) :] if rest else rest
        time.sleep(0.05)


def connections(port: int) -> None:
    """7: 1,100 idle connections, with 1,024 descriptors"""
    socks = []
    for _ in range(1100):
        with suppress(OSError):
            socks.append(socket.create_connection((HOST, port), timeout=0.5))
    time.sleep(4)


ATTACKS: dict[str, Callable[[int], None]] = {
    attack.__name__: attack
    for attack in (field, pings, links, catch_up, inbox, bodies, slow_bodies, connections)
}

if __name__ == "__main__":
    ATTACKS[sys.argv[1]](int(sys.argv[2]))
