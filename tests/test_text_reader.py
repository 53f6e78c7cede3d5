"""Texts taken at the transport: nothing is lost, doubled or overtaken, and every bound holds there, too."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import LOOPS, Server, guarded
from tls import certified
from wire import CUT, Socket, Wire, frame, handshake
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from chat.server import bounds
from chat.server.connections import _Reader
from chat.server.peer_frames import unmasked
from chat.server.rates import FrameCount, FrameRates, Pace
from chat.server.text_reader import TextReader
from chat.server.timer_wheel import TimerWheel
from chat.server.worker import Options

TEXT, BINARY, PING, PONG, CONTINUATION = 1, 2, 9, 10, 0


class Transport:
    """What a reader asks of one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.reading = True

    def get_protocol(self) -> Any:
        return self.inner

    def set_protocol(self, protocol: Any) -> None:
        assert isinstance(protocol, TextReader)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Hypercorn:
    """In its place: what comes waits until `handle` is called, as for a task's next step."""

    def __init__(self) -> None:
        self.reader: Any = self
        self.buffer = bytearray()
        self.messages: list[Any] = []
        self.stream: Any = object.__new__(WSStream)
        self.stream.closed = False
        self.stream.state = ASGIWebsocketState.CONNECTED
        connection: Any = Connection(ConnectionType.SERVER)
        connection.more = False
        buffer: Any = SimpleNamespace(value=None)
        self.stream.connection, self.stream.buffer = connection, buffer

    # As the reader of its connection, and the stream below that.
    waits = True
    _paused = False

    @property
    def _buffer(self) -> bytes:
        return bytes(self.buffer)

    def data_received(self, data: bytes) -> None:
        assert data
        self.buffer += data

    def eof_received(self) -> None: ...

    def handle(self) -> None:
        self.stream.connection.receive_data(bytes(self.buffer))
        self.buffer.clear()
        for event in self.stream.connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                data: Any = event.data
                self.stream.buffer.value = (self.stream.buffer.value or data[:0]) + data
                if event.message_finished:
                    self.messages.append(self.stream.buffer.value)
                    self.stream.buffer.value = None


class Setup:
    """A reader between a transport and Hypercorn."""

    def __init__(self, declines: bytes = b"no", frames: FrameCount | None = None) -> None:
        self.hypercorn = Hypercorn()
        self.transport = Transport(self.hypercorn)
        if frames is not None:
            self.hypercorn.stream.frames = frames
        worker = SimpleNamespace(deadlines=TimerWheel(45, TextReader.check))
        server = SimpleNamespace(
            writer=SimpleNamespace(transport=self.transport),
            reader=self.hypercorn,
            context=SimpleNamespace(worker=worker),
        )
        self.reader = TextReader(server, self.hypercorn)
        self._declines = declines
        self.fast = 0
        self.idle = True
        self.reader.attach(self)

    def is_idle(self) -> bool:
        return self.idle

    def take_at_once(self, data: bytes) -> bool:
        if data.startswith(self._declines):
            return False
        self.hypercorn.messages.append(data.decode())
        self.fast += 1
        return True

    @property
    def messages(self) -> list[Any]:
        return self.hypercorn.messages


def masked(opcode: int, payload: bytes, mask: bytes = b"\x01\xfe\x80\x7f", **more: Any) -> bytes:
    plain = frame(opcode, payload, **more)
    start = len(plain) - len(payload)
    return plain[: start - 4] + mask + unmasked(mask, payload)


MIXTURE: list[tuple[bytes, list[Any]]] = [
    (masked(TEXT, b"one"), ["one"]),
    (masked(TEXT, "zwölf 🩷".encode() * 20), ["zwölf 🩷" * 20]),
    (masked(PING, b"ping"), []),
    (masked(TEXT, b"no, thanks"), ["no, thanks"]),
    (masked(TEXT, b""), [""]),
    (masked(TEXT, b"in ", fin=False) + masked(PONG, b"") + masked(CONTINUATION, b"parts"), ["in parts"]),
    (masked(BINARY, b"\xff\xfe"), [b"\xff\xfe"]),
    (masked(TEXT, b"x" * 70_000), ["x" * 70_000]),
    (masked(TEXT, b"y" * 5000), ["y" * 5000]),
    (masked(TEXT, b"last"), ["last"]),
]


@pytest.mark.parametrize("number", range(len(MIXTURE)))
async def test_a_frame_cut_at_any_byte_arrives_once_and_in_its_place(number: int) -> None:
    data, expected = MIXTURE[number]
    cuts = range(1, len(data)) if len(data) < 300 else [1, 2, 3, 4, 5, 6, 7, 8, 9, 4000, len(data) - 1]
    for cut in cuts:
        setup = Setup()
        for part in (masked(TEXT, b"before"), data[:cut], data[cut:] + masked(TEXT, b"after")):
            setup.reader.data_received(part)
            setup.hypercorn.handle()
        assert setup.messages == ["before", *expected, "after"], cut
        setup.reader.detach()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_comes_in_whatever_parts_arrives_once_and_in_order(data: st.DataObject) -> None:
    asyncio.run(_any_parts(data))


