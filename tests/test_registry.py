"""Who is here on which node: leases and entries in a real Redis, so short that tests need not wait."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import calls
import pytest
from deployments import store_at
from dom import parse
from faults import Proxy
from people import FakeClock, notices, until
from postgres import the_server
from redis_server import RedisCluster, RedisServer

from chat.cluster import registry as redis_registry
from chat.cluster.bus import RedisBus
from chat.cluster.connection import Redis, RedisUnavailable
from chat.cluster.registry import RedisRegistry
from chat.live import presence
from chat.live.away import Away
from chat.live.connection import POLICY, Connection
from chat.live.connections import SOCKETS
from chat.live.hub import Hub
from chat.live.presence import GRACE, RESTART_GRACE, Presence
from chat.live.registry import Listeners
from chat.model.members import Member
from chat.startup import listeners
from chat.store import Store, Unavailable, members
from chat.views.assets import Assets
from chat.views.look import LOOK, Look
from chat.views.renderer import Renderer

ROOM = "BCDFGHJK"
LEASE = 1.0
BEAT = 0.06
LONG = 15.0  # s until a test gives up


class Node:
    """One node: its registry, its hub, its presence."""

    def __init__(self, house: House, url: str) -> None:
        self.house = house
        self.redis = Redis(url, wait=0.5)
        self.registry = RedisRegistry(self.redis, SOCKETS, lease=LEASE, beat=BEAT)
        self.bus = RedisBus(self.redis)
        self.log: Any = store_at(house.database_url, house.clock)
        self.hub = Hub(self.log, self.bus, house.render, check=0.3, registry=self.registry)
        self.log.listen(self.bus.announce)
        self.presence = Presence(self.log, self.hub, self._roster, house.clock)
        self.rosters: list[str] = []
        self.alive = True
        self.fails = False

    def _roster(self, people: Sequence[Member], frozen: bool, look: Look, away: Away) -> str:
        self.rosters.append(self.house.render.people.roster(people, frozen, look, away))
        return self.rosters[-1]

    async def open(self, restore: bool = False) -> Node:
        await self.log.open()
        await self.redis.open()
        self.bus.open(self.hub.receive, self.hub.on_gap)
        self.join()
        if restore:
            await self.presence.restore()
        return self

    def join(self) -> None:
        self.registry.open(listeners(self.hub, self.presence))

    async def kill(self) -> None:
        """What a SIGKILL leaves behind: nothing is said any more."""
        self.alive = False
        await self.registry.close()
        await self.bus.close()
        await self.redis.close()
        await self.log.close()

    def arrive(self, *members: Member) -> None:
        for member in members:
            self.presence.arrive(member)

    def depart(self, member: Member) -> None:
        self.presence.depart(member)

    @property
    def here(self) -> list[str]:
        return [member.label for member in self.presence.people(ROOM)]


class House:
    """A room, and nodes that people reach it by."""

    def __init__(self, store: Store, database_url: str, clock: FakeClock, render: Renderer, url: str) -> None:
        self.store = store
        self.database_url = database_url
        self.clock = clock
        self.render = render
        self.url = url
        self.nodes: list[Node] = []

    async def node(self, url: str = "", restore: bool = False) -> Node:
        node = Node(self, url or self.url)
        self.nodes.append(node)
        return await node.open(restore)

    async def seat(self, name: str) -> Member:
        return await calls.take_seat(self.store, ROOM, f"person-{name}", name)

    async def enter(self, node: Node, *members: Member) -> None:
        """They come, and the log says so before anybody else does."""
        node.arrive(*members)
        async with asyncio.timeout(LONG):
            while not {member.label for member in members} <= set(await self.marked()):
                self.clock.pass_by(0.2)
                await self.turn()

    async def turn(self) -> None:
        for node in self.nodes:
            if node.alive:
                await node.presence.tick()
        await asyncio.sleep(0.01)

    async def until(
        self,
        happened: Callable[[], object],
        seen: set[tuple[str, ...]] | None = None,
        seen_by: Node | None = None,
    ) -> None:
        """Presence works, with its clock running faster than the wall's, until something is so.

        Every roster on the way goes to `seen`.
        """
        async with asyncio.timeout(LONG):
            while True:
                if seen is not None and seen_by is not None:
                    seen.add(tuple(seen_by.here))
                if happened():
                    return
                self.clock.pass_by(0.2)
                await self.turn()

    async def wait(self, seconds: float) -> None:
        """This long by presence's clock, and a few beats by the wall's."""
        for _ in range(20):
            self.clock.pass_by(seconds / 20)
            await self.turn()
        await self.beats()

    async def beats(self, count: int = 3) -> None:
        """Everybody alive has said and heard everything."""
        for _ in range(count):
            await asyncio.sleep(BEAT)
            await self.turn()

    async def until_told(self, *sentences: str) -> None:
        async with asyncio.timeout(LONG):
            while await self.told() != list(sentences):
                self.clock.pass_by(0.2)
                await self.turn()
        await self.wait(5)
        assert await self.told() == list(sentences)

    async def told(self) -> list[str]:
        page = await calls.history(self.store, ROOM)
        html = [self.render.messages.message(ROOM, message)(LOOK) for message in page.messages]
        return [part for notice in notices(parse("".join(html))) for part in notice.split(" · ")]

    async def marked(self) -> list[str]:
        """Whom the log says to be here."""
        return [member.label for member in await calls.present(self.store, ROOM)]


@pytest.fixture
async def house(
    clock: FakeClock, compiled: tuple[Assets, Renderer], server: RedisServer
) -> AsyncIterator[House]:
    server.ask("FLUSHALL")
    url = the_server().schema()
    store = store_at(url, clock)
    await store.open()
    await calls.open_room(store, ROOM)
    house = House(store, url, clock, compiled[1], server.url)
    yield house
    for node in house.nodes:
        if node.alive:
            await node.kill()
    await store.close()


# Coming and going -------------------------------------------------------------------------------------


async def test_everybody_is_in_every_roster_once(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    await house.enter(one, ann)
    await house.enter(two, bob)
    two.arrive(ann)
    await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
    await house.until_told("Ann and Bob are here for the first time")


async def test_whoever_opens_the_room_sees_who_is_there_though_nobody_follows_it_here(house: House) -> None:
    one, two = await house.node(), await house.node()
    one.arrive(await house.seat("Ann"))
    await house.until(lambda: one.registry.counted(ROOM, 1))
    assert [member.label for member in await two.presence.everybody(ROOM)] == ["Ann"]
    assert [member.label for member in await one.presence.everybody(ROOM)] == ["Ann"]


async def test_the_roster_is_pushed_when_somebody_comes_elsewhere(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    one.arrive(ann)
    listener = Connection(ann, LOOK)
    await one.hub.join(listener, (await calls.heads(house.store, [ROOM]))[ROOM])
    await house.wait(3)
    two.arrive(bob)
    await house.until(lambda: one.rosters and parse(one.rosters[-1]).one(".count").text == "2")
    assert listener.feed is not None
    assert "Bob" in listener.feed.panels.since(0, LOOK)


async def test_who_has_a_tab_on_another_node_has_not_left(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    for node in (one, two):
        node.arrive(ann)
        node.arrive(bob)
    await house.until_told("Ann and Bob are here for the first time")
    one.depart(ann)
    await house.wait(GRACE + 3)
    assert one.here == two.here == ["Ann", "Bob"]
    assert await house.told() == ["Ann and Bob are here for the first time"]
    two.depart(ann)
    await house.until_told("Ann and Bob are here for the first time", "Ann went away")
    assert one.here == two.here == ["Bob"]


async def test_who_moves_to_another_node_has_neither_left_nor_entered(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann = await house.seat("Ann")
    one.arrive(ann)
    await house.until_told("Ann is here for the first time")
    one.depart(ann)
    await house.wait(3)
    two.arrive(ann)
    await house.wait(GRACE + 10)
    assert await house.told() == ["Ann is here for the first time"]
    assert two.here == ["Ann"]


async def test_who_left_for_good_on_one_node_is_gone_from_all(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    for member in (ann, bob):
        one.arrive(member)
        two.arrive(member)
    await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
    await house.wait(3)
    await calls.end_seat(one.log, ROOM, ann.person)
    for node in (one, two):  # as chat.web.sending does when the log says that the seat ended
        node.presence.forget(ann)
        node.depart(ann)
    await house.until(lambda: one.here == two.here == ["Bob"])
    await house.until_told("Ann and Bob are here for the first time", "Ann left for good")


async def test_who_left_for_good_is_gone_from_all_though_no_lease_counts_yet(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "LEASE", 2 * LONG)
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    one.arrive(ann)
    two.arrive(bob)
    await house.until(lambda: two.here == ["Ann", "Bob"])
    await calls.end_seat(one.log, ROOM, ann.person)
    one.presence.forget(ann)
    one.depart(ann)
    await house.until(lambda: two.here == ["Bob"])
    one.arrive(await house.seat("Ann"))
    await house.until(lambda: two.here == ["Ann", "Bob"])


async def test_who_left_for_good_while_redis_forgot_everything_is_gone_and_nobody_else(
    house: House, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "LEASE", 2 * LONG)
    one, two = await house.node(), await house.node()
    ann, bob, cem = [await house.seat(name) for name in ("Ann", "Bob", "Cem")]
    one.arrive(ann, cem)
    two.arrive(bob)
    await house.until(lambda: two.here == ["Ann", "Bob", "Cem"])
    await one.registry.close()  # it has yet to come back
    server.ask("FLUSHALL")
    one.presence.forget(ann)
    await house.beats(5)
    assert two.here == ["Ann", "Bob", "Cem"]
    one.join()
    seen: set[tuple[str, ...]] = set()
    await house.until(lambda: two.here == ["Bob", "Cem"], seen, two)
    assert seen == {("Ann", "Bob", "Cem"), ("Bob", "Cem")}


# Telling the room once --------------------------------------------------------------------------------


async def _last(node: Node, number: int) -> list[int]:
    """Soon after a start of all, nobody can say."""
    async with asyncio.timeout(LONG):
        while (last := await node.registry.claim_left(ROOM, [number])) is None:
            await asyncio.sleep(BEAT)
    return last


async def test_nobody_enters_before_the_room_was_told_that_they_left(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann = await house.seat("Ann")
    one.registry.add(ann)
    await house.until(lambda: one.registry.counted(ROOM, 1))
    assert await _last(one, 1) == [1]
    two.registry.add(ann)
    await house.beats()
    assert not two.registry.counted(ROOM, 1)
    assert await _last(two, 1) == []
    two.registry.add(ann)
    await one.registry.release_left(ROOM, [1])
    await house.until(lambda: two.registry.counted(ROOM, 1))


async def test_whoever_is_telling_and_dies_holds_nobody_up_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.cluster.registry.CLAIM", 0.3)
    one, two = await house.node(), await house.node()
    ann = await house.seat("Ann")
    one.registry.add(ann)
    await house.until(lambda: one.registry.counted(ROOM, 1))
    assert await _last(one, 1) == [1]
    two.registry.add(ann)
    await house.until(lambda: two.registry.counted(ROOM, 1))


async def test_coming_back_on_another_node_while_the_leaving_is_written_ends_as_here(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await house.node(), await house.node()
    ann = await house.seat("Ann")
    one.arrive(ann)
    await house.until_told("Ann is here for the first time")
    one.depart(ann)
    house.clock.pass_by(GRACE + 1)
    happened = False

    async def meanwhile(go_on: Any, *arguments: object) -> object:
        nonlocal happened
        if not happened:
            two.arrive(ann)
            await house.beats(2)
            assert await house.told() == ["Ann is here for the first time"]
            happened = True
        return await go_on()

    calls.intercept(monkeypatch, one.log, members.announce, meanwhile)
    house.nodes.remove(one)  # its turn is here
    async with asyncio.timeout(LONG):
        while not happened:
            house.clock.pass_by(1)
            await one.presence.tick()
            await asyncio.sleep(0.01)
    house.nodes.append(one)
    await house.until_told("Ann is here for the first time", "Ann went away", "Ann came in")
    assert await house.marked() == ["Ann"]
    assert two.here == ["Ann"]


async def test_a_leaving_that_the_store_cannot_take_is_told_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await house.node()
    ann = await house.seat("Ann")
    one.arrive(ann)
    await house.until_told("Ann is here for the first time")
    one.depart(ann)
    failures = 3

    async def failing(go_on: Any, *arguments: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("away")
        return await go_on()

    calls.intercept(monkeypatch, one.log, members.announce, failing)
    await house.until_told("Ann is here for the first time", "Ann went away")
    assert failures == 0


# Nodes that die ---------------------------------------------------------------------------------------


def test_all_waits_after_a_node_s_death_leave_time_to_show_it_within_16_s() -> None:
    latest = (
        redis_registry.LEASE + redis_registry.BEAT + presence.PACE
    )  # its last beat, ours, a roster just shown
    assert latest <= 15.5


async def test_a_killed_node_s_people_disappear_together_and_the_room_is_told_once(house: House) -> None:
    one, two, three = [await house.node() for _ in range(3)]
    ann, bob, cid, dan = [await house.seat(name) for name in ("Ann", "Bob", "Cid", "Dan")]
    for member in (ann, bob, cid):
        one.arrive(member)
    two.arrive(bob)  # on both
    two.arrive(dan)
    three.arrive(dan)
    await house.until(lambda: two.here == three.here == ["Ann", "Bob", "Cid", "Dan"])
    await house.wait(5)
    house.clock.pass_by(RESTART_GRACE)
    (entered,) = await house.told()
    seen: set[tuple[str, ...]] = set()
    await one.kill()
    start = asyncio.get_running_loop().time()
    await house.until(lambda: two.here == three.here == ["Bob", "Dan"], seen, two)
    assert asyncio.get_running_loop().time() - start < 3 * LEASE
    assert seen == {("Ann", "Bob", "Cid", "Dan"), ("Bob", "Dan")}
    await house.until_told(entered, "Ann and Cid went away")
    assert await house.marked() == ["Bob", "Dan"]


async def test_a_crowd_that_disappears_with_its_node_is_off_the_rosters_at_once_however_large_the_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rosters of large rooms wait a few seconds between pushes: not on top of the lease."""
    one, two = [await house.node() for _ in range(2)]
    ann, bob, dan = [await house.seat(name) for name in ("Ann", "Bob", "Dan")]
    await house.enter(one, ann, bob)
    await house.enter(two, dan)
    await two.hub.join(Connection(dan, LOOK), (await calls.history(house.store, ROOM)).position)
    monkeypatch.setattr("chat.live.presence.CROWD", 0.01)  # as if there were thousands
    eve = await house.seat("Eve")
    await house.enter(two, eve)
    await house.until(lambda: two.rosters and "Eve" in two.rosters[-1])
    await one.kill()
    async with asyncio.timeout(3 * LEASE):
        while "Ann" in two.rosters[-1].partition("<h3>")[0]:  # she is away; presence's clock stands still
            await house.turn()


