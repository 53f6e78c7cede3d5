"""Frames of every type are counted, and a read full of them gives way to others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from people import FakeClock
from serving import LOOPS, Server, guarded
from wire import Refused, Socket, Wire, frame
from wsproto.connection import Connection, ConnectionType

from chat.limits import OPENINGS
from chat.server import bounds
from chat.server.rates import Allowance, Allowances, FrameCount, FrameRates, Pace
from chat.server.websockets import _PoliteConnection

TEXT, CLOSE, PING, PONG, CONTINUATION = 1, 8, 9, 10, 0

FLOODS = {
    "empty pings": frame(PING),
    "full pings": frame(PING, b"x" * 125),
    "pongs that nobody asked for": frame(PONG),
    "empty texts": frame(TEXT),
    "texts": frame(TEXT, b"x"),
    "binary messages": frame(2, b"x"),
}
FRAGMENTS = {
    "one-byte fragments": (frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", fin=False)),
    "empty fragments": (frame(TEXT, fin=False), frame(CONTINUATION, fin=False)),
}


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded(tmp_path_factory.mktemp("server"), request.param) as server:
        yield server


async def _code(socket: Socket) -> int:
    """With what the server closes, after whatever it echoes."""
    while isinstance(code := await socket.recv(), str):
        pass
    return code


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_of_frames_of_any_type_ends_the_socket_with_1008(server: Server, kind: str) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        socket.writer.write(FLOODS[kind] * 100_000)
        assert await _code(socket) == 1008
        await socket.rest()


@pytest.mark.parametrize("kind", FRAGMENTS)
async def test_a_flood_of_fragments_ends_the_socket_with_1008(server: Server, kind: str) -> None:
    start, more = FRAGMENTS[kind]
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        socket.answers_pings = False  # in the middle of a message
        socket.writer.write(start + more * 100_000)
        assert await _code(socket) == 1008
        await socket.rest()


async def test_several_hundred_frames_at_once_are_welcome(server: Server) -> None:
    """As of a browser that comes back and sends what was written meanwhile."""
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        socket.writer.write(b"".join(frame(TEXT, b"%d" % number) for number in range(250)))
        assert [await socket.recv() for _ in range(250)] == [str(number) for number in range(250)]
        await socket.close(1000)
        assert await socket.recv() == 1000


async def test_the_sockets_of_one_person_share_a_rate(server: Server) -> None:
    person = {"Cookie": "person=ann"}
    async with asyncio.timeout(20):
        sockets = [await Socket.connect(server.port, "/whose", headers=person) for _ in range(6)]
        for socket in sockets:
            socket.writer.write(frame(PONG) * 250)  # no socket alone is over its own
        codes = await asyncio.gather(*(_code(socket) for socket in sockets[-1:]))
        assert codes == [1008]
        async with await Socket.connect(server.port, "/whose", headers={"Cookie": "person=bob"}) as other:
            await other.send_text("hello")
            assert await other.recv() == "hello"
        for socket in sockets:
            socket.cut()


# --- The work between two turns of the event loop ---


def _connection(data: bytes) -> Any:
    connection = _PoliteConnection(Connection, ConnectionType.SERVER)
    connection.receive_data(data)
    return connection


@pytest.mark.parametrize("kind", FLOODS)
def test_a_read_of_64_kib_is_taken_a_few_frames_at_a_time(kind: str) -> None:
    count = 65536 // len(FLOODS[kind])
    connection = _connection(FLOODS[kind] * count)
    taken: list[int] = []
    while not taken or connection.more:
        taken.append(len(list(connection.events())))
        assert taken[-1] <= bounds.FRAMES_AT_ONCE
        connection.receive_data(b"")
    assert sum(taken) == count


def test_what_is_not_taken_yet_is_not_lost_when_more_arrives() -> None:
    numbers = range(100)
    connection = _connection(b"".join(frame(TEXT, b"%d" % number) for number in numbers))
    texts = [event.data for event in connection.events()]
    connection.receive_data(frame(TEXT, b"last"))
    while connection.more:
        texts += [event.data for event in connection.events()]
    assert texts == [*map(str, numbers), "last"]


# --- Rates ---


@pytest.fixture
def rates(clock: FakeClock) -> FrameRates:
    return FrameRates(Pace(10, 20), Pace(10, 50), Pace(10, 100), now=clock)


@pytest.mark.parametrize("now", [100.0, 1000.0, 12_345.678, 3e7])
def test_a_burst_is_free_and_the_next_frame_is_one_too_many(
    rates: FrameRates, clock: FakeClock, now: float
) -> None:
    clock.now = now
    count = FrameCount(rates)
    assert all(count.spend(1) for _ in range(20))
    assert not count.spend(1)
    assert count.over


def test_a_steady_sender_at_the_rate_is_never_over(rates: FrameRates, clock: FakeClock) -> None:
    count = FrameCount(rates)
    for _ in range(1000):
        clock.now += 0.1
        assert count.spend(1)


def test_a_long_message_in_many_parts_is_no_flood(rates: FrameRates) -> None:
    assert FrameCount(rates).spend(bounds.FRAME_PART)
    assert bounds.FRAMES.burst > bounds.FRAME_PART * 262144 / 1448  # in packets of the Internet's size


def test_a_new_socket_does_not_give_a_person_a_new_allowance(rates: FrameRates) -> None:
    for _ in range(5):
        (count := FrameCount(rates)).belongs_to("ann", "192.0.2.1")
        assert all(count.spend(1) for _ in range(10))
    (count := FrameCount(rates)).belongs_to("ann", "192.0.2.1")
    assert not count.spend(1)
    (other := FrameCount(rates)).belongs_to("bob", "192.0.2.1")
    assert other.spend(1)


def test_an_address_is_slowed_down_and_not_cut_off(rates: FrameRates) -> None:
    waits = []
    for person in range(12):
        (count := FrameCount(rates)).belongs_to(str(person), "192.0.2.1")
        assert all(count.spend(1) for _ in range(10))
        waits.append(count.pause())
    assert waits[:10] == [0.0] * 10
    assert waits[10:] == pytest.approx([1.0, 2.0])
    (count := FrameCount(rates)).belongs_to("eve", "192.0.2.2")
    assert count.spend(1)
    assert count.pause() == 0


def test_allowances_that_are_full_again_are_forgotten(clock: FakeClock) -> None:
    allowances = Allowances(Pace(10, 10))
    for number in range(10 * Allowances.SWEEP):
        clock.now += 1
        allowances.of(str(number), clock.now).spend(5, clock.now)
    assert len(allowances._of) <= Allowances.SWEEP


def test_a_debt_has_an_end() -> None:
    allowance = Allowance(Pace(10, 10))
    for _ in range(1000):
        allowance.spend(1, 0.0)
    assert allowance.spend(1, 2.0) == 0


# --- In the chat ---


async def test_a_person_who_opens_sockets_again_and_again_is_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}"}) as server:
        path, cookies = await _enter(server.port)
        other_path, other_cookies = await _enter(server.port)
        opened = 0
        async with asyncio.timeout(60):
            status = 101
            while status == 101 and opened < 2000:
                try:
                    (await Socket.connect(server.port, path, cookies=cookies)).cut()
                    opened += 1
                except Refused as refused:
                    status = refused.response.status
            assert status == 429
            assert opened >= OPENINGS.burst  # far more than ten tabs need
            async with await Socket.connect(server.port, other_path, cookies=other_cookies) as other:
                await other.send_text('{"k": "resume", "epoch": "", "since": "0"}')
                assert "<hx-partial" in str(await other.recv())


async def _enter(port: int) -> tuple[str, dict[str, str]]:
    """Make a room; the path of its socket, and the cookie of who made it."""
    async with await Wire.open(port) as wire:
        head = [
            "POST / HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Origin: http://127.0.0.1:{port}",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 22",
        ]
        await wire.send("\r\n".join([*head, "", "name=Al&code=&create=1"]).encode())
        response = await wire.head()
        name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
        return response.headers["location"] + "/live", {name: value}


async def test_a_member_who_floods_one_socket_is_cut_off_there_and_slow_on_none(tmp_path: Path) -> None:
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}"}) as server:
        path, cookies = await _enter(server.port)
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            connect = partial(Socket.connect, server.port, path, cookies=cookies)
            flooding = await stack.enter_async_context(await connect())
            flooding.writer.write(frame(PING) * 100_000)
            assert await _code(flooding) == 1008
            async with await connect() as other:
                await other.send_text('{"k": "resume", "epoch": "", "since": "0"}')
                assert "<hx-partial" in str(await other.recv())
