"""Over Hypercorn's own TLS a peer costs little more than without."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from serving import LOOPS, Server, guarded
from tls import certified
from wire import Socket, frame, handshake

from chat.server import bounds

TEXT = 1
TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


def encrypted(folder: Path, loop: str) -> Server:
    certificate, key = certified(folder, "IP:127.0.0.1")
    return guarded(folder, loop, f'certfile = "{certificate}"', f'keyfile = "{key}"')


@pytest.fixture(params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with encrypted(tmp_path, request.param) as server:
        yield server


async def connect(port: int, path: str) -> Socket:
    socket = Socket(*await asyncio.open_connection("127.0.0.1", port, ssl=TRUSTING))
    await socket.send(handshake(path))
    assert (await socket.head()).status == 101
    return socket


async def test_an_idle_socket_takes_little_memory(server: Server) -> None:
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        await stack.enter_async_context(await connect(server.port, "/busy"))
        before, count = server.rss(), 60
        for _ in range(count):
            await stack.enter_async_context(await connect(server.port, "/busy"))
        assert (server.rss() - before) / count < 120 * 1024


async def test_what_is_not_read_of_a_peer_waits_at_the_peer(server: Server) -> None:
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        count = 40
        crowd = [await stack.enter_async_context(await connect(server.port, "/busy")) for _ in range(count)]
        before = server.rss()
        for peer in crowd:
            peer.writer.write(frame(TEXT, b"x" * 1000) * 1000)
        await asyncio.sleep(0.5)
        assert (server.rss() - before) / count < 200 * 1024


@pytest.mark.parametrize("loop", ["asyncio"])  # uvloop does not show what TLS writes to
def test_the_fast_path_leaves_as_little_with_a_peer_that_does_not_read(tmp_path: Path, loop: str) -> None:
    with guarded(tmp_path, loop) as server:
        plain = _taken_unread(server.port, tls=False)
    with encrypted(tmp_path, loop) as server:
        assert 0 < _taken_unread(server.port, tls=True) < plain + 2 * bounds.FAST_PATH_BYTES


def _taken_unread(port: int, *, tls: bool) -> int:
    """The bytes that the fast path takes; what the systems keep is among them."""
    with _connected(port, tls=tls) as peer:
        peer.sendall(handshake("/unread"))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if count := int(_index(port, tls=tls)["unread"]):
                return count
            time.sleep(0.05)
    raise TimeoutError


def _index(port: int, *, tls: bool) -> dict[str, Any]:
    with _connected(port, tls=tls) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found


def _connected(port: int, *, tls: bool) -> Any:
    """For which the system keeps little while nobody reads."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(10)
    peer.connect(("127.0.0.1", port))
    return TRUSTING.wrap_socket(peer) if tls else peer


STARTS = {"page": b"GET /torrent HTTP/1.1\r\nHost: x\r\n\r\n", "socket": handshake("/flood")}


@pytest.mark.parametrize("kind", STARTS)
def test_an_answer_without_end_ends_when_its_peer_has_gone(server: Server, kind: str) -> None:
    """TLS hears of it in the next turn of the event loop: there has to be one."""
    for _ in range(5):
        with _connected(server.port, tls=True) as peer:
            peer.sendall(STARTS[kind])
            peer.recv(65536)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _wait_until_gone(server.port)


@pytest.mark.parametrize("path", ["/live", "/torrent"])
def test_who_asks_and_leaves_at_once_ends_the_work_on_it(server: Server, path: str) -> None:
    """The request and the end of TLS are read together: the news comes before the work has begun."""
    for _ in range(3):
        with _connected(server.port, tls=True) as peer, suppress(ssl.SSLError):
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            peer.setblocking(False)
            peer.unwrap()
    _wait_until_gone(server.port)


def _wait_until_gone(port: int) -> None:
    deadline = time.monotonic() + 10
    while _index(port, tls=True)["here"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_http_2_is_not_offered_whatever_the_configuration_says(tmp_path: Path) -> None:
    """None of the bounds would hold for it."""
    certificate, key = certified(tmp_path, "IP:127.0.0.1")
    lines = f'certfile = "{certificate}"', f'keyfile = "{key}"', 'alpn_protocols = ["h2", "http/1.1"]'
    asking = ssl.create_default_context(cafile=str(certificate))
    asking.set_alpn_protocols(["h2", "http/1.1"])
    with guarded(tmp_path, "asyncio", *lines) as server, _connected(server.port, tls=False) as peer:
        encrypted = asking.wrap_socket(peer, server_hostname="127.0.0.1")
        assert encrypted.selected_alpn_protocol() == "http/1.1"
        encrypted.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert encrypted.recv(13) == b"HTTP/1.1 200 "
        encrypted.close()
