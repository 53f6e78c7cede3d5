"""Hints between nodes over real Redis servers: they may fail in any way, messages may not."""

from __future__ import annotations

import asyncio
import itertools
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import calls
import pytest
from faults import Proxy
from people import FakeClock, until
from redis_server import RedisCluster, RedisServer
from serving import free_port
from shapes import Shapes
from test_hub import Reader
from test_rendered_messages import kept_messages
from tls import certified

from chat.cluster.bus import CHANNELS, RedisBus
from chat.cluster.connection import Redis
from chat.cluster.publications import (
    HEED_BYTES,
    PUBLISH_BYTES,
    dump_publications,
    load_changes,
    split_publication,
)
from chat.live.bus import Bus, LocalBus
from chat.live.hub import Hub
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Message, Previous
from chat.model.notices import Notice, Verb, dump_notice
from chat.model.rooms import Position
from chat.model.signs import Sign
from chat.settings import Misconfigured
from chat.store.sqlite.store import SQLiteStore
from chat.views.look import LOOK

ROOM = "BCDFGHJK"
BESIDE = next(  # a room that is told of on the same channel
    code
    for code in map("{:08}".format, itertools.count())
    if zlib.crc32(code.encode()) % CHANNELS == zlib.crc32(ROOM.encode()) % CHANNELS
)
FULL = Message(
    7, 9, 1_800_000_000_000, 3, 'Ö "x"\n', 2, "tab\t🙂\n'", meta={"edited": 5}, before=Previous(None, 4)
)
LEFT = {"notice": dump_notice(Notice("left", ("a", "b"), 5, (1, 2)))}
TOLD = Message(8, 8, 1, None, "", 1, None, kind="notice", meta=LEFT)


def change(rev: int, code: str = ROOM, body: str = "text", epoch: str = "e") -> Change:
    return Change(code, Message(rev, rev, 1, 1, "Ann", 1, body), Position(epoch, rev))