async def _any_parts(data: st.DataObject) -> None:
    """Hypercorn may be behind by any number of parts, and the application by any of its messages."""
    chosen = data.draw(st.lists(st.sampled_from(MIXTURE), min_size=1, max_size=12))
    stream = b"".join(frames for frames, _ in chosen)
    setup, at = Setup(), 0
    while at < len(stream):
        size = data.draw(st.one_of(st.integers(1, 40), st.integers(1, 80_000)))
        setup.reader.data_received(stream[at : at + size])
        at += size
        if data.draw(st.booleans()):
            setup.hypercorn.handle()
        setup.idle = data.draw(st.booleans())
        if data.draw(st.booleans()):
            await asyncio.sleep(0)
    setup.hypercorn.handle()
    assert setup.messages == [message for _, messages in chosen for message in messages]
    setup.reader.detach()


async def test_a_text_waits_behind_what_went_to_hypercorn_until_that_is_dealt_with() -> None:
    setup = Setup()
    setup.reader.data_received(masked(TEXT, b"no"))
    setup.reader.data_received(masked(TEXT, b"two"))  # Hypercorn has not read yet
    setup.hypercorn.handle()
    setup.idle = False
    setup.reader.data_received(masked(TEXT, b"three"))  # the application is busy
    setup.hypercorn.handle()
    assert (setup.messages, setup.fast) == (["no", "two", "three"], 0)
    setup.idle = True
    setup.reader.data_received(masked(TEXT, b"four"))
    assert (setup.messages[-1], setup.fast) == ("four", 1)


async def test_a_ping_goes_to_hypercorn_and_no_text_waits_for_it() -> None:
    setup = Setup()
    pong, ping = masked(PONG, b""), masked(PING, b"x" * 125)
    setup.reader.data_received(masked(TEXT, b"one") + pong + masked(TEXT, b"two") + ping)
    setup.reader.data_received(masked(TEXT, b"three"))
    assert (setup.messages, setup.fast) == (["one", "two", "three"], 3)
    assert setup.hypercorn._buffer == ping


async def test_pongs_are_counted_and_cost_hypercorn_nothing() -> None:
    rates = FrameRates(Pace(1, 5), Pace(1000, 1000), Pace(1000, 1000), now=lambda: 100.0)
    setup = Setup(frames=FrameCount(rates))
    setup.reader.data_received(masked(PONG, b"") * 20)
    assert setup.hypercorn._buffer == masked(PONG, b"") * 14


FAULTS = {
    "no mask": b"\x81\x04four",
    "reserved bits": masked(TEXT, b"x", first=0x40),
    "a length that is not the shortest": b"\x81\xfe\x00\x03\x01\xfe\x80\x7f" + b"abc",
    "too long": masked(TEXT, b"x" * (bounds.FAST_TEXT + 1)),
    "an enormous length": masked(TEXT, b"x", length=2**40),
    "a long ping": masked(PING, b"x" * 126),
}


@pytest.mark.parametrize("kind", FAULTS)
async def test_what_is_odd_is_hypercorn_s_and_so_is_all_behind_it(kind: str) -> None:
    setup = Setup()
    behind = masked(TEXT, b"behind")
    setup.reader.data_received(masked(TEXT, b"before") + FAULTS[kind] + behind)
    assert setup.hypercorn._buffer == FAULTS[kind] + behind
    assert setup.messages == ["before"]


async def test_after_32_texts_others_have_their_turn() -> None:
    setup = Setup()
    numbers = [str(number) for number in range(100)]
    setup.reader.data_received(b"".join(masked(TEXT, number.encode()) for number in numbers))
    for turn in range(1, 4):
        assert setup.messages == numbers[: turn * bounds.FRAMES_AT_ONCE]
        assert not setup.transport.reading
        await asyncio.sleep(0)
    assert setup.messages == numbers
    assert setup.transport.reading


async def test_while_it_is_held_nothing_is_read_and_nothing_lost() -> None:
    setup = Setup()
    setup.reader.data_received(masked(TEXT, b"before"))
    setup.reader.hold()
    for number in range(3):
        setup.reader.data_received(masked(TEXT, b"%d" % number))
    assert (setup.messages, setup.transport.reading) == (["before"], False)
    setup.reader.release()
    assert (setup.messages, setup.transport.reading) == (["before", "0", "1", "2"], True)