async def test_those_who_are_back_on_another_node_in_time_never_left(house: House) -> None:
    one, two = await house.node(), await house.node()
    ann = await house.seat("Ann")
    one.arrive(ann)
    await house.until_told("Ann is here for the first time")
    house.clock.pass_by(RESTART_GRACE)
    await one.kill()
    two.arrive(ann)
    await house.beats(int(2 * LEASE / BEAT))
    assert await house.told() == ["Ann is here for the first time"]
    assert two.here == ["Ann"]


async def test_a_node_whose_finder_dies_too_is_accounted_for_by_the_next(
    house: House, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that buries a node may die before it has told the room."""
    monkeypatch.setattr("chat.cluster.registry.SWEEP", 0.5)
    one, two = await house.node(), await house.node()
    one.arrive(await house.seat("Ann"))
    await house.until_told("Ann is here for the first time")
    house.clock.pass_by(RESTART_GRACE)
    house.nodes.remove(two)  # it buries, but never comes to telling
    await one.kill()
    await until(lambda: server.ask("ZCARD", f"{two.redis.prefix}:{{here}}:nodes") == 1)
    await two.kill()
    three = await house.node()
    house.clock.pass_by(RESTART_GRACE)
    await house.until_told("Ann is here for the first time", "Ann went away")
    assert three.here == []


async def test_a_node_that_starts_announces_nobody_who_is_on_a_living_one(house: House) -> None:
    one = await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    one.arrive(ann)
    one.arrive(bob)
    await house.until_told("Ann and Bob are here for the first time")
    two = await house.node(restore=True)
    assert two.presence.rooms() == 0
    await house.wait(RESTART_GRACE + 10)
    assert await house.told() == ["Ann and Bob are here for the first time"]


async def test_after_a_restart_of_all_who_do_not_come_back_have_left(house: House) -> None:
    one = await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    one.arrive(ann)
    one.arrive(bob)
    await house.until_told("Ann and Bob are here for the first time")
    await one.kill()
    await asyncio.sleep(LEASE)
    two, three = await house.node(restore=True), await house.node(restore=True)
    three.arrive(ann)
    await house.until_told("Ann and Bob are here for the first time", "Bob went away")
    assert three.here == ["Ann"]
    assert two.presence.rooms() == 0


async def test_a_redis_that_came_back_as_it_was_earlier_is_told_everything_again(
    house: House, own: RedisServer
) -> None:
    """From its file, or as a replica that lagged: the leases are there, and what was said since is not."""
    one, two = [await house.node(own.url) for _ in range(2)]
    xenia, yuri, zoe = [await house.seat(name) for name in ("Xenia", "Yuri", "Zoe")]
    await house.enter(one, xenia)
    await house.enter(two, zoe)
    await house.until(lambda: two.here == ["Xenia", "Zoe"])
    own.ask("SAVE")
    one.presence.forget(xenia)
    await house.enter(one, yuri)
    await house.until(lambda: two.here == ["Yuri", "Zoe"])
    own.kill()
    own.start()
    await house.beats(30)  # as long as others may have yet to come back
    await house.until(lambda: two.here == ["Yuri", "Zoe"] and not two.registry._paused)
    elsewhere = await two.registry.fetch_elsewhere(ROOM)
    assert elsewhere is not None
    assert {member.label for member in elsewhere} == {"Yuri"}


async def test_a_node_that_was_given_up_says_everything_again(house: House) -> None:
    """Stopped for longer than its lease, then going on: its people are still connected."""
    one, two = await house.node(), await house.node()
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    await house.enter(one, ann)
    await house.enter(two, bob)
    await house.until_told("Ann and Bob are here for the first time")
    house.clock.pass_by(RESTART_GRACE)
    house.nodes.remove(one)
    await one.registry.close()
    await house.until_told("Ann and Bob are here for the first time", "Ann went away")
    assert two.here == ["Bob"]
    one.join()
    house.nodes.append(one)
    await house.until_told("Ann and Bob are here for the first time", "Ann went away", "Ann came in")
    await house.until(lambda: one.here == two.here == ["Ann", "Bob"])


# Redis that fails -------------------------------------------------------------------------------------


async def test_without_redis_presence_stands_still_and_says_so_then_goes_on(
    house: House, own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.cluster.registry.FREEZE", 0.3)
    one, two = await house.node(own.url), await house.node(own.url)
    ann, bob, cid = [await house.seat(name) for name in ("Ann", "Bob", "Cid")]
    await house.enter(one, ann)
    await house.enter(two, bob)
    await house.enter(two, cid)
    listener = Connection(ann, LOOK)
    await one.hub.join(listener, (await calls.heads(house.store, [ROOM]))[ROOM])
    await house.until_told("Ann, Bob and Cid are here for the first time")
    await house.until(lambda: one.here == ["Ann", "Bob", "Cid"])
    own.kill()
    await house.until(lambda: one.presence.frozen and two.presence.frozen)
    two.depart(cid)
    await house.until(lambda: "Here a moment ago" in "".join(one.rosters[-1:]))
    await house.wait(RESTART_GRACE + GRACE)
    assert await house.told() == ["Ann, Bob and Cid are here for the first time"]
    assert one.here == ["Ann", "Bob", "Cid"]
    own.start()  # and it has forgotten everything
    await house.until(lambda: not one.presence.frozen and not two.presence.frozen)
    await house.until(lambda: "Here a moment ago" not in one.rosters[-1])
    await house.until_told("Ann, Bob and Cid are here for the first time", "Cid went away")
    await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
    assert await house.marked() == ["Ann", "Bob"]


async def test_an_outage_longer_than_the_lease_ends_nobody_s_stay(
    house: House, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis keeps its clock and its leases: the node that comes back first must not remove the others."""
    monkeypatch.setattr("chat.cluster.registry.FREEZE", 0.3)
    async with Proxy(server.port) as proxy:
        one, two = await house.node(proxy.through(server.url)), await house.node(proxy.through(server.url))
        ann, bob = await house.seat("Ann"), await house.seat("Bob")
        await house.enter(one, ann)
        await house.enter(two, bob)
        await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
        await house.until_told("Ann and Bob are here for the first time")
        house.clock.pass_by(RESTART_GRACE)
        proxy.black_hole()
        await asyncio.sleep(LEASE + 0.5)
        await two.registry.close()  # slow to come back
        seen: set[tuple[str, ...]] = set()
        proxy.heal()
        await house.until(lambda: not one.presence.frozen, seen, one)
        await house.beats(4)
        two.join()
        await house.until(lambda: not two.presence.frozen, seen, one)
        await house.beats(int(2 * LEASE / BEAT))
        assert seen == {("Ann", "Bob")}
        assert one.here == two.here == ["Ann", "Bob"]
        assert await house.told() == ["Ann and Bob are here for the first time"]
        for node in house.nodes:
            await node.kill()


async def test_a_fault_of_ours_does_not_end_the_signs_of_a_node(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = itertools.count()

    async def no_answer(*_: object, **__: object) -> None:
        next(asked)
        raise RedisUnavailable

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("chat.cluster.registry.FREEZE", 0.0)
    redis = Redis("redis://127.0.0.1:1")
    monkeypatch.setattr(redis, "run", no_answer)
    registry = RedisRegistry(redis, SOCKETS, beat=0.01)
    registry.open(Listeners(lambda codes, urgent: None, fail, lambda id: None, fail))
    await until(lambda: next(asked) > 10)
    await registry.close()
    await redis.close()
    assert caplog.text.count("registry-failed") == 1


async def test_a_node_cut_off_alone_is_frozen_and_others_go_on(
    house: House, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.cluster.registry.FREEZE", 0.3)
    async with Proxy(server.port) as proxy:
        one, two = await house.node(proxy.through(server.url)), await house.node()
        ann, bob = await house.seat("Ann"), await house.seat("Bob")
        await house.enter(one, ann)
        await house.enter(two, bob)
        await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
        await house.until_told("Ann and Bob are here for the first time")
        proxy.black_hole()
        await house.until(lambda: one.presence.frozen)
        assert not two.presence.frozen
        await house.until(lambda: two.here == ["Bob"])
        assert one.here == ["Ann", "Bob"]
        proxy.heal()
        await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
        await house.beats()
        assert await house.marked() == ["Ann", "Bob"]
        for node in house.nodes:
            await node.kill()


async def test_nodes_on_a_redis_cluster_see_each_other_s_people(house: House, cluster: RedisCluster) -> None:
    one, two = await house.node(cluster.url), await house.node(cluster.url)
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    await house.enter(one, ann)
    await house.enter(two, bob)
    await house.until(lambda: one.here == two.here == ["Ann", "Bob"])
    house.clock.pass_by(RESTART_GRACE)
    await one.kill()
    await house.until(lambda: two.here == ["Bob"])
    await house.until_told("Ann and Bob are here for the first time", "Ann went away")


# Connections ------------------------------------------------------------------------------------------


def _connect(node: Node, person: str = "person-a") -> Connection:
    listener = Connection(Member(ROOM, 1, person, "Ann", 1), LOOK)
    node.hub.connections.admit(listener)
    return listener


async def test_a_person_has_ten_connections_over_all_nodes_and_the_oldest_goes(house: House) -> None:
    one, two = await house.node(), await house.node()
    old = [_connect(one) for _ in range(6)]
    await house.beats()
    new = [_connect(two) for _ in range(4)]
    other = [_connect(two, "person-b") for _ in range(SOCKETS)]
    await house.beats()
    assert not [one for one in (*old, *new, *other) if one.closing]
    new += [_connect(two), _connect(two)]
    await house.until(lambda: old[0].closing and old[1].closing)
    assert old[0].closing is not None
    assert old[0].closing.code == POLICY
    assert "more than 10 tabs" in old[0].closing.reason
    await house.beats()
    assert not [one for one in (*old[2:], *new, *other) if one.closing]


async def test_closed_connections_and_those_of_dead_nodes_do_not_count(house: House) -> None:
    one, two = await house.node(), await house.node()
    gone = [_connect(one) for _ in range(SOCKETS)]
    await house.beats()
    for listener in gone:
        one.hub.release(listener)
    await house.beats()
    dead = [_connect(one) for _ in range(SOCKETS)]
    await house.beats()
    await one.kill()
    back = [_connect(two) for _ in range(SOCKETS)]
    await house.beats(int(2 * LEASE / BEAT))
    assert not [listener for listener in (*dead, *back) if listener.closing]


async def test_after_redis_forgot_everything_the_oldest_is_still_the_oldest(
    house: House, own: RedisServer
) -> None:
    one, two = await house.node(own.url), await house.node(own.url)
    old = [_connect(one) for _ in range(5)]
    await house.beats(4)
    new = [_connect(two) for _ in range(5)]
    await house.beats()
    own.kill()
    own.start()
    await house.until(lambda: not (one.redis.away or two.redis.away))
    await house.beats(6)
    _connect(two)
    await house.until(lambda: old[0].closing)
    await house.beats()
    assert not [listener for listener in (*old[1:], *new) if listener.closing]


# Many -------------------------------------------------------------------------------------------------


async def test_thousands_on_two_nodes_are_known_to_both(house: House) -> None:
    one, two = await house.node(), await house.node()
    for n in range(1, 2001):
        (one if n % 2 else two).registry.add(Member(ROOM, n, f"person-{n}", f"P{n}", 1))
    await house.until(lambda: len(one.registry.elsewhere(ROOM)) == len(two.registry.elsewhere(ROOM)) == 1000)
    members = [Member(ROOM, n, f"person-{n}", f"P{n}", 1) for n in range(1, 2101)]
    missing = await one.registry.missing(members)
    assert missing is not None
    assert [member.number for member in missing] == list(range(2001, 2101))