class Ear:
    """A bus and what it was heard to say."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heard: list[Change] = []
        self.lost = 0
        bus.open(self.heard.extend, self._lose)

    def _lose(self) -> None:
        self.lost += 1

    @property
    def revs(self) -> list[int]:
        return [done.position.rev for done in self.heard]

    async def listening(self) -> Ear:
        await until(lambda: isinstance(self.bus, LocalBus) or self.lost >= CHANNELS)
        return self


@asynccontextmanager
async def node(url: str, ping: float = 5.0, silence: float = 10.0) -> AsyncIterator[Ear]:
    redis = Redis(url)
    await redis.open()
    ear = Ear(RedisBus(redis, ping, silence))
    try:
        yield await ear.listening()
    finally:
        await ear.bus.close()
        await redis.close()


@pytest.fixture(params=["local", "redis", "cluster"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Ear, Ear]]:
    """Who announces and who hears: the same process, or two nodes."""
    if request.param == "local":
        ear = Ear(LocalBus())
        yield ear, ear
        return
    url = request.getfixturevalue("server" if request.param == "redis" else "cluster").url
    async with node(url) as one, node(url) as two:
        yield one, two


# The contract -----------------------------------------------------------------------------------------


async def test_a_watched_room_s_changes_are_heard_in_order(pair: tuple[Ear, Ear]) -> None:
    here, there = pair
    there.bus.watch(ROOM)
    for start in range(0, 300, 3):
        here.bus.announce([change(start + n) for n in range(3)])
    await until(lambda: len(there.heard) == 300)
    assert there.revs == list(range(300))


async def test_a_change_arrives_as_it_was(pair: tuple[Ear, Ear]) -> None:
    here, there = pair
    there.bus.watch(ROOM)
    changes = [Change(ROOM, FULL, Position("ep", 9)), Change(ROOM, TOLD, Position("ep", 8))]
    for rev, verb in enumerate([*get_args(Verb), "renamed"], 10):
        notice = {"notice": dump_notice(Notice(verb, ("a", "b"), 1, (1,)))}
        changes.append(Change(ROOM, replace(TOLD, id=rev, rev=rev, meta=notice), Position("ep", rev)))
    here.bus.announce(changes)
    await until(lambda: len(there.heard) == len(changes))
    assert there.heard == changes


async def test_a_room_that_nobody_watches_is_not_heard_of(pair: tuple[Ear, Ear]) -> None:
    """Both are told of on one channel, so what is heard last tells that all was heard before."""
    here, there = pair
    there.bus.watch(ROOM)
    here.bus.announce([change(1, BESIDE)])
    here.bus.announce([change(2, BESIDE), change(1), change(3, BESIDE)])
    await until(lambda: there.heard)
    there.bus.unwatch(ROOM)
    there.bus.watch(BESIDE)
    here.bus.announce([change(2)])
    here.bus.announce([change(4, BESIDE)])
    await until(lambda: change(4, BESIDE) in there.heard)
    assert there.heard == [change(1), change(4, BESIDE)]


async def test_one_s_own_changes_are_heard_at_once_and_once(pair: tuple[Ear, Ear]) -> None:
    here, there = pair
    for ear in pair:
        ear.bus.watch(ROOM)
    here.bus.announce([change(1)])
    assert here.revs == [1]
    there.bus.announce([change(2)])
    await until(lambda: 2 in here.revs)
    here.bus.announce([change(3)])
    await until(lambda: 3 in there.revs)
    assert here.revs == [1, 2, 3]


async def test_two_databases_of_one_server_do_not_hear_each_other(server: RedisServer) -> None:
    other = server.url.replace("/0", "/1")
    async with node(server.url) as zero, node(other) as one, node(other) as also_one:
        one.bus.watch(ROOM)
        zero.bus.watch(ROOM)
        also_one.bus.announce([change(1)])
        await until(lambda: one.heard)
        assert zero.heard == []


# What goes over the wire ------------------------------------------------------------------------------


def test_publications_are_of_bounded_size_and_in_order() -> None:
    changes = [change(n, body="ß" * 4000) for n in range(100)]
    payloads = [text.encode() for text in dump_publications("one", changes)]
    assert len(payloads) > 5
    assert max(map(len, payloads)) < PUBLISH_BYTES + 1000
    contents = [split_publication(payload, "two") for payload in payloads]
    assert all(codes == [ROOM] for codes, _ in contents)
    assert [done for _, content in contents for done in load_changes(content)] == changes


def test_a_small_batch_is_one_publication() -> None:
    assert len(list(dump_publications("one", [change(n) for n in range(100)]))) == 1


async def test_garbage_is_passed_over(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    good = next(dump_publications("one", [change(1)]))
    head, _, body = good.partition("\n")
    bad = [
        "",
        "\n",
        head,
        head + "\n{}",
        head + "\n[[]]",
        head + '\n["x"]',
        head + "\n" + "[" * 100_000,
        head + "\n" + body.replace('"text"', "17"),
        head + "\n" + body.replace('"Ann",1', '"Ann",true'),
        head + "\n" + body.replace('"e",1', '"e",null'),
        good.replace("]]", ',"more"]]'),
        "2 other " + ROOM + "\nof the future",
        f"1 one {ROOM}\n" + "x" * HEED_BYTES,
    ]
    async with node(server.url) as ear:
        ear.bus.watch(ROOM)
        for payload in [*bad, good]:
            for n in range(CHANNELS):
                server.ask("SPUBLISH", f"chat:0:hints:{n}", payload)
        await until(lambda: len(ear.heard) == CHANNELS)
        assert set(ear.revs) == {1}
        assert "hint-ignored" in caplog.text


async def test_a_batch_over_many_rooms_is_a_few_publications(server: RedisServer) -> None:
    async with node(server.url) as one, node(server.url) as two:
        two.bus.watch(ROOM)
        before = _published(server)
        one.bus.announce([change(1, f"ROOM{n:04}") for n in range(256)])
        await until(lambda: _published(server) >= before + CHANNELS)
        one.bus.announce([change(1)])
        await until(lambda: two.heard)  # so all before it was published
        assert _published(server) == before + CHANNELS + 1


def _published(server: RedisServer) -> int:
    stats = server.ask("INFO", "commandstats")
    calls = stats.get("cmdstat_spublish", {"calls": 0})
    return int(calls["calls"])


# Faults -----------------------------------------------------------------------------------------------


async def test_a_killed_subscription_is_noticed_and_renewed(own: RedisServer) -> None:
    async with node(own.url) as one, node(own.url) as two:
        two.bus.watch(ROOM)
        before = two.lost
        own.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: one.lost >= before + CHANNELS and two.lost >= before + CHANNELS)
        one.bus.announce([change(1)])
        await until(lambda: two.revs == [1])


async def test_a_restarted_redis_is_found_again(own: RedisServer) -> None:
    async with node(own.url) as one, node(own.url) as two:
        two.bus.watch(ROOM)
        before = two.lost
        own.kill()
        one.bus.announce([change(1)])  # into the void, and no error
        own.start()
        await until(lambda: one.lost >= before + CHANNELS and two.lost >= before + CHANNELS)
        one.bus.announce([change(2)])
        await until(lambda: two.revs == [2])


@pytest.mark.parametrize("fault", ["black_hole", "reset"])
async def test_a_silent_connection_is_given_up_within_the_deadline(own: RedisServer, fault: str) -> None:
    async with Proxy(own.port) as proxy, node(proxy.through(own.url), 0.1, 0.5) as near, node(own.url) as far:
        near.bus.watch(ROOM)
        before = near.lost
        getattr(proxy, fault)()
        start = time.monotonic()
        if fault == "black_hole":
            await until(lambda: near.bus._subscriber._failures)  # type: ignore[attr-defined]
            assert 0.3 < time.monotonic() - start < 3
            proxy.heal()
        await until(lambda: near.lost >= before + CHANNELS)
        far.bus.announce([change(1)])
        await until(lambda: near.revs == [1])


async def test_a_redis_that_was_away_for_an_hour_is_found_again(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.cluster.subscriber.RETRY", (0.01, 0.01))
    async with node(own.url) as ear:
        before = ear.lost
        own.kill()
        subscriber = ear.bus._subscriber  # type: ignore[attr-defined]
        await until(lambda: subscriber._failures)
        subscriber._failures = an_hour = 2000
        await until(lambda: subscriber._failures > an_hour + 1)
        own.start()
        await until(lambda: ear.lost >= before + CHANNELS)


async def test_signs_of_life_keep_a_quiet_connection(own: RedisServer) -> None:
    async with node(own.url, 0.1, 0.5) as ear:
        before = ear.lost
        await asyncio.sleep(1.2)
        assert ear.lost == before


async def test_a_slot_that_moves_is_followed(tmp_path: Path) -> None:
    with RedisCluster(tmp_path) as cluster:
        async with node(cluster.url) as one, node(cluster.url) as two:
            before = two.lost
            _move_every_channel(cluster)
            await until(lambda: one.lost >= before + CHANNELS and two.lost >= before + CHANNELS)
            two.bus.watch(ROOM)
            one.bus.announce([change(1)])
            await until(lambda: two.revs == [1])


def _move_every_channel(cluster: RedisCluster) -> None:
    """Each slot that carries hints goes to the first master."""
    first, *rest = cluster.servers
    ids = {server: server.ask("CLUSTER", "MYID") for server in cluster.servers}
    for n in range(CHANNELS):
        slot = first.ask("CLUSTER", "KEYSLOT", f"chat:0:hints:{n}")
        for server in (first, *rest):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[first])


# At the start -----------------------------------------------------------------------------------------


async def test_a_redis_that_is_away_at_the_start_is_waited_for_in_the_background(
    own: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own.kill()
    redis = Redis(own.url)
    await redis.open()
    assert redis.away
    assert "redis-away" in caplog.text
    ear = Ear(RedisBus(redis))
    ear.bus.watch(ROOM)
    ear.bus.announce([change(1)])
    assert ear.revs == [1]
    own.start()
    await ear.listening()
    await ear.bus.close()
    await redis.close()


async def test_an_old_redis_is_refused(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.cluster.connection.OLDEST", 99)
    with pytest.raises(Misconfigured, match=r"CHAT_REDIS_URL leads to Redis .*: use Redis 99 or newer"):
        await Redis(server.url).open()


async def test_one_node_of_a_cluster_is_refused(cluster: RedisCluster) -> None:
    with pytest.raises(Misconfigured, match="name several"):
        await Redis(cluster.servers[0].url).open()


async def test_several_servers_that_are_no_cluster_are_refused(server: RedisServer) -> None:
    with pytest.raises(Misconfigured, match="name one of them"):
        await Redis(f"{server.url},{server.url}").open()


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        server.ask("ACL", "SETUSER", "ann", "on", ">right", "~*", "&*", "+@all")
        url = server.url.replace("://", "://ann:wrong@")
        with pytest.raises(Misconfigured, match="name or the password"):
            await Redis(url).open()
        redis = Redis(url.replace("wrong", "right"))
        await redis.open()
        assert not redis.away
        await redis.close()


async def test_what_is_asked_again_after_a_failure_is_closed_in_the_end(cluster: RedisCluster) -> None:
    redis = Redis(cluster.url)
    await redis.open()
    assert redis._cluster
    (node, *_) = redis._cluster.get_primaries()
    await redis._cluster.aclose()  # as redis-py does when one of several commands fails
    await node.execute_command("PING")  # another one, which it repeats
    assert any(connection.is_connected for connection in node._connections)
    await redis.close()
    assert not any(connection.is_connected for connection in node._connections)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"CHAT_REDIS_URL.*%2F for /") as refused:
        Redis("redis://:hu/sh@host:6379")
    assert "hu" not in str(refused.value).replace("understood", "")


# Two nodes with one log -------------------------------------------------------------------------------


class Nodes:
    """Two hubs over one store: what seat 1 writes is announced on the first, seat 2's on the second."""

    def __init__(self, store: SQLiteStore, ears: Sequence[Bus]) -> None:
        self.store = store
        self.buses = ears
        self.shapes = Shapes()
        self.hubs = [Hub(store, bus, self.shapes, check=0.3) for bus in ears]
        self.count = 0
        for hub in self.hubs:
            hub.bus.open(hub.receive, hub.on_gap)
        store.listen(self._committed)

    def _committed(self, changes: Sequence[Change]) -> None:
        for number, bus in enumerate(self.buses, 1):
            if mine := [done for done in changes if done.message.author == number]:
                bus.announce(mine)

    async def write(self, *bodies: str) -> None:
        for body in bodies:
            self.count += 1
            await self.store.append(ROOM, 1 + self.count % 2, f"k{self.count}", body)

    async def readers(self) -> list[Reader]:
        start = (await calls.heads(self.store, [ROOM]))[ROOM]
        readers = [Reader(hub, Member(ROOM, n, f"p{n}", "N", 1)) for n, hub in enumerate(self.hubs, 1)]
        for reader in readers:
            await reader.join(start)
        return readers


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(str(tmp_path / "chat.db"), clock=clock.wall)
    await store.open()
    await calls.open_room(store, ROOM)
    await calls.take_seat(store, ROOM, "p1", "Ann")
    await calls.take_seat(store, ROOM, "p2", "Bob")
    yield store
    await store.close()


