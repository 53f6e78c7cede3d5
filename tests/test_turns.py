"""What one address sends at once waits in its own line: others pass by, and nobody in it is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from bench import attacker, burst
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.config import Config
from serving import Server
from wire import Socket, Wire

from chat.addresses import parse_network
from chat.server import bounds, guards
from chat.server.addresses import behind
from chat.server.bodies import Bodies, CountedBody, Overloaded
from chat.server.turns import Busy, Place, Places, Turns
from chat.server.worker import Options

HOST, BUSY, PROXY = "127.0.0.1", "127.0.0.2", "127.0.0.3"
MANY = 240  # requests at once
FEW = 48  # that may begin before the answer to another address

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def started(**env: str) -> Server:
        url = f"sqlite:///{tmp_path / 'chat.db'}"
        server = Server(
            "tests.counting_app:create_app()",
            env={"CHAT_DATABASE_URL": url, "CHAT_TRUSTED_PROXIES": PROXY, **env},
        )
        servers.append(server)
        server.start()
        return server

    yield started
    for server in servers:
        server.kill()


class Visitor(Wire):
    """A connection from an address of one's choice."""

    @classmethod
    async def at(cls, server: Server, address: str) -> Visitor:
        return cls(*await asyncio.open_connection(HOST, server.port, local_addr=(address, 0)))

    @property
    def port(self) -> int:
        port: int = self.writer.get_extra_info("sockname")[1]
        return port

    def ask(self, server: Server, path: str, *headers: str) -> None:
        self.writer.write(burst.request("GET", server.port, path, *headers))

    async def status(self) -> int:
        return (await self.head()).status


@asynccontextmanager
async def visitors(server: Server, address: str, count: int) -> AsyncIterator[list[Visitor]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await Visitor.at(server, address)) for _ in range(count)]


# --- With a real server ---


