"""What no peer may cost a real Hypercorn, and how it ends: each guard of chat/server is missed here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypercorn.config import Config
from hypercorn.protocol.ws_stream import WSStream
from serving import LOOPS, Server, guarded
from wire import CUT, Socket, Wire, frame, handshake

from chat.server import bounds, guards
from chat.server.worker import bounded_config

MIB = 1024 * 1024
BIG = 48 * MIB
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
CONTINUATION = 0


@pytest.fixture(scope="module", params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def start(loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Server]:
    folder = tmp_path_factory.mktemp("server")
    lines = ("graceful_timeout = 6", "keep_alive_timeout = 30")
    return lambda *options: guarded(folder, loop_name, *lines, options=options)


@pytest.fixture(scope="module")
def shared(start: Callable[..., Server]) -> Iterator[Server]:
    """One server for all peers that should leave no trace."""
    with start() as server:
        yield server
        server.terminate()
        assert server.wait() == 0


@pytest.fixture
async def server(shared: Server) -> AsyncIterator[Server]:
    """The shared server: when a test is over, it has forgotten every peer and logged nothing terrible."""
    before, written = (await state(shared))["tasks"], len(shared.log)
    yield shared
    await until(shared, lambda now: not now["here"] and now["tasks"] <= before)
    assert_calm(shared.log[written:])


def assert_calm(log: str) -> None:
    for word in ("Traceback", "exception", "A connection failed", "never retrieved"):
        assert word not in log, log


async def state(server: Server) -> dict[str, Any]:
    async with await Wire.open(server.port) as wire:
        await wire.send(get("/", "Connection: close"))
        await wire.head()
        answer: dict[str, Any] = json.loads(await wire.rest())
        return answer


async def until(server: Server, done: Callable[[dict[str, Any]], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not done(now := await state(server)):
        assert time.monotonic() < deadline, f"still {now}\n{server.log}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    started = time.monotonic()
    async with asyncio.timeout(seconds + 5):
        yield
    assert time.monotonic() - started < seconds


async def push(wire: Wire, data: bytes, total: int) -> int:
    """Send `data` again and again until `total` bytes are sent or the server has had enough."""
    sent = 0
    try:
        while sent < total:
            await wire.send(data)
            sent += len(data)
            await asyncio.sleep(0)
    except OSError:
        pass
    return sent


def unsent(port: int) -> int:
    """The most bytes that the kernel keeps for one peer of the server on `port`."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    ours = (queues for _, local, _, _, queues, *_ in rows if local.endswith(f":{port:04X}"))
    return max(int(queues.split(":")[0], 16) for queues in ours)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(*headers: str) -> bytes:
    return "\r\n".join(["POST /form HTTP/1.1", "Host: x", *headers, "", ""]).encode()


# --- The end of the server ---


@pytest.mark.parametrize("ask", ["terminate", "terminate_all"])
async def test_at_sigterm_sockets_hear_1012_and_pages_end_and_the_process_is_gone_at_once(
    start: Callable[..., Server], ask: str
) -> None:
    with start() as server:
        async with (
            await Socket.connect(server.port, "/echo") as one,
            await Socket.connect(server.port, "/echo") as two,
            await Wire.open(server.port) as page,
            await Wire.open(server.port) as idle,
        ):
            await one.send_text("hello")
            assert await one.recv() == "hello"
            await page.send(get("/live"))
            await page.head()
            await idle.send(get("/"))
            await idle.head()
            async with within(4):
                getattr(server, ask)()
                assert [await one.recv(), await two.recv()] == [1012, 1012]
                assert (await page.rest()).endswith(b"0\r\n\r\n")
                assert await asyncio.to_thread(server.wait) == 0
        assert_calm(server.log)


async def test_no_peer_holds_up_the_end_beyond_the_graceful_timeout(start: Callable[..., Server]) -> None:
    with start() as server:
        async with AsyncExitStack() as stack:
            idle, head, body, torrent, stubborn, _silent = [
                await stack.enter_async_context(await Wire.open(server.port)) for _ in range(6)
            ]
            for path in ("/echo", "/flood", "/busy"):
                await stack.enter_async_context(await Socket.connect(server.port, path))
            await idle.send(get("/"))
            await head.send(b"GET / HT")
            await body.send(post("Content-Length: 9") + b"abc")
            await torrent.send(get("/torrent"))
            await stubborn.send(get("/stubborn"))
            await until(server, lambda now: len(now["here"]) == 6)
            async with within(8):
                server.terminate()
                assert await asyncio.to_thread(server.wait) == 0
        assert_calm(server.log)