@asynccontextmanager
async def nodes(store: SQLiteStore, url: str, bus: type[RedisBus] = RedisBus) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        redises = [Redis(url) for _ in range(2)]
        for redis in redises:
            await redis.open()
            stack.push_async_callback(redis.close)
        both = Nodes(store, [bus(redis) for redis in redises])
        for one in both.buses:
            stack.push_async_callback(one.close)
        checks = [asyncio.create_task(hub.repairs.run()) for hub in both.hubs]
        yield both
        for check in checks:
            check.cancel()


def _lines(count: int) -> list[str]:
    return [f"+{n}=m{n}" for n in range(1, count + 1)]


async def test_people_on_two_nodes_see_one_conversation(store: SQLiteStore, server: RedisServer) -> None:
    async with nodes(store, server.url) as both:
        readers = await both.readers()
        await both.write(*(f"m{n}" for n in range(1, 101)))
        for reader in readers:
            await reader.read_until(100)
            assert reader.seen == _lines(100)


async def test_a_text_that_was_deleted_is_kept_on_no_node(store: SQLiteStore, server: RedisServer) -> None:
    async with nodes(store, server.url) as both:
        readers = await both.readers()
        await both.write("a secret", "text")
        for reader in readers:
            await reader.read_until(2)
            await reader.hub.page(ROOM, None, LOOK)
            assert reader.hub.rendered.held
        both.hubs[0].leave(readers[0].connection)  # the first node hears of nothing from now on
        await calls.amend(store, ROOM, 1, Delete())
        await readers[1].read_until(3)
        for hub in both.hubs:
            assert "a secret" not in "".join(html for _, html in kept_messages(hub.rendered))