async def test_what_an_address_sends_too_much_of_waits() -> None:
    clock = [100.0]
    rates = FrameRates(Pace(1000, 1000), Pace(1000, 1000), Pace(100, 5), now=lambda: clock[0])
    frames = FrameCount(rates)
    frames.belongs_to("ann", "192.0.2.1")
    setup = Setup(frames=frames)
    setup.reader.data_received(masked(TEXT, b"x") * 10)
    assert len(setup.messages) == 10
    setup.reader.data_received(masked(TEXT, b"later"))
    assert (len(setup.messages), setup.transport.reading) == (10, False)
    clock[0] += 1
    while not setup.transport.reading:
        await asyncio.sleep(0.01)
    assert (setup.messages[-1], setup.transport.reading) == ("later", True)


async def test_a_socket_over_its_rate_is_hypercorn_s_to_end() -> None:
    rates = FrameRates(Pace(1, 5), Pace(1000, 1000), Pace(1000, 1000), now=lambda: 100.0)
    setup = Setup(frames=FrameCount(rates))
    setup.reader.data_received(masked(TEXT, b"x") * 20)
    assert setup.fast == 6
    assert setup.hypercorn._buffer == masked(TEXT, b"x") * 14


async def test_each_part_of_a_text_counts_as_it_does_in_hypercorn() -> None:
    rates = FrameRates(Pace(1, 5), Pace(1000, 1000), Pace(1000, 1000), now=lambda: 100.0)
    setup = Setup(frames=FrameCount(rates))
    data = masked(TEXT, b"x" * 100)
    for byte in data:
        setup.reader.data_received(bytes([byte]))
        if setup.hypercorn._buffer:
            break
    first, parts = 1, 5 / bounds.FRAME_PART
    assert setup.hypercorn._buffer == data[: int(first + parts + 1)]
    setup.reader.detach()


async def test_a_peer_that_tcp_gives_up_on_is_not_waited_for() -> None:
    """Its connection ends with a TimeoutError, too, and was perhaps heard of a moment ago."""
    later = asyncio.get_running_loop().time() + 40
    asked: list[float] = []

    class Texts:
        @property
        def deadline(self) -> float:
            assert not asked, "it is read again and again, and nobody else has a turn"
            asked.append(later)
            return later

    stream: Any = object.__new__(WSStream)
    stream.text_reader = Texts()
    server: Any = SimpleNamespace(
        protocol=SimpleNamespace(protocol=SimpleNamespace(stream=stream)),
        writer=SimpleNamespace(get_extra_info=lambda name: ("192.0.2.1", 1)),
    )
    worker: Any = SimpleNamespace(read_timeout=45, turns=None, options=Options())
    received = asyncio.StreamReader()
    reader = _Reader(server, received, worker)
    received.set_exception(TimeoutError(110, "Connection timed out"))
    with pytest.raises(TimeoutError, match="timed out"):
        await reader.read(1)


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4))
def test_a_mask_is_taken_off(data: bytes, mask: bytes) -> None:
    assert unmasked(mask, data) == bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))


# Over a real Hypercorn ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded(tmp_path_factory.mktemp("server"), request.param) as server:
        yield server


@pytest.fixture(scope="module", params=LOOPS)
def encrypted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = certified(folder, "IP:127.0.0.1")
    with guarded(folder, request.param, f'certfile = "{certificate}"', f'keyfile = "{key}"') as server:
        yield server


async def _heard(socket: Socket, count: int) -> list[str]:
    return [str(await socket.recv()) for _ in range(count)]


async def _in_random_parts(socket: Socket, data: bytes, seed: int) -> None:
    socket.answers_pings = False  # in the middle of a frame
    dice, at = random.Random(seed), 0
    while at < len(data):
        size = dice.choice([1, 2, 7, 100, 1448, 5000])
        await socket.send(data[at : at + size])
        await asyncio.sleep(dice.choice([0, 0, 0.002]))
        at += size


def _various(count: int) -> tuple[bytes, list[str]]:
    """Texts of all kinds, each with its number, and pings between them."""
    kinds = ["fast {}", "slow {}", "{} in parts", "{} long " + "x" * 20_000, "{} emoji " + "🩷" * 30]
    texts = [kinds[number % len(kinds)].format(number) for number in range(count)]
    frames = []
    for number, text in enumerate(texts):
        data = text.encode()
        if number % 5 == 2:
            frames += [masked(TEXT, data[:3], fin=False), masked(CONTINUATION, data[3:])]
        else:
            frames.append(masked(TEXT, data))
        if number % 7 == 3:
            frames.append(masked(PING, b"are you there?"))
    return b"".join(frames), texts