async def test_a_worker_asked_to_end_says_goodbye_and_is_replaced(start: Callable[..., Server]) -> None:
    with start() as server:
        async with await Socket.connect(server.port, "/echo") as socket:
            first = (await state(server))["pid"]
            os.kill(first, signal.SIGTERM)
            async with within(8):
                assert await socket.recv() == 1012
                assert (await state(server))["pid"] != first
        assert_calm(server.log)


async def test_what_the_start_left_in_memory_is_not_searched_for_garbage_again(server: Server) -> None:
    assert (await state(server))["frozen"] > 20_000


async def test_a_server_that_nobody_visited_ends_without_a_complaint(start: Callable[..., Server]) -> None:
    with start() as server:
        server.terminate_all()
        assert await asyncio.to_thread(server.wait) == 0
        assert_calm(server.log)


async def test_killing_leaves_nobody_who_answers(start: Callable[..., Server]) -> None:
    with start() as server:
        assert len(server.pids) >= 2
        assert len(server.workers) == 1
        server.kill()
        assert server.pids == []


# --- What a socket may cost ---


async def test_a_framed_text_takes_the_fast_path_to_an_open_socket_only(server: Server) -> None:
    async with await Socket.connect(server.port, "/fast-path") as socket:
        assert [await socket.recv(), await socket.recv()] == ["short", "taken"]
        await socket.send_text("close")
        assert await socket.recv() == 1000
    await until(server, lambda now: now["fast_path"] == "refused")


async def test_compression_is_offered_and_not_taken(server: Server) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    async with await Socket.connect(server.port, "/echo", headers=offer) as socket:
        assert "sec-websocket-extensions" not in socket.response.headers
        await socket.send_text("plain")
        assert await socket.recv() == "plain"


async def test_a_message_of_256_kib_passes_and_a_bigger_one_ends_the_socket_with_1009(server: Server) -> None:
    async with await Socket.connect(server.port, "/echo") as socket:
        await socket.send_text("x" * 262144)
        assert await socket.recv() == "x" * 262144
        await socket.send_text("x" * 262145)
        assert await socket.recv() == 1009
        async with within(2):
            await socket.rest()