class MuteBus(RedisBus):
    async def _publish_all(self, signs: Iterable[Sign], changes: Iterable[Change]) -> None:
        pass


async def test_with_every_hint_lost_two_nodes_converge_by_the_log(
    store: SQLiteStore, server: RedisServer
) -> None:
    async with nodes(store, server.url, MuteBus) as both:
        readers = await both.readers()
        await both.write(*(f"m{n}" for n in range(1, 51)))
        for reader in readers:
            await reader.read_until(50)
            assert reader.seen == _lines(50)


async def test_redis_may_be_killed_in_the_middle(store: SQLiteStore, own: RedisServer) -> None:
    async with nodes(store, own.url) as both:
        readers = await both.readers()
        await both.write(*(f"m{n}" for n in range(1, 21)))
        own.kill()
        await both.write(*(f"m{n}" for n in range(21, 41)))
        for reader in readers:
            await reader.read_until(40)
        own.start()
        await both.write(*(f"m{n}" for n in range(41, 61)))
        for reader in readers:
            await reader.read_until(60)
            assert reader.seen == _lines(60)


async def test_subscriptions_may_be_killed_all_the_time(store: SQLiteStore, own: RedisServer) -> None:
    async with nodes(store, own.url) as both:
        readers = await both.readers()
        for n in range(1, 101):
            await both.write(f"m{n}")
            if n % 20 == 0:
                own.ask("CLIENT", "KILL", "TYPE", "pubsub")
        for reader in readers:
            await reader.read_until(100)
            assert reader.seen == _lines(100)


# Over TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certified(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture
def encrypted(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[str]:
    """The rediss:// address of a server, whose certificate nobody trusts yet."""
    port = free_port()
    files = ["--tls-cert-file", str(certificate[0]), "--tls-key-file", str(certificate[1])]
    with RedisServer(tmp_path, "--tls-port", str(port), *files, "--tls-auth-clients", "no"):
        yield f"rediss://127.0.0.1:{port}/0"


async def test_hints_travel_over_tls(encrypted: str, certificate: tuple[Path, Path]) -> None:
    url = f"{encrypted}?ssl_ca_certs={certificate[0]}"
    async with node(url) as one, node(url) as two:
        one.bus.watch(ROOM)
        two.bus.watch(ROOM)
        one.bus.announce([change(1)])
        await until(lambda: two.revs == [1])


async def test_a_certificate_that_is_not_trusted_is_refused_with_the_mend(encrypted: str) -> None:
    with pytest.raises(Misconfigured, match=r"CHAT_REDIS_URL.*certificate.*ssl_ca_certs="):
        await Redis(encrypted).open()
