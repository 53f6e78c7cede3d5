"""What comes in a request is measured raw, and refused readably, before anybody works on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from people import FORM, ORIGIN, Person
from serving import REPO, Server
from werkzeug.datastructures import Headers
from wire import Wire, handshake

from chat.server import bounds
from chat.server.bodies import Bodies, BoundedRequest, CountedBody, Overloaded

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The chat itself, behind Hypercorn."""
    folder = tmp_path_factory.mktemp("chat")
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{folder / 'chat.db'}"}) as server:
        yield server


def head(start: str, *headers: str) -> bytes:
    return "\r\n".join([f"{start} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin1")


async def answer(server: Server, data: bytes) -> bytes:
    async with asyncio.timeout(10), await Wire.open(server.port) as wire:
        await wire.send(data)
        return await wire.rest()


def posted(server: Server, *headers: str, path: str = "/") -> bytes:
    host = f"127.0.0.1:{server.port}"
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin1")


# --- Before the body ---

LONG = {
    "a long path": (head("GET /" + "a" * 5000), 414),
    "a long query": (head("GET /?code=" + "a" * 5000), 414),
    "a long Accept-Encoding": (head("GET /", "Accept-Encoding: " + "a;q=1," * 2000), 431),
    "an Accept-Encoding in many lines": (head("GET /", *["Accept-Encoding: " + "a;q=1," * 100] * 2), 431),
    "a long Cookie": (head("GET /", "Cookie: " + "a=1;" * 3000), 431),
    "cookies in many lines": (head("GET /", *["Cookie: " + "a=1;" * 500] * 5), 431),
    "a long Content-Type": (head("GET /", "Content-Type: a/b;" + "a*0=1;" * 500), 431),
    "a long X-Forwarded-For": (head("GET /", "X-Forwarded-For: " + "1.1.1.1," * 500), 431),
    "a long If-None-Match": (head("GET /", "If-None-Match: " + '"a",' * 500), 431),
    "a long Range": (head("GET /", "Range: bytes=" + "0-1," * 500), 431),
    "many headers": (head("GET /", *(f"X-{number}: a" for number in range(120))), 431),
    "an endless header": (head("GET /", "X-Long: " + "a" * 100_000), 431),
    "a handshake with a long protocol": (
        handshake("/rooms/a/live", headers={"Sec-WebSocket-Protocol": "a, " * 1000}),
        431,
    ),
    "a HEAD with a long Cookie": (head("HEAD /", "Cookie: " + "a=1;" * 3000), 431),
}


@pytest.mark.parametrize("kind", LONG)
async def test_what_is_too_long_is_refused_readably_before_it_is_parsed(server: Server, kind: str) -> None:
    data, status = LONG[kind]
    got = await answer(server, data)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert b"content-type: text/plain; charset=utf-8" in got.lower()
    if not data.startswith(b"HEAD"):
        assert b"too long" in got.partition(b"\r\n\r\n")[2], got


USUAL = [
    "User-Agent: " + "Mozilla/5.0 (X11; Linux x86_64) " * 10,
    "Referer: http://x/" + "a" * 3000,
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7",
    "Cookie: " + "; ".join(f"other{number}={'x' * 60}" for number in range(100)),
    *(f"X-Proxy-{number}: of somebody" for number in range(40)),
]


async def test_no_other_site_learns_how_long_somebody_s_cookies_may_be(server: Server) -> None:
    got = await answer(server, head("GET /", "Cookie: " + "a=1;" * 3000))
    assert b"\r\ncross-origin-resource-policy: same-origin\r\n" in got.lower()


async def test_a_request_with_all_that_a_browser_and_two_proxies_add_is_served(server: Server) -> None:
    got = await answer(server, head("GET /", "Connection: close", *USUAL))
    assert got.startswith(b"HTTP/1.1 200 "), got[:200]


FRAMING = {
    "both lengths": ("POST /", ["Content-Length: 3", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "both lengths, the other way round": (
        "POST /",
        ["Transfer-Encoding: chunked", "Content-Length: 3"],
        b"3\r\nabc\r\n0\r\n\r\n",
    ),
    "two lengths": ("POST /", ["Content-Length: 3", "Content-Length: 4"], b"abcd"),
    "a GET with a body": ("GET /", ["Content-Length: 3"], b"abc"),
    "a GET with chunks": ("GET /", ["Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "a HEAD with a body": ("HEAD /", ["Content-Length: 3"], b"abc"),
}


@pytest.mark.parametrize("kind", FRAMING)
async def test_a_request_whose_end_is_a_matter_of_opinion_is_refused(server: Server, kind: str) -> None:
    start, headers, body = FRAMING[kind]
    smuggled = head("GET /healthz")
    got = await answer(server, head(start, *headers) + body + smuggled)
    assert got.startswith(b"HTTP/1.1 400 "), got
    assert got.count(b"HTTP/1.1") == 1


async def test_chunks_in_http_1_0_are_refused(server: Server) -> None:
    data = head("POST /", "Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert (await answer(server, data + b"0\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


# --- The body ---

BODIES = {
    "multipart": "multipart/form-data; boundary=x",
    "json": "application/json",
    "plain text": "text/plain",
    "no type": "",
    "the old name of forms": "application/x-url-encoded",
    "nonsense": ";;;=",
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_of_another_type_than_our_forms_is_refused_with_a_page(
    server: Server, kind: str, chunked: bool
) -> None:
    header = f"Content-Type: {BODIES[kind]}" if BODIES[kind] else "X-No: type"
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 5"
    body = b"5\r\nab=cd\r\n0\r\n\r\n" if chunked else b"ab=cd"
    got = await answer(server, posted(server, header, length, "Connection: close") + body)
    assert got.startswith(b"HTTP/1.1 415 "), got
    assert b"<!doctype html>" in got.lower()


@pytest.mark.parametrize(
    "headers", [[], ["Content-Length: 0"], ["Content-Length: 0", f"Content-Type: {FORM}"]]
)
async def test_a_post_without_a_body_is_an_empty_form(server: Server, headers: list[str]) -> None:
    got = await answer(server, posted(server, *headers, "Connection: close"))
    assert got.startswith(b"HTTP/1.1 422 "), got
    assert b"<form" in got


async def test_an_endless_multipart_writes_no_file_and_costs_no_memory(server: Server) -> None:
    start = b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"
    headers = "Content-Type: multipart/form-data; boundary=x", "Transfer-Encoding: chunked"
    memory = server.rss()
    async with asyncio.timeout(20), await Wire.open(server.port) as wire:
        await wire.send(posted(server, *headers) + b"%x\r\n" % len(start) + start + b"\r\n")
        got = asyncio.create_task(wire.rest())
        while not got.done():
            wire.writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await asyncio.sleep(0)
            await asyncio.wait([got], timeout=0.01)
        assert got.result().startswith(b"HTTP/1.1 415 ")
    assert server.rss() - memory < 8 * MIB


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_form_too_long_is_answered_while_it_is_being_sent(server: Server, chunked: bool) -> None:
    size = 2 * MIB
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    body = b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n" if chunked else b"x" * size
    async with asyncio.timeout(20), await Wire.open(server.port) as wire:
        wire.writer.write(posted(server, f"Content-Type: {FORM}", length, "Connection: close") + body)
        got = await wire.rest()
        assert got.startswith(b"HTTP/1.1 413 "), got
        assert got.endswith((b"</html>", b"</html>\n", b"\r\n0\r\n\r\n")), got


async def test_a_form_of_thousands_of_fields_is_refused(alice: Person) -> None:
    for count, status in ((bounds.FIELDS, 422), (bounds.FIELDS + 1, 413), (87_000, 413)):
        reply = await alice.ask(
            "POST", "/", {"Origin": ORIGIN, "Content-Type": FORM}, b"&".join([b"a="] * count)
        )
        assert reply.status == status, count


async def test_a_body_in_thousands_of_chunks_is_refused(server: Server) -> None:
    headers = f"Content-Type: {FORM}", "Transfer-Encoding: chunked", "Connection: close"
    start = posted(server, *headers)
    for count, status in ((bounds.BODY_PARTS // 2, b"422"), (bounds.BODY_PARTS * 2, b"413")):
        got = await answer(server, start + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 " + status), got


async def test_fields_that_would_take_a_mebibyte_of_memory_are_refused(alice: Person) -> None:
    """One emoji in a field, and Python holds each of its characters in four bytes."""
    for start, status in ((b"x", 422), ("🩷".encode(), 413)):
        body = b"&".join(b"%d=" % number + start + b"x" * 31_000 for number in range(8))
        reply = await alice.ask("POST", "/", {"Origin": ORIGIN, "Content-Type": FORM}, body)
        assert reply.status == status


SLOW = 500


@pytest.mark.parametrize("kind", ["with a length", "in chunks"])
async def test_slow_bodies_cost_little_memory_and_a_visitor_at_another_address_can_post(
    server: Server, kind: str
) -> None:
    """What each of them holds beyond its first 4 KiB is counted; a request takes 30 KiB without a body."""
    body = b"x" * 189_999
    length = "Content-Length: 190000"
    if kind == "in chunks":
        body, length = b"%x\r\n%s" % (len(body), body), "Transfer-Encoding: chunked"
    request = posted(server, f"Content-Type: {FORM}", length)
    await answer(server, head("GET /", "Connection: close"))
    memory, most, wires = server.rss(), 0, list[Wire]()
    try:
        async with asyncio.timeout(60):
            for number in range(SLOW):
                wires.append(await from_address(server, f"127.0.1.{number % 50 + 1}"))
                wires[-1].writer.write(request + body)
            for _ in range(10):
                most = max(most, server.rss() - memory)
                assert (await post_long_text(server)).startswith(b"HTTP/1.1 422 ")
            most = max(most, server.rss() - memory)
    finally:
        for wire in wires:
            wire.cut()
    assert most < 40 * MIB  # 80 KiB each; it was 270


async def test_behind_a_proxy_the_bodies_of_a_client_take_its_own_share(tmp_path: Path) -> None:
    env = {"CHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}", "CHAT_TRUSTED_PROXIES": "127.0.0.1"}
    wires: list[Wire] = []
    with Server(env=env) as server:
        try:
            async with asyncio.timeout(30):
                for _ in range(60):
                    headers = (
                        f"Content-Type: {FORM}",
                        "Content-Length: 100000",
                        "X-Forwarded-For: 203.0.113.9",
                    )
                    wires.append(await Wire.open(server.port))
                    await wires[-1].send(posted(server, *headers) + b"x" * 98_000)
                for address, status in (("203.0.113.9", 503), ("198.51.100.7", 422)):
                    answer = await post_long_text(server, "127.0.0.1", f"X-Forwarded-For: {address}")
                    assert answer.startswith(b"HTTP/1.1 %d " % status)
        finally:
            for wire in wires:
                wire.cut()


async def from_address(server: Server, address: str) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", server.port, local_addr=(address, 0)))


async def post_long_text(server: Server, address: str = "127.0.2.1", *more: str) -> bytes:
    """As long as a message may be, in letters that a form takes three bytes for."""
    body = b"name=&body=" + b"%D0%B6" * 4096
    headers = f"Content-Type: {FORM}", f"Content-Length: {len(body)}", "Connection: close", *more
    async with await from_address(server, address) as wire:
        await wire.send(posted(server, *headers) + body)
        return await wire.rest()


# --- Counting ---


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> Bodies:
    monkeypatch.setattr(bounds, "BODY_FREE", 100)
    monkeypatch.setattr(bounds, "BODIES", 1000)
    monkeypatch.setattr(bounds, "BODIES_PER_ADDRESS", 400)
    monkeypatch.setattr(bounds, "BODIES_OF_A_VISITOR", 50)
    return Bodies()


def arriving(bodies: Bodies, address: str | None, length: int | None = None) -> Any:
    body = CountedBody(length, 10_000)
    body.bodies, body.address = bodies, address
    return body


async def test_a_body_counts_beyond_its_free_part_for_its_address_and_for_all(bodies: Bodies) -> None:
    first, second = arriving(bodies, "192.0.2.1"), arriving(bodies, "192.0.2.1")
    first.append(b"x" * 100)
    assert bodies.total == 0
    for _ in range(10):
        first.append(b"x" * 40)  # a trickle is counted like a burst
    assert (bodies.total, bodies.of["192.0.2.1"]) == (400, 400)
    second.append(b"x" * 101)
    with pytest.raises(Overloaded):
        await second
    small = arriving(bodies, "192.0.2.1")
    small.append(b"x" * 100)
    small.set_complete()
    assert await small == b"x" * 100
    first.release()
    second.release()
    assert (bodies.total, dict(bodies.of)) == (0, {})


async def test_a_network_of_ipv6_has_half_of_all_however_many_addresses_it_has(bodies: Bodies) -> None:
    arriving_there = [arriving(bodies, f"2001:db8:1:{n:x}::/64") for n in range(10)]
    for body in arriving_there:
        body.append(b"x" * 200)
    assert bodies.total == 500
    arriving(bodies, "192.0.2.1").append(b"x" * 400)
    assert bodies.total == 800
    for body in arriving_there:
        body.release()
    assert (bodies.total, dict(bodies.of)) == (300, {"192.0.2.1": 300})


async def test_all_addresses_together_have_a_bound_and_the_rest_is_for_who_has_little(
    bodies: Bodies,
) -> None:
    for number in range(2):
        arriving(bodies, f"192.0.2.{number}").append(b"x" * 500)
    many = arriving(bodies, "192.0.2.9")
    many.append(b"x" * 175)
    assert bodies.total == 875
    many.append(b"x")
    with pytest.raises(Overloaded):
        await many
    for number in range(2):
        arriving(bodies, f"198.51.100.{number}", 150).append(b"x" * 150)
    arriving(bodies, None).append(b"x" * 125)
    assert bodies.total == 1000
    other = arriving(bodies, "203.0.113.1")
    other.append(b"x" * 101)
    with pytest.raises(Overloaded):
        await other


@pytest.mark.parametrize("length", [151, None])
async def test_parts_of_what_will_be_refused_keep_nobody_from_the_rest(
    bodies: Bodies, length: int | None
) -> None:
    for number in range(2):
        arriving(bodies, f"192.0.2.{number}").append(b"x" * 500)
    arriving(bodies, "192.0.2.9").append(b"x" * 175)
    for number in range(3):
        large = arriving(bodies, f"198.51.100.{number}", length)
        large.append(b"x" * 150)
        large.set_complete()
        with pytest.raises(Overloaded):
            await large
    assert bodies.total == 875
    visitor = arriving(bodies, "203.0.113.1", 150)
    visitor.append(b"x" * 150)
    visitor.set_complete()
    assert len(await visitor) == 150


async def test_a_request_that_is_over_keeps_nothing_of_its_form() -> None:
    """A timer that was started during a request holds it for as long as the timer runs."""
    scope: Any = {"chat.bodies": (Bodies(), None), "chat.ended": []}
    headers = Headers({"Content-Type": FORM})
    request = BoundedRequest("POST", "http", "/", b"", headers, "", "1.1", scope, send_push_promise=None)
    body: Any = request.body
    body.append(b"body=secret")
    body.set_complete()
    assert (await request.form)["body"] == "secret"
    for end in scope["chat.ended"]:
        end()
    kept = {**vars(request), "body": vars(body)}
    assert "secret" not in repr(kept)


async def test_what_is_refused_is_not_kept(bodies: Bodies) -> None:
    body = CountedBody(None, 50)
    body.append(b"x" * 60)
    body.append(b"x" * 60)
    assert not body._data


# --- Bodies of a real server with smaller bounds ---

HURRIED = """
from chat.app import create_app as chat
from werkzeug.datastructures import Headers

from chat.server import bounds

bounds.BODY_TIMEOUT, bounds.BODIES_PER_ADDRESS, bounds.LINGER = 1.0, 100_000, 0.3

create_app = chat
"""


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hurried")
    (folder / "hurried_app.py").write_text(HURRIED)
    env = {
        "CHAT_DATABASE_URL": f"sqlite:///{folder / 'chat.db'}",
        "PYTHONPATH": os.pathsep.join([str(folder), str(REPO)]),
    }
    with Server("hurried_app:create_app()", env=env) as server:
        yield server


async def test_a_body_that_trickles_is_answered_with_408_and_a_page(hurried: Server) -> None:
    headers = f"Content-Type: {FORM}", "Content-Length: 1000", "Connection: close"
    async with asyncio.timeout(15), await Wire.open(hurried.port) as wire:
        await wire.send(posted(hurried, *headers) + b"name=")
        answering = asyncio.create_task(wire.rest())
        while not (await asyncio.wait([answering], timeout=0.1))[0]:
            wire.writer.write(b"x")
        assert answering.result().startswith(b"HTTP/1.1 408 ")
        assert b"did not arrive in time" in answering.result()


async def test_too_many_bodies_of_one_address_are_asked_to_come_again(hurried: Server) -> None:
    """And each that has ended makes room for the next."""
    body = b"name=&body=" + b"x" * 99_989
    headers = f"Content-Type: {FORM}", f"Content-Length: {len(body)}", "Connection: close"
    request = posted(hurried, *headers)
    async with asyncio.timeout(15):
        for _ in range(4):
            assert (await answer(hurried, request + body)).startswith(b"HTTP/1.1 422 ")
        async with await Wire.open(hurried.port) as first:
            await first.send(request + body[:90_000])
            while not (busy := await answer(hurried, request + body)).startswith(b"HTTP/1.1 503 "):
                assert busy.startswith(b"HTTP/1.1 422 "), busy
        assert b"retry-after: 5" in busy.lower()
        assert b"very busy" in busy
        while (await answer(hurried, request + body)).startswith(b"HTTP/1.1 503 "):
            await asyncio.sleep(0.02)