ENDLESS = {
    "a frame that says it is enormous": (frame(BINARY, length=2**40), b"x" * 65536),
    "text in fragments that never finish": (
        frame(TEXT, b"a", fin=False),
        frame(CONTINUATION, b"x" * 65000, fin=False),
    ),
    "one long text frame": (frame(TEXT, length=2**30), b"x" * 65536),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_endless_message_is_cut_off_with_1009_and_flat_memory(server: Server, kind: str) -> None:
    start, more = ENDLESS[kind]
    async with await Socket.connect(server.port, "/echo") as socket:
        socket.answers_pings = False  # in the middle of a frame
        memory = server.rss()
        await socket.send(start)
        pushing = asyncio.create_task(push(socket, more, 2**40))
        async with within(3):
            assert await socket.recv() == 1009
            await socket.rest()
            await pushing
        assert server.rss() - memory < 4 * MIB


async def test_a_message_of_endless_empty_fragments_is_cut_off(server: Server) -> None:
    async with await Socket.connect(server.port, "/echo") as socket:
        socket.answers_pings = False
        await socket.send(frame(TEXT, fin=False))
        pushing = asyncio.create_task(push(socket, frame(CONTINUATION, fin=False) * 1000, 2**40))
        async with asyncio.timeout(15):
            assert await socket.recv() == 1008  # they are counted: tests/test_frames.py
            await socket.rest()
            await pushing


async def test_a_flood_of_pings_from_a_peer_that_reads_no_answer_costs_no_memory(server: Server) -> None:
    async with await Socket.connect(server.port, "/echo") as socket:
        memory = server.rss()
        async with within(12):
            sent = await push(socket, frame(PING, b"x" * 125) * 500, BIG)
        assert sent < BIG
        assert server.rss() - memory < 4 * MIB


async def test_a_flood_for_a_busy_handler_waits_at_the_peer(server: Server) -> None:
    async with await Socket.connect(server.port, "/busy") as socket:
        memory = server.rss()
        pushing = asyncio.create_task(push(socket, frame(TEXT, b"x" * 200000), BIG))
        await asyncio.wait([pushing], timeout=0.7)
        assert not pushing.done()
        assert server.rss() - memory < 16 * MIB
        assert (await state(server))["here"] == {"/busy": 1}
        pushing.cancel()
        socket.cut()
        await until(server, lambda now: not now["here"], 4)


async def test_a_handler_that_ends_during_a_flood_ends_the_connection(server: Server) -> None:
    async with await Socket.connect(server.port, "/brief") as socket, within(3):
        await push(socket, frame(TEXT, b"x" * 10000) * 20, 2**40)


MALFORMED = {
    "a frame without a mask": (b"\x81\x01a", 1002),
    "reserved bits": (frame(TEXT, b"a", first=0x40), 1002),
    "an unknown opcode": (frame(3, b"a"), 1002),
    "a ping in fragments": (frame(PING, b"a", fin=False), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"a"), 1002),
    "a close frame of one byte": (frame(CLOSE, b"a"), 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_peer_that_breaks_the_protocol_hears_which_rule(server: Server, kind: str) -> None:
    data, code = MALFORMED[kind]
    async with await Socket.connect(server.port, "/echo") as socket:
        await socket.send(data)
        async with within(1):
            assert await socket.recv() == code
            await socket.rest()


async def test_a_close_frame_is_answered_and_frees_the_connection_at_once(server: Server) -> None:
    before = (await state(server))["tasks"]
    async with await Socket.connect(server.port, "/echo") as socket:
        await socket.close(1000)
        async with within(0.5):
            assert await socket.recv() == 1000
            assert await socket.rest() == b""
            await until(server, lambda now: now["tasks"] <= before)


# --- Peers that are silent, slow, deaf or gone ---


async def test_a_socket_that_answers_no_ping_is_dropped_and_one_that_does_stays(server: Server) -> None:
    async with (
        await Socket.connect(server.port, "/echo") as alive,
        await Socket.connect(server.port, "/echo") as dead,
    ):
        dead.answers_pings = False
        listening = asyncio.create_task(alive.recv())
        async with within(2):
            assert await dead.recv() == CUT
        await asyncio.wait([listening], timeout=0.5)
        assert not listening.done()
        await alive.send_text("still here")
        assert await listening == "still here"


@pytest.mark.parametrize("header", ["Connection: keep-alive", "Connection: close"])
async def test_a_page_that_never_ends_is_not_cut_though_its_reader_says_nothing(
    server: Server, header: str
) -> None:
    async with await Wire.open(server.port) as wire:
        await wire.send(get("/live", header))
        await wire.head()
        reading = asyncio.create_task(wire.rest())
        await asyncio.wait([reading], timeout=1.6)
        assert not reading.done()
        wire.cut()
        await reading


@pytest.mark.parametrize("before", [b"", get("/")], ids=["first", "second"])
@pytest.mark.parametrize("kind", ["head", "body"])
async def test_a_request_that_dribbles_in_is_cut_off(server: Server, before: bytes, kind: str) -> None:
    part = post("Content-Length: 999") if kind == "body" else b"GET / HTTP/1.1\r\nX-Slow: "
    async with await Wire.open(server.port) as wire:
        if before:
            await wire.send(before)
            await wire.reader.readexactly(int((await wire.head()).headers["content-length"]))
        async with within(2.5):
            await wire.send(part)
            ending = asyncio.create_task(wire.rest())
            while not (await asyncio.wait([ending], timeout=0.1))[0]:
                wire.writer.write(b"x")


@pytest.mark.parametrize("kind", ["socket", "page"])
async def test_a_peer_that_never_reads_is_let_go_with_bounded_memory(server: Server, kind: str) -> None:
    memory = server.rss()
    start = handshake("/flood") if kind == "socket" else get("/torrent")
    async with AsyncExitStack() as stack:
        for _ in range(20):
            wire = await stack.enter_async_context(await Wire.open(server.port))
            await wire.send(start)
        await until(server, lambda now: sum(now["here"].values()) == 20)
        assert server.rss() - memory < 20 * 256 * 1024 + 4 * MIB
        assert 0 < unsent(server.port) <= 3 * bounds.SEND_BUFFER
        await until(server, lambda now: not now["here"], 4)


async def test_not_even_behind_a_unix_socket_does_a_peer_that_never_reads_stay(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    path = str(tmp_path / "chat.sock")
    with start("--bind", f"unix:{path}") as server:
        before = (await state(server))["tasks"]
        async with Wire(*await asyncio.open_unix_connection(path)) as wire:
            await wire.send(handshake("/flood"))
            await until(server, lambda now: now["here"] == {"/flood": 1})
            await until(server, lambda now: now["tasks"] <= before)


RESETS: dict[str, bytes] = {
    "in mid-handshake": handshake("/echo")[:60],
    "in mid-frame": handshake("/echo") + frame(TEXT, b"abc", length=500),
    "in mid-body": post("Content-Length: 9") + b"abc",
    "in mid-page": get("/live"),
    "in mid-page with a second request waiting": get("/live") + get("/"),
    "in mid-torrent with a second request waiting": get("/torrent") + get("/"),
}


@pytest.mark.parametrize("how", ["reset", "cut"])
@pytest.mark.parametrize("kind", RESETS)
async def test_a_connection_lost_leaves_no_trace(server: Server, kind: str, how: str) -> None:
    async with await Wire.open(server.port) as wire:
        await wire.send(RESETS[kind])
        if "page" in kind or "torrent" in kind:
            await wire.head()
        getattr(wire, how)()


async def test_a_connection_over_which_hypercorn_stumbles_costs_one_line_in_the_log(shared: Server) -> None:
    written = len(shared.log)
    async with await Wire.open(shared.port) as wire, within(3):
        await wire.send(get("/stumble"))
        await wire.rest()
    await until(shared, lambda now: "RuntimeError('stumbled')" in shared.log)
    assert "Traceback" not in shared.log[written:]


# --- Politeness to what makes no sense ---

ODD: dict[str, tuple[bytes, int | None]] = {
    "a TLS greeting": (bytes.fromhex("16030100a5010000a1") + bytes(range(160)), 400),
    "binary garbage": (bytes(range(256)) * 8, 400),
    "a line that is not HTTP": (b"hello\r\n\r\n", 400),
    "bytes in the path": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a percent sign alone": (get("/%zz%", "Connection: close"), 404),
    "percent signs that are not UTF-8": (get("/%ff%00%c3", "Connection: close"), 404),
    "a target without a path": (get("?a=1"), 400),
    "a broken address as target": (get("http://[x"), 400),
    "a request to a proxy": (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 400),
    "a greeting of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),
    "an offer of HTTP/2": (
        get("/", "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AA"),
        200,
    ),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a length that is none": (post("Content-Length: many"), 400),
    "chunks that are none": (post("Transfer-Encoding: chunked") + b"zz\r\n", None),
    "an endless header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 300000, 431),
    "no Upgrade header": (handshake("/echo", headers={"Upgrade": "", "Connection": "Upgrade, close"}), 400),
    "an upgrade in HTTP/1.0": (handshake("/echo").replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "no key": (handshake("/echo", headers={"Sec-WebSocket-Key": ""}), 400),
    "a short key": (handshake("/echo", headers={"Sec-WebSocket-Key": "abcd"}), 400),
    "a key in bytes": (handshake("/echo", headers={"Sec-WebSocket-Key": "\xff"}), 400),
    "an old version": (handshake("/echo", headers={"Sec-WebSocket-Version": "8"}), 400),
    "a Connection header in bytes": (handshake("/echo", headers={"Connection": "upgrade,\xff"}), 400),
    "a protocol in bytes": (handshake("/echo", headers={"Sec-WebSocket-Protocol": "\xff"}), 400),
    "an extension in bytes": (handshake("/echo", headers={"Sec-WebSocket-Extensions": "\xff"}), 400),
    "a frame before the answer": (handshake("/echo") + frame(TEXT, b"early"), 400),
    "a socket where there is none": (handshake("/nowhere"), 404),
}


@pytest.mark.parametrize("kind", ODD)
async def test_nonsense_is_refused_politely_and_the_connection_ends(server: Server, kind: str) -> None:
    data, status = ODD[kind]
    async with await Wire.open(server.port) as wire:
        await push(wire, data, len(data))
        async with within(0.8):
            answer = await wire.rest()
    if status is not None:
        assert answer.startswith(b"HTTP/1.1 %d" % status), answer


# --- Settings ---


def test_what_a_configuration_leaves_open_is_bounded_and_what_it_sets_lower_stays() -> None:
    guards.install()
    bounded = bounded_config(Config())
    assert bounded.websocket_max_message_size == 256 * 1024
    assert (bounded.websocket_ping_interval, bounded.read_timeout) == (20, 45)
    assert bounded.backlog == 2048
    lower = bounded_config(Config.from_mapping(websocket_max_message_size=10, read_timeout=5, backlog=7))
    assert (lower.websocket_max_message_size, lower.read_timeout, lower.backlog) == (10, 5, 7)
    higher = bounded_config(Config.from_mapping(websocket_max_message_size=10**9, websocket_ping_interval=60))
    assert (higher.websocket_max_message_size, higher.websocket_ping_interval) == (256 * 1024, 20)


def test_another_hypercorn_is_noticed_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(WSStream, "_send_pings")
    with pytest.raises(RuntimeError, match=r"Hypercorn 0\.18\.\d+ has no WSStream\._send_pings"):
        guards.install()