@pytest.mark.parametrize("kind", burst.KINDS)
async def test_others_are_answered_after_few_of_the_requests_of_a_busy_address(
    start: Start, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    seat = await asyncio.to_thread(attacker.Seat, server.port, name="Ann")
    monkeypatch.setattr(attacker, "SOURCE", BUSY)
    requests = await asyncio.to_thread(lambda: list(islice(burst.KINDS[kind](server.port), MANY)))
    name, _, value = seat.cookie.partition("=")
    async with asyncio.timeout(60), visitors(server, BUSY, MANY) as busy, AsyncExitStack() as stack:
        talker = await Socket.connect(server.port, f"{seat.room}/live", cookies={name: value})
        await stack.enter_async_context(talker)
        reader = await stack.enter_async_context(await Visitor.at(server, HOST))
        known = len(server.log.splitlines())
        server.pause()  # so that all are there when it looks
        for visitor, request in zip(busy, requests, strict=True):
            visitor.writer.write(request)
        reader.ask(server, "/")
        await talker.send_text('{"k": "page", "key": "a", "acked": "0", "body": "Hello"}')
        server.go_on()
        assert await reader.status() == 200
        assert {await visitor.status() for visitor in busy} <= {101, 200, 303, 404, 429}
        for visitor in busy:
            await asyncio.to_thread(server.wait_for_log, f"began {BUSY} {visitor.port}")
        await asyncio.to_thread(server.wait_for_log, f"answered {HOST} {reader.port}")
        await asyncio.to_thread(server.wait_for_log, "writing")
    log = server.log.splitlines()[known:]
    begun = [int(line.split()[2]) for line in log if line.startswith(f"began {BUSY}")]
    assert sorted(begun) == sorted(visitor.port for visitor in busy)
    order = {visitor.port: number for number, visitor in enumerate(busy)}
    assert all(abs(order[port] - at) <= bounds.PLACES_PER_ADDRESS for at, port in enumerate(begun))
    for done in (f"answered {HOST} {reader.port}", "writing"):
        before = [line for line in log[: log.index(done)] if line.startswith(f"began {BUSY}")]
        assert len(before) <= FEW, f"{done}: after {len(before)}"


@asynccontextmanager
async def occupied(server: Server, address: str, *headers: str) -> AsyncIterator[list[Visitor]]:
    """All places of an address are taken until somebody asks for /end."""
    async with visitors(server, address, bounds.PLACES_PER_ADDRESS) as holding:
        for visitor in holding:
            visitor.ask(server, "/held", *headers)
            await asyncio.to_thread(server.wait_for_log, f"began {address} {visitor.port}")
        yield holding


async def end(server: Server) -> None:
    async with await Visitor.at(server, HOST) as visitor:
        visitor.ask(server, "/end")
        assert await visitor.status() == 200


async def test_who_goes_while_waiting_gives_the_place_in_the_line_back(start: Start) -> None:
    server = start(WAITING="2")
    async with asyncio.timeout(30), occupied(server, BUSY), visitors(server, BUSY, 4) as waiting:
        gone, stays, refused, late = waiting
        for visitor in (gone, stays, refused):
            visitor.ask(server, "/")
        response = await refused.head()
        assert (response.status, response.headers["retry-after"]) == (503, str(bounds.COME_AGAIN))
        async with gone:  # and leave
            pass
        late.ask(server, "/")
        await end(server)
        assert [await stays.status(), await late.status()] == [200, 200]
    assert f"began {BUSY} {gone.port}" not in server.log


FIRST = {
    "a page": burst.request("GET", 80, "/"),
    "a socket": burst.request("GET", 80, "/live", *burst.UPGRADE),
    "a form": burst.request("POST", 80, "/", body=b"name=Eve&create=1"),
    "half a form": burst.request("POST", 80, "/", body=b"name=Eve&create=1")[:-4],
}
MORE = {
    "nothing": b"",
    "a request": FIRST["a page"],
    "half a request": FIRST["a page"][:20],
    "garbage": b"\x16\x03\x01\x00\xa5" + bytes(range(256)),
}


async def cut(visitor: Visitor) -> None:
    visitor.cut()


async def reset(visitor: Visitor) -> None:
    visitor.reset()


async def refused(visitor: Visitor) -> None:
    """Until the server hangs up."""
    assert (await visitor.rest()).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("go", [cut, reset, refused])
@pytest.mark.parametrize("first", FIRST)
async def test_who_says_more_while_waiting_and_goes_leaves_nothing(
    start: Start, first: str, go: Callable[..., Any]
) -> None:
    server = start(PATIENCE="0.5" if go is refused else "30")
    async with asyncio.timeout(30), occupied(server, BUSY), await Visitor.at(server, HOST) as looking:
        before = await tasks(server, looking)
        async with visitors(server, BUSY, len(MORE)) as leaving:
            asked = server.log.count(f"asked {BUSY}")
            for visitor in leaving:
                await visitor.send(FIRST[first])
            await asyncio.to_thread(server.wait_for_log, f"asked {BUSY}", count=asked + len(MORE))
            for visitor, more in zip(leaving, MORE.values(), strict=True):
                await visitor.send(more)
            await asyncio.gather(*map(go, leaving))
        while await tasks(server, looking) > before:
            await asyncio.sleep(0.02)
        await end(server)
    server.terminate()
    assert await asyncio.to_thread(server.wait, 5) == 0
    assert "Traceback" not in server.log


async def tasks(server: Server, visitor: Visitor) -> int:
    visitor.ask(server, "/tasks", "Accept-Encoding: identity")
    response = await visitor.head()
    return int(await visitor.reader.readexactly(int(response.headers["content-length"])))


async def test_who_has_waited_for_too_long_is_told_when_to_come_again(start: Start) -> None:
    server = start(PATIENCE="0.2")
    async with asyncio.timeout(30), occupied(server, BUSY) as holding, visitors(server, BUSY, 2) as waiting:
        waiting[0].ask(server, "/")
        response = await waiting[0].head()
        assert (response.status, response.headers["retry-after"]) == (503, str(bounds.COME_AGAIN))
        await end(server)
        assert {await visitor.status() for visitor in holding} == {200}
        waiting[1].ask(server, "/")
        assert await waiting[1].status() == 200


async def trickled(server: Server, visitor: Visitor) -> None:
    """A form whose end does not come."""
    head = burst.request("POST", server.port, "/", body=b"name=Eve")
    visitor.writer.write(head[:-4])


async def unread(server: Server, visitor: Visitor) -> None:
    """A page that nobody reads."""
    transport: Any = visitor.writer.transport
    transport.pause_reading()
    visitor.ask(server, "/static/x/vendor/htmx.min.js")


async def half_a_head(server: Server, visitor: Visitor) -> None:
    """A request that does not end."""
    visitor.writer.write(b"GET / HTTP/1.1\r\nHost: a")


@pytest.mark.parametrize("slow", [trickled, unread, half_a_head])
async def test_a_slow_peer_takes_no_place(start: Start, slow: Callable[..., Any]) -> None:
    server = start(PATIENCE="5")
    async with asyncio.timeout(30), visitors(server, BUSY, 2 * bounds.PLACES_PER_ADDRESS) as slows:
        for visitor in slows:
            await slow(server, visitor)
        async with await Visitor.at(server, BUSY) as visitor:
            visitor.ask(server, "/")
            assert await visitor.status() == 200


@pytest.mark.parametrize("path", ["/stream", "/live"])
async def test_a_page_without_end_takes_no_place(start: Start, path: str) -> None:
    server = start()
    seats = [await asyncio.to_thread(attacker.Seat, server.port) for _ in range(4)]
    async with asyncio.timeout(30), visitors(server, HOST, 2 * bounds.PLACES_PER_ADDRESS) as readers:
        for number, visitor in enumerate(readers):
            seat = seats[number % len(seats)]
            headers = burst.UPGRADE if path == "/live" else ()
            visitor.ask(server, f"{seat.room}{path}", f"Cookie: {seat.cookie}", *headers)
            assert await visitor.status() == (101 if headers else 200)
        async with await Visitor.at(server, HOST) as visitor:
            visitor.ask(server, "/")
            assert await visitor.status() == 200


async def test_a_form_that_arrives_slowly_is_taken_in_the_end(start: Start) -> None:
    server = start()
    async with asyncio.timeout(30), visitors(server, BUSY, 1) as (slow,):
        form = burst.request("POST", server.port, "/", body=b"name=Eve&create=1")
        slow.writer.write(form[:-4])
        await asyncio.to_thread(server.wait_for_log, f"began {BUSY} {slow.port}")
        async with occupied(server, BUSY):
            slow.writer.write(form[-4:])
            await end(server)
            assert await slow.status() == 303


async def test_a_form_that_has_arrived_waits_for_others_no_less_than_a_page(start: Start) -> None:
    server = start(BODY_TIMEOUT="2", PATIENCE="3")
    async with asyncio.timeout(30), visitors(server, BUSY, 1) as (slow,):
        form = burst.request("POST", server.port, "/", body=b"name=Eve&create=1")
        slow.writer.write(form[:-4])
        await asyncio.to_thread(server.wait_for_log, f"began {BUSY} {slow.port}")
        async with occupied(server, BUSY):
            slow.writer.write(form[-4:])
            response = await slow.head()
            assert (response.status, response.headers["retry-after"]) == (503, str(bounds.COME_AGAIN))


async def test_behind_a_proxy_its_clients_wait_for_themselves_alone(start: Start) -> None:
    server = start()
    busy, other = "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.7, 203.0.113.8"
    async with asyncio.timeout(30), occupied(server, PROXY, busy), visitors(server, PROXY, 3) as asking:
        for visitor, header in zip(asking, (busy, other, "X-Proxy: itself"), strict=True):
            visitor.ask(server, "/", header)
        assert [await visitor.status() for visitor in asking[1:]] == [200, 200]
        await end(server)
        assert await asking[0].status() == 200


async def test_without_limits_nobody_waits(start: Start) -> None:
    server = start(CHAT_RATE_LIMIT="off")
    async with asyncio.timeout(30), occupied(server, BUSY), await Visitor.at(server, BUSY) as visitor:
        visitor.ask(server, "/")
        assert await visitor.status() == 200


async def test_a_server_ends_in_time_while_requests_wait(start: Start) -> None:
    server = start()
    async with asyncio.timeout(30), occupied(server, BUSY), visitors(server, BUSY, 5) as waiting:
        for visitor in waiting:
            visitor.ask(server, "/")
        server.terminate()
        assert await asyncio.to_thread(server.wait) == 0


# --- By themselves ---


class Connection:
    ended = False
    when_ended: Callable[[], None] | None = None


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def passed() -> list[str]:
    return []


async def test_addresses_take_turns(passed: list[str]) -> None:
    turns = Turns(2)

    async def start(address: str, number: int) -> None:
        await turns.wait(address)
        passed.append(f"{address}{number}")

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(start("a", number))
        for number in range(2):
            group.create_task(start("b", number))
    assert passed == ["a0", "a1", "a2", "b0", "a3", "b1", "a4"]


async def test_a_newcomer_does_not_pass_who_was_called_just_now(passed: list[str]) -> None:
    turns = Turns(2)

    async def start(name: str) -> None:
        await turns.wait("a")
        passed.append(name)

    tasks = [asyncio.create_task(start(name)) for name in ("1", "2", "3")]
    asyncio.get_running_loop().call_soon(lambda: tasks.append(asyncio.create_task(start("4"))))
    await settled()
    await asyncio.gather(*tasks)
    assert passed == ["1", "2", "3", "4"]


async def test_a_few_pass_in_a_turn_of_the_loop(passed: list[str]) -> None:
    turns, rounds = Turns(2), 0

    async def start() -> None:
        await turns.wait("a")
        passed.append(str(rounds))

    tasks = [asyncio.create_task(start()) for _ in range(7)]
    while len(passed) < 7:
        await asyncio.sleep(0)
        rounds += 1
    assert max(map(passed.count, passed)) == 2
    await asyncio.gather(*tasks)


async def test_who_was_cancelled_takes_no_turn(passed: list[str]) -> None:
    turns = Turns(1)
    tasks = [asyncio.create_task(turns.wait("a")) for _ in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [False, True, False, False]


async def test_nobody_waits_who_stands_for_many() -> None:
    turns = Turns(1)
    for _ in range(100):
        await turns.wait(None)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(bounds, "PLACES_PER_ADDRESS", 2)
    monkeypatch.setattr(bounds, "WAITING_PER_ADDRESS", 3)
    return Places()


async def test_places_pass_on_in_order(small: Places, passed: list[str]) -> None:
    async def work(number: int) -> None:
        assert await small.take("a", Connection())
        passed.append(str(number))

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await settled()
    assert passed == ["0", "1"]
    assert await small.take("b", Connection())  # whose places are others
    with pytest.raises(Busy):
        await small.take("a", Connection())
    for count in (3, 4, 5):
        small.give_back("a")
        await settled()
        assert passed == [str(number) for number in range(count)]
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("how", ["ends", "is cancelled", "is cancelled with the place in hand"])
async def test_who_has_gone_takes_no_place(small: Places, how: str) -> None:
    for _ in range(2):
        await small.take("a", Connection())
    gone = Connection()
    first = asyncio.create_task(small.take("a", gone))
    second = asyncio.create_task(small.take("a", Connection()))
    await settled()
    if how == "ends":
        assert gone.when_ended is not None
        gone.when_ended()
        assert await first is False
    elif how == "is cancelled":
        first.cancel()
        await settled()
    small.give_back("a")
    if how == "is cancelled with the place in hand":
        first.cancel()
    assert await second
    for _ in range(2):
        small.give_back("a")
    assert not small.busy


async def test_who_goes_while_being_cancelled_takes_no_place(small: Places) -> None:
    """The news of both may come in one turn of the loop, as when a peer resets just as its patience ends."""
    for _ in range(2):
        await small.take("a", Connection())
    gone = Connection()
    waiting = asyncio.create_task(small.take("a", gone))
    await settled()
    waiting.cancel()
    assert gone.when_ended is not None
    gone.when_ended()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    for _ in range(2):
        small.give_back("a")
    assert not small.busy


async def test_who_had_gone_before_takes_no_place(small: Places) -> None:
    gone = Connection()
    gone.ended = True
    for _ in range(2):
        await small.take("a", Connection())
    assert not await small.take("a", gone)


async def test_who_is_not_even_known_any_more_takes_no_place(small: Places) -> None:
    for _ in range(2):
        await small.take("a", Connection())
    assert not await Place(small, "a", None).take()
    for _ in range(2):
        small.give_back("a")
    assert not small.busy


async def test_a_form_whose_peer_goes_while_it_waits_is_not_worked_on(small: Places) -> None:
    peer = Connection()
    body = CountedBody(None, 10_000)
    body.place = Place(small, "a", peer)
    await body.place.take()
    reading: asyncio.Future[Any] = asyncio.ensure_future(body)
    await settled()
    for _ in range(2):
        await small.take("a", Connection())
    body.append(b"name=Eve")
    body.set_complete()
    await settled()
    assert peer.when_ended is not None
    peer.when_ended()
    with pytest.raises(Overloaded):
        await reading


async def test_a_network_of_ipv6_has_four_times_the_places_of_an_address(small: Places) -> None:
    places = [Place(small, f"2001:db8:1:{n:x}::/64", Connection()) for n in range(11)]
    for place in places[:8]:
        assert await place.take()
    waiting = [asyncio.create_task(place.take()) for place in places[8:]]
    await settled()
    assert not any(task.done() for task in waiting)
    other = Place(small, "2001:db8:2:1::/64", Connection())
    assert await other.take()
    late = Place(small, "2001:db8:1:ffff::/64", Connection())
    with pytest.raises(Busy):
        await late.take()
    for place in places:
        place.give_back()
        await settled()
    assert all([await task for task in waiting])
    for place in (*places, other):
        place.give_back()
    assert not small.busy


async def test_a_place_is_given_back_once(small: Places) -> None:
    place = Place(small, "a", Connection())
    await place.take()
    assert place.give_back()
    assert not place.give_back()
    assert not small.busy


class Stream:
    """What the queue of an application knows of its request, as Hypercorn's stream and protocol."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.scope: Any = {"type": "http", "client": None, "headers": []}
        self.context = SimpleNamespace(worker=SimpleNamespace(options=Options(), bodies=Bodies()))

    async def send(self, event: Any) -> None:
        """Nobody hears it."""


@pytest.mark.parametrize("when", ["before its first step", "while it works"])
async def test_a_cancelled_application_gives_everything_back(small: Places, when: str) -> None:
    guards.install()
    stream = Stream(Place(small, "a", Connection()))
    await stream.place.take()
    released = Mock()

    async def app(*_: Any) -> None:
        await asyncio.Event().wait()

    async with TaskGroup(asyncio.get_running_loop()) as spawning:
        group: Any = spawning
        await group.spawn_app(ASGIWrapper(app), Config(), stream.scope, stream.send)
        stream.scope["chat.ended"].append(released)
        if when == "while it works":
            await settled()
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}
        task.cancel()
    released.assert_called_once_with()
    assert not small.busy


PROXIES = [parse_network("10.0.0.0/8"), parse_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.7"], "192.0.2.1"),  # who is no proxy is not believed
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("2001:db8::1", [], "2001:db8::/64"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("fd00::1", ["2001:db8::2"], "2001:db8::/64"),
        ("10.0.0.1", [], None),
        ("10.0.0.1", ["10.0.0.2"], None),
        ("10.0.0.1", ["nonsense"], None),
    ],
)
def test_the_address_is_that_of_the_client(peer: str, forwarded: list[str], address: str | None) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    assert behind((peer, 1), headers, PROXIES) == address


def test_a_unix_socket_has_no_address() -> None:
    assert behind(None, [], PROXIES) is None
