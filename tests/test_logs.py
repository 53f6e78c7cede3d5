"""What a peer does never writes a traceback, and never more than a line a second."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import FORM, FakeClock
from serving import Server
from tls import certified
from wire import Wire, frame, handshake

from chat import logs
from chat.logs import Throttle

ROUNDS = 30  # of each peer


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("chat")
    options: tuple[str, ...] = ()
    if request.param == "tls":
        certificate, key = certified(folder, "IP:127.0.0.1")
        options = ("--certfile", str(certificate), "--keyfile", str(key))
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{folder / 'chat.db'}"}, options=options) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("chat")
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{folder / 'chat.db'}"}) as server:
        yield server


def request(start: str, *headers: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin1")


def chunked(body: bytes, start: str = "POST /", kind: str = FORM) -> bytes:
    return request(start, "Origin: http://x", f"Content-Type: {kind}", "Transfer-Encoding: chunked") + body


def test_every_line_of_a_start_has_the_same_form(plain: Server) -> None:
    plain.wait_for_log("Running on ")
    lines = plain.log.splitlines()
    assert len(lines) > 1
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO \w", line), line


HOSTILE = {
    "a chunk without a number": chunked(b"zz\r\n"),
    "a chunk of a negative size": chunked(b"-5\r\nabcde\r\n"),
    "an enormous chunk": chunked(b"f" * 30 + b"\r\nabc"),
    "a chunk longer than it says": chunked(b"3\r\nabcdef\r\n0\r\n\r\n"),
    "a chunk without its end": chunked(b"3\r\nabcXX0\r\n\r\n"),
    "a good chunk and a bad one": chunked(b"5\r\nname=\r\nqq\r\n"),
    "a trailer that is none": chunked(b"0\r\n: :\x00\r\n\r\n"),
    "an endless size of a chunk": chunked(b"0" * 100_000),
    "a bad chunk where nobody reads": chunked(b"zz\r\n", "POST /nowhere"),
    "a bad chunk for a room": chunked(b"zz\r\n", "POST /rooms/abc/messages"),
    "a bad chunk of multipart": chunked(b"zz\r\n", kind="multipart/form-data; boundary=x"),
    "a body cut short": request("POST /", "Content-Length: 99", f"Content-Type: {FORM}") + b"name=",
    "a body longer than it says": request("POST /", "Content-Length: 3", f"Content-Type: {FORM}") + b"abcdef",
    "a method that is none": b"\x00\x01 / HTTP/1.1\r\n\r\n",
    "a version that is none": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a zero in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "an origin that is none": request("POST /", "Origin: http://[", "Content-Length: 0"),
    "a greeting of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(256)),
    "an upgrade to HTTP/2": request("GET /", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: !!"),
    "a TLS greeting": bytes.fromhex("16030100a5010000a1") + bytes(range(160)),
    "half a TLS greeting": bytes.fromhex("16030100"),
    "an alarm of TLS": bytes.fromhex("15030100020228"),
    "binary garbage": bytes(range(256)) * 50,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a handshake with garbage": handshake("/rooms/abc/live") + bytes(range(256)),
    "a handshake and a bad frame": handshake("/rooms/abc/live") + frame(3, b"x", first=0x70),
    "a handshake with a body": handshake("/rooms/abc/live", headers={"Content-Length": "5"}) + b"abcde",
    "percent signs": request("GET /%00%ff%zz/%2e%2e/", "Cookie: %00=\xff; ;;=;chat"),
    "a stylesheet of garbage": request("GET /rooms/%F0%9F/seats.css?x=%ff"),
    "two requests and a bad one": request("GET /") * 2 + b"\x00\r\n\r\n",
    "nothing": b"",
}


async def _meet(server: Server, data: bytes, how: str) -> None:
    try:
        async with asyncio.timeout(15), await Wire.open(server.port) as wire:
            wire.writer.write(data)
            if how == "waits":
                wire.writer.write_eof()
                await wire.rest()
            else:
                await asyncio.sleep(0.005)
                wire.reset()
    except OSError:
        pass


@pytest.mark.parametrize("how", ["waits", "resets"])
@pytest.mark.parametrize("kind", HOSTILE)
async def test_no_peer_writes_a_traceback_or_a_line_for_each_try(server: Server, kind: str, how: str) -> None:
    written, since = len(server.log), time.monotonic()
    await asyncio.gather(*(_meet(server, HOSTILE[kind], how) for _ in range(ROUNDS)))
    said = server.log[written:]
    assert "Traceback" not in said, said
    assert said.count("\n") <= 2 * (time.monotonic() - since + 1), said


async def test_refused_creates_of_one_address_are_counted_in_one_line_a_second(plain: Server) -> None:
    host = f"127.0.0.1:{plain.port}"
    body = b"name=Al&code=&create=1"
    form = request(
        "POST /", f"Origin: http://{host}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}"
    )
    data = (form + body).replace(b"Host: x", f"Host: {host}".encode())
    written, since = len(plain.log), time.monotonic()
    async with asyncio.timeout(60):
        async with await Wire.open(plain.port) as wire:
            for _ in range(150):
                await wire.send(data)
                answer = await wire.head()
                await wire.reader.readexactly(int(answer.headers.get("content-length", "0")))
    assert answer.status == 429
    said = plain.log[written:]
    assert "refused" in said
    assert said.count("refused") <= time.monotonic() - since + 2, said


# --- Counting ---


@pytest.fixture
def throttle(clock: FakeClock) -> Throttle:
    return Throttle(now=clock)


def line(text: str, *args: object, name: str = "chat", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, args, None)


def test_the_first_line_passes_and_the_next_says_how_many_were_held_back(
    throttle: Throttle, clock: FakeClock
) -> None:
    passed, began = [], clock.now
    for number in range(1000):
        clock.now = began + number / 100
        if throttle.filter(record := line("refused reason=%s", number)):
            passed.append(record.getMessage())
    assert passed[:2] == ["refused reason=0", "refused reason=100 (99 more like it)"]
    assert len(passed) == 10


def test_lines_of_other_kinds_pass_meanwhile(throttle: Throttle) -> None:
    assert throttle.filter(line("refused reason=rooms"))
    assert not throttle.filter(line("refused reason=joins"))
    assert throttle.filter(line("room-opened room=abc"))
    assert throttle.filter(line("refused reason=rooms", level=logging.ERROR))
    assert throttle.filter(line("refused reason=rooms", name="hypercorn.error"))
    assert throttle.filter(line("%d writes failed: %s", 3, "no"))
    assert not throttle.filter(line("%d writes failed: %s", 4, "yes"))


def test_kinds_are_remembered_in_bounded_number(throttle: Throttle, clock: FakeClock) -> None:
    passed = sum(throttle.filter(line(f"kind-{number} a=b")) for number in range(10_000))
    assert passed <= logs.KINDS + 1
    assert len(throttle._lines) <= logs.KINDS + 1
    clock.now += 2
    assert throttle.filter(line("another a=b"))


async def test_the_last_line_of_a_burst_is_written_with_the_count(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("hypercorn.error")
    mine = Throttle()
    others = logger.filters[:]
    logger.filters[:] = [mine]
    try:
        with caplog.at_level(logging.INFO, "hypercorn.error"):
            for number in range(5):
                logger.info("a line %d", number)
            assert [record.getMessage() for record in caplog.records] == ["a line 0"]
            async with asyncio.timeout(10):
                while len(caplog.records) < 2:
                    await asyncio.sleep(0.01)
        assert caplog.records[1].getMessage() == "a line 4 (3 more like it)"
    finally:
        logger.filters[:] = others


def test_the_server_and_asyncio_are_counted_too(tmp_path: Path) -> None:
    logs.configure()
    logs.configure()
    for name in ("hypercorn.error", "asyncio"):
        assert sum(isinstance(each, Throttle) for each in logging.getLogger(name).filters) == 1