@pytest.mark.parametrize("seed", range(2))
async def test_texts_of_both_ways_keep_their_order(server: Server, seed: int) -> None:
    data, texts = _various(100)
    async with asyncio.timeout(60), await Socket.connect(server.port, "/texts") as socket:
        sending = asyncio.create_task(_in_random_parts(socket, data, seed))
        heard = await _heard(socket, len(texts))
        await sending
    assert [answer.partition(" ")[2] for answer in heard] == texts
    assert {answer.partition(" ")[0] for answer in heard} == {"fast", "slow"}


async def test_over_tls_as_well(encrypted: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    data, texts = _various(60)
    reader, writer = await asyncio.open_connection("127.0.0.1", encrypted.port, ssl=context)
    async with asyncio.timeout(60), Socket(reader, writer) as socket:
        await socket.send(handshake("/texts"))
        assert (await socket.head()).status == 101
        sending = asyncio.create_task(_in_random_parts(socket, data, 1))
        heard = await _heard(socket, len(texts))
        await sending
        # On a busy machine all of those may come at once, behind one that goes the slow way.
        for text, way in (("one", "fast"), ("slow", "slow"), ("two", "fast")):
            await socket.send_text(text)
            assert await socket.recv() == f"{way} {text}"
    assert [answer.partition(" ")[2] for answer in heard] == texts


async def test_a_text_on_its_own_takes_the_fast_way_and_again_after_another(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        for text, way in (("one", "fast"), ("slow", "slow"), ("two", "fast"), ("slow", "slow")):
            await socket.send_text(text)
            assert await socket.recv() == f"{way} {text}"


async def test_a_peer_waits_while_the_application_has_enough(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        await socket.send_text("hold")
        assert await socket.recv() == "fast hold"
        held = asyncio.get_running_loop().time()
        memory = server.rss()
        pushing = asyncio.create_task(socket.send(frame(TEXT, b"x" * 8000) * 200))
        await asyncio.sleep(0.2)
        assert server.rss() - memory < 1024 * 1024
        assert await socket.recv() == "fast " + "x" * 8000
        assert asyncio.get_running_loop().time() - held > 0.3
        assert await _heard(socket, 199) == ["fast " + "x" * 8000] * 199
        await pushing


async def test_a_text_that_lacks_its_end_is_not_waited_for(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        socket.answers_pings = False  # in the middle of a message
        await socket.send(frame(TEXT, b"x" * 100, length=1000))
        receiving = asyncio.create_task(socket.recv())
        while not receiving.done():
            await socket.send(b"x")
            await asyncio.wait([receiving], timeout=0.1)
        assert receiving.result() == 1008


async def test_who_writes_is_heard_of_though_hypercorn_reads_nothing(server: Server) -> None:
    """The read timeout is a second here."""
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        socket.answers_pings = False
        for number in range(8):
            await socket.send_text(f"{number}")
            assert await socket.recv() == f"fast {number}"
            await asyncio.sleep(0.3)
        assert await socket.recv() == CUT


async def test_who_is_silent_is_let_go_though_hypercorn_has_stopped_reading(server: Server) -> None:
    """The read timeout is a second here. What went to Hypercorn is dealt with, so it reads no further."""
    async with asyncio.timeout(10), await Socket.connect(server.port, "/texts") as socket:
        socket.answers_pings = False
        for text, way in (("slow", "slow"), ("one", "fast")):
            await socket.send_text(text)
            assert await socket.recv() == f"{way} {text}"
        assert await socket.recv() == CUT


async def test_who_only_answers_pings_stays(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        await socket.send_text("one")
        assert await socket.recv() == "fast one"
        listening = asyncio.create_task(socket.recv())
        await asyncio.wait([listening], timeout=2.5)
        await socket.send_text("two")
        assert await listening == "fast two"


async def test_a_text_that_is_not_utf_8_ends_the_socket_with_1007(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        await socket.send_text("good")
        assert await socket.recv() == "fast good"
        await socket.send(masked(TEXT, b"\xff\xfe"))
        assert await socket.recv() == 1007


async def test_a_flood_of_texts_ends_the_socket_with_1008(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/texts") as socket:
        socket.writer.write(frame(TEXT, b"x") * 100_000)
        answers = 0
        while isinstance(answer := await socket.recv(), str):
            answers += 1
        assert answer == 1008
        assert answers <= bounds.FRAMES.burst + 50
        await socket.rest()


async def test_who_hangs_up_is_let_go(server: Server) -> None:
    async with asyncio.timeout(20):
        socket = await Socket.connect(server.port, "/texts")
        await socket.send_text("hello")
        assert await socket.recv() == "fast hello"
        await socket.send(frame(TEXT, b"x", length=1000))
        socket.cut()
        while b'"here":{}' not in await _state(server):
            await asyncio.sleep(0.02)
        assert "Traceback" not in server.log


async def _state(server: Server) -> bytes:
    async with await Wire.open(server.port) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await wire.head()
        return (await wire.rest()).replace(b" ", b"")
