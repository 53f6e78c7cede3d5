"""Who is here, by a clock that only the test moves, on a real store and a real hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, cast

import calls
import pytest
from deployments import BOTH, CENSUS, ONE, store_at
from dom import parse
from people import FakeClock, notices
from redis_server import RedisServer

from chat.cluster.connection import Redis
from chat.cluster.registry import RedisRegistry
from chat.live.bus import LocalBus
from chat.live.connection import Connection
from chat.live.connections import SOCKETS
from chat.live.hub import Hub
from chat.live.presence import GRACE, PACE, RESTART_GRACE, Presence
from chat.live.registry import LocalRegistry, PresenceRegistry
from chat.model.members import Member
from chat.settings import Settings
from chat.startup import listeners
from chat.store import OutcomeUnknown, Store, Unavailable, members
from chat.views.assets import Assets
from chat.views.look import LOOK, Look
from chat.views.people import ROSTER
from chat.views.renderer import Renderer

ROOM = "BCDFGHJK"
LEASES = f"{CENSUS}:nodes"


class Flaky:
    """A store whose notices can be made to fail, or to meet something while they are written."""

    def __init__(self, store: Store, house: House) -> None:
        self.store = store
        self.house = house

    async def write(self, code: str, work: Any, *asked: Any) -> Any:
        if work is not members.announce:
            return await self.store.write(code, work, *asked)
        _, verb, seats = asked
        self.house.announced.append((verb, list(seats)))
        if self.house.failure:
            raise self.house.failure
        done = await self.store.write(code, work, *asked)
        for happen in self.house.meanwhile:
            happen()
        self.house.meanwhile.clear()
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class Still(RedisRegistry):
    """Exchanges what there is when a test says so."""

    async def _work(self) -> None:
        pass


class Node:
    """One process, to which nobody is connected yet."""

    def __init__(self, house: House, store: Store) -> None:
        bus = LocalBus()
        self.registry: PresenceRegistry = Still(house.redis, SOCKETS) if house.redis else LocalRegistry()
        self.hub = Hub(store, bus, house.render, registry=self.registry)
        store.listen(bus.announce)
        flaky = cast(Store, Flaky(store, house))
        self.presence = Presence(flaky, self.hub, house.roster, house.clock)
        bus.open(self.hub.receive, self.hub.on_gap)
        self.registry.open(listeners(self.hub, self.presence))


class House:
    """A room, its people, and the presence of one run of the chat, on as many nodes as there are stores.

    Of two nodes the person in the first seat reaches one, and everybody else the other.
    """

    def __init__(
        self, stores: list[Store], clock: FakeClock, render: Renderer, server: RedisServer | None
    ) -> None:
        self.stores = stores
        self.store = stores[0]
        self.clock = clock
        self.render = render
        self.server = server
        self.redis = Redis(server.url) if server else None
        self.failure: Exception | None = None
        self.meanwhile: list[Any] = []
        self.announced: list[tuple[str, list[int]]] = []
        self.rosters: list[str] = []
        self.start()

    def start(self) -> None:
        """New processes."""
        self.nodes = [Node(self, store) for store in self.stores]

    async def restart(self) -> None:
        """Everything ends, and starts when nobody counts on the former nodes any more."""
        if self.server:
            for node in self.server.ask("ZRANGE", LEASES, 0, -1):
                self.server.ask("ZADD", LEASES, 0, node)
        self.start()
        for one in self.nodes:
            await one.presence.restore()

    def roster(self, people: Any, frozen: bool, look: Look, away: Any) -> str:
        self.rosters.append(self.render.people.roster(people, frozen, look, away))
        return self.rosters[-1]

    def node(self, member: Member) -> Node:
        return self.nodes[0 if member.number == 1 else -1]

    async def seat(self, name: str) -> Member:
        return await calls.take_seat(self.store, ROOM, f"person-{name}", name)

    def arrive(self, member: Member) -> None:
        self.node(member).presence.arrive(member)

    def depart(self, member: Member) -> None:
        self.node(member).presence.depart(member)

    def forget(self, member: Member) -> None:
        self.node(member).presence.forget(member)

    async def enter(self, *names: str) -> list[Member]:
        members = [await self.seat(name) for name in names]
        for member in members:
            self.arrive(member)
        await self.tick()
        return members

    async def exchange(self) -> None:
        """Every node says who is with it, and hears who is with the others."""
        for node in self.nodes * 2:
            if isinstance(node.registry, RedisRegistry):
                await node.registry._exchange()

    async def tick(self) -> None:
        await self.exchange()
        for node in self.nodes:
            await node.presence.tick()

    async def wait(self, seconds: float, step: float = 0.5) -> None:
        """Time passes, with presence at work."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            await self.tick()

    async def follow(self, member: Member) -> Connection:
        connection = Connection(member, LOOK)
        await self.node(member).hub.join(connection, (await calls.heads(self.store, [ROOM]))[ROOM])
        return connection

    async def told(self) -> list[str]:
        """What the room's notices say, oldest first."""
        page = await calls.history(self.store, ROOM)
        html = [self.render.messages.message(ROOM, message)(LOOK) for message in page.messages]
        return [part for notice in notices(parse("".join(html))) for part in notice.split(" · ")]

    async def here(self) -> list[str]:
        """Whom a page shows, whichever node it comes from."""
        await self.exchange()
        shown = [[m.label for m in await node.presence.everybody(ROOM)] for node in self.nodes]
        assert shown[0] == shown[-1]
        return shown[0]


@pytest.fixture(params=BOTH)
def deployment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def house(
    settings: Settings,
    deployment: str,
    clock: FakeClock,
    compiled: tuple[Assets, Renderer],
    request: pytest.FixtureRequest,
) -> AsyncIterator[House]:
    stores = [store_at(settings.database_url, clock) for _ in range(1 if deployment == ONE else 2)]
    server = request.getfixturevalue("server") if settings.redis_url else None
    async with AsyncExitStack() as stack:
        for store in stores:
            await store.open()
            stack.push_async_callback(store.close)
        await calls.open_room(stores[0], ROOM)
        house = House(stores, clock, compiled[1], server)
        if house.redis:
            stack.push_async_callback(house.redis.close)
        yield house


# Coming and going -------------------------------------------------------------------------------------


async def test_who_enters_is_announced_and_listed(house: House) -> None:
    await house.enter("Ann")
    assert await house.told() == ["Ann is here for the first time"]
    assert await house.here() == ["Ann"]


async def test_who_closes_the_last_tab_is_announced_as_left_after_the_grace(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    await house.wait(GRACE - 0.5)
    assert await house.here() == ["Ann"]
    await house.wait(1)
    assert await house.here() == []
    assert await house.told() == ["Ann is here for the first time", "Ann went away"]


async def test_a_reload_announces_nothing(house: House) -> None:
    (ann,) = await house.enter("Ann")
    for _ in range(5):
        house.depart(ann)
        await house.wait(0.5)
        house.arrive(ann)
        await house.wait(3)
    await house.wait(60)
    assert await house.told() == ["Ann is here for the first time"]
    assert house.announced == [("entered", [ann.number])], "the store is not even asked"
    assert await house.here() == ["Ann"]


async def test_a_drop_of_almost_ten_seconds_announces_nothing(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    await house.wait(GRACE - 0.1, step=0.1)
    house.arrive(ann)
    await house.wait(60)
    assert await house.told() == ["Ann is here for the first time"]


async def test_two_tabs_are_one_person(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.arrive(ann)
    await house.wait(2)
    assert await house.here() == ["Ann"]
    house.depart(ann)
    await house.wait(60)
    assert await house.here() == ["Ann"]
    assert await house.told() == ["Ann is here for the first time"]
    house.depart(ann)
    await house.wait(GRACE + 1)
    assert await house.here() == []


async def test_who_comes_and_goes_before_anybody_was_told_is_not_announced_as_left(house: House) -> None:
    house.failure = Unavailable("away")
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    await house.wait(GRACE + 1)
    house.failure = None
    await house.wait(60)
    assert await house.told() == []


async def test_who_is_back_before_the_leaving_is_told_is_not_announced(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    house.failure = Unavailable("away")
    await house.wait(GRACE + 3)
    house.arrive(ann)
    house.failure = None
    await house.wait(60)
    assert await house.told() == ["Ann is here for the first time"]
    assert await house.here() == ["Ann"]


async def test_who_leaves_for_good_is_gone_at_once(house: House) -> None:
    ann, _ = await house.enter("Ann", "Bob")
    await house.wait(2)
    await calls.end_seat(house.store, ROOM, ann.person)
    house.forget(ann)
    house.depart(ann)  # the connection ends a little later
    assert await house.here() == ["Bob"]
    await house.wait(60)
    assert await house.told() == ["Ann and Bob are here for the first time", "Ann left for good"]
    assert "away" not in [verb for verb, _ in house.announced], "the store is not asked again"


@pytest.mark.parametrize("pause", [0, 2])
async def test_who_leaves_for_good_and_comes_back_is_here(house: House, pause: float) -> None:
    (ann,) = await house.enter("Ann")
    await house.wait(2)
    await calls.end_seat(house.store, ROOM, ann.person)
    house.forget(ann)
    await house.wait(pause)
    (again,) = await house.enter("Ann")
    house.depart(ann)  # the connection of the former stay ends late
    await house.wait(60)
    assert again.number == ann.number
    assert await house.here() == ["Ann"]
    assert (await house.told())[-1] == "Ann is back"


async def test_an_unknown_departure_is_no_error(house: House) -> None:
    ann = await house.seat("Ann")
    house.depart(ann)
    house.forget(ann)
    await house.wait(60)
    assert await house.here() == []
    assert await house.told() == []


async def test_an_empty_room_is_forgotten(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    await house.wait(GRACE + 3)
    assert not any(node.presence.rooms() for node in house.nodes)


# Crowds -----------------------------------------------------------------------------------------------


async def test_a_crowd_is_one_notice(house: House) -> None:
    await house.enter("Ann", "Bob", *(f"P{n}" for n in range(37)))
    assert await house.told() == ["39 people came in"]


@pytest.mark.parametrize(
    ("names", "notice"),
    [
        (["Ann"], "Ann is here for the first time"),
        (["Ann", "Bob"], "Ann and Bob are here for the first time"),
        (["Ann", "Bob", "Cid"], "Ann, Bob and Cid are here for the first time"),
        (["Ann", "Bob", "Cid", "Dan"], "4 people came in"),
    ],
)
async def test_notices_are_sentences(house: House, names: list[str], notice: str) -> None:
    await house.enter(*names)
    assert await house.told() == [notice]


async def test_who_trickles_in_is_added_to_the_same_notice_once_a_second_at_most(house: House) -> None:
    start = (await calls.heads(house.store, [ROOM]))[ROOM].rev
    for n in range(100):
        await house.enter(f"P{n}")
        await house.wait(0.1, step=0.1)
    await house.wait(2)
    assert await house.told() == ["100 people came in"]
    assert (await calls.heads(house.store, [ROOM]))[ROOM].rev - start <= 12 * len(house.nodes)


async def test_a_crowd_that_leaves_is_one_notice(house: House) -> None:
    crowd = await house.enter(*(f"P{n}" for n in range(40)))
    for member in crowd:
        house.depart(member)
    await house.wait(GRACE + 2)
    assert await house.told() == [
        "40 people came in",
        "40 people went away",
    ]


async def test_a_message_in_between_starts_a_new_notice(house: House) -> None:
    (ann,) = await house.enter("Ann")
    await house.store.append(ROOM, ann.number, "k", "hello")
    await house.wait(2)
    await house.enter("Bob")
    assert await house.told() == ["Ann is here for the first time", "Bob is here for the first time"]


async def test_twins_are_told_apart_in_notices_and_roster(house: House) -> None:
    (ann,) = await house.enter("Ann")
    await house.follow(ann)
    await house.wait(2)
    twin = await calls.take_seat(house.store, ROOM, "another-person", "ann")
    house.arrive(twin)
    await house.tick()
    assert await house.told() == ["Ann and ann2 are here for the first time"]
    assert await house.here() == ["Ann", "ann (2)"]
    (line,) = parse(house.rosters[-1]).all("li#by-2")
    assert line.one("sup.mark").text == "2"


# The roster -------------------------------------------------------------------------------------------


async def test_everybody_gets_the_roster_with_a_count(house: House) -> None:
    (ann,) = await house.enter("Ann")
    connection = await house.follow(ann)
    await house.enter("Bob", "Cid")
    await house.wait(2 * PACE)
    assert connection.feed is not None
    roster = parse(connection.feed.panels.since(0, LOOK)).one("hx-partial[hx-target=#roster]")
    assert [line.one("bdi").text for line in roster.all("li")] == ["Ann", "Bob", "Cid"]
    assert roster.one(".count").text == "3"


async def test_the_roster_is_pushed_once_a_second_at_most(house: House) -> None:
    (ann,) = await house.enter("Ann")
    await house.follow(ann)
    await house.wait(5)
    house.rosters.clear()
    for n in range(50):
        await house.enter(f"P{n}")
        await house.wait(0.1, step=0.1)
    await house.wait(2)
    assert len(house.rosters) <= 7
    assert parse(house.rosters[-1]).one(".count").text == "51"


async def test_a_quiet_room_pushes_no_roster(house: House) -> None:
    (ann,) = await house.enter("Ann")
    await house.follow(ann)
    await house.wait(5)
    house.rosters.clear()
    house.arrive(ann)
    await house.wait(1)
    house.depart(ann)
    await house.wait(30)
    assert house.rosters == []


async def test_a_roster_of_more_than_a_hundred_shows_the_first_hundred_and_a_count(house: House) -> None:
    (ann, *_) = await house.enter(*(f"P{n}" for n in range(ROSTER + 30)))
    await house.follow(ann)
    await house.enter("Zoe")
    await house.wait(5)
    roster = parse(house.rosters[-1])
    assert len(roster.all("li bdi")) == ROSTER
    assert roster.one(".count").text == "131"
    assert roster.one("li.more").text == "and 31 more"


async def test_a_larger_crowd_gets_its_rosters_less_often(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.live.presence.CROWD", 20)
    (ann, *_) = await house.enter(*(f"P{n}" for n in range(60)))
    await house.follow(ann)
    await house.wait(10)
    house.rosters.clear()
    for n in range(20):
        await house.enter(f"Q{n}")
        await house.wait(0.5)
    assert len(house.rosters) in {2, 3}


async def test_who_follows_a_room_that_was_left_alone_sees_who_is_there(house: House) -> None:
    """While nobody followed, nobody could be told: the page still shows Bob."""
    ann, bob = await house.enter("Ann", "Bob")
    await house.wait(5)
    house.depart(bob)
    await house.wait(2)
    house.depart(ann)
    await house.wait(GRACE - 1)
    house.arrive(ann)
    await house.wait(0.1)
    connection = await house.follow(ann)
    house.node(ann).presence.follow(ROOM)
    await house.wait(2)
    assert connection.feed is not None
    assert [line.words for line in parse(connection.feed.panels.since(0, LOOK)).all("li bdi")] == ["Ann"]


# Restarts ---------------------------------------------------------------------------------------------


async def test_a_restart_announces_nobody_again(house: House) -> None:
    ann, bob = await house.enter("Ann", "Bob")
    await house.restart()
    house.announced.clear()
    await house.wait(5)
    house.arrive(ann)
    house.arrive(bob)
    await house.wait(RESTART_GRACE + 10)
    assert await house.told() == ["Ann and Bob are here for the first time"]
    assert house.announced == [], "the store is not even asked"
    assert await house.here() == ["Ann", "Bob"]


async def test_who_does_not_come_back_after_a_restart_has_left(house: House) -> None:
    ann, _, _ = await house.enter("Ann", "Bob", "Cid")
    await house.restart()
    house.arrive(ann)
    await house.wait(RESTART_GRACE - 1)
    assert await house.told() == ["Ann, Bob and Cid are here for the first time"]
    await house.wait(3)
    assert await house.told() == ["Ann, Bob and Cid are here for the first time", "Bob and Cid went away"]


async def test_after_a_restart_the_roster_shows_only_who_is_back(house: House) -> None:
    ann, bob = await house.enter("Ann", "Bob")
    await house.restart()
    assert await house.here() == []
    house.arrive(ann)
    assert await house.here() == ["Ann"]
    await house.wait(2)
    house.arrive(bob)
    assert await house.here() == ["Ann", "Bob"]


async def test_who_was_in_grace_when_the_server_ended_is_still_accounted_for(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    await house.wait(5)
    await house.restart()
    await house.wait(RESTART_GRACE + 2)
    assert await house.told() == ["Ann is here for the first time", "Ann went away"]
    await house.restart()
    await house.wait(RESTART_GRACE + 2)
    assert len(await house.told()) == 2


# A store that fails for a while -----------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Unavailable("away"), OutcomeUnknown("perhaps")])
async def test_notices_wait_for_a_store_that_fails(house: House, failure: Exception) -> None:
    house.failure = failure
    _, bob = await house.enter("Ann", "Bob")
    await house.wait(5)
    house.depart(bob)
    await house.wait(GRACE + 5)
    assert await house.told() == []
    house.failure = None
    await house.wait(3)
    assert await house.told() == ["Ann is here for the first time"]
    assert await house.here() == ["Ann"]


async def test_a_leaving_that_could_not_be_told_is_told_later(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    house.failure = Unavailable("away")
    await house.wait(GRACE + 5)
    assert await house.told() == ["Ann is here for the first time"]
    house.failure = None
    await house.wait(3)
    assert await house.told() == ["Ann is here for the first time", "Ann went away"]


async def test_a_failing_store_is_not_asked_more_than_once_a_second(house: House) -> None:
    house.failure = Unavailable("away")
    await house.enter("Ann")
    await house.wait(10, step=0.1)
    assert len(house.announced) <= 12


async def test_an_unexpected_failure_in_one_room_does_not_silence_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await calls.open_room(house.store, "22222222")
    other = await calls.take_seat(house.store, "22222222", "person-x", "Xia")
    house.failure = RuntimeError("a fault of ours")
    await house.enter("Ann")
    house.failure = None
    house.arrive(other)
    await house.wait(2)
    assert [m.notice.names for m in (await calls.history(house.store, "22222222")).messages if m.notice] == [
        ("Xia",)
    ]
    assert "presence-failed" in caplog.text
    assert await house.told() == ["Ann is here for the first time"]


async def test_who_arrives_while_a_notice_is_written_is_announced_next(house: House) -> None:
    ann, bob = await house.seat("Ann"), await house.seat("Bob")
    house.meanwhile.append(lambda: house.arrive(bob))
    house.arrive(ann)
    await house.tick()
    await house.wait(3)
    assert await house.told() == ["Ann and Bob are here for the first time"]


async def test_who_leaves_while_the_entering_is_written_takes_nobody_along(house: House) -> None:
    ann, bob = await house.seat("Ann"), await house.seat("Bob")

    def swap() -> None:
        house.forget(ann)
        house.arrive(bob)

    house.meanwhile.append(swap)
    house.arrive(ann)
    await house.tick()
    await house.wait(3)
    assert await house.told() == ["Ann and Bob are here for the first time"]
    assert await house.here() == ["Bob"]


async def test_who_is_back_while_the_leaving_is_written_is_announced_again(house: House) -> None:
    (ann,) = await house.enter("Ann")
    house.depart(ann)
    house.meanwhile.append(lambda: house.arrive(ann))
    await house.wait(GRACE + 3)
    assert await house.told() == [
        "Ann is here for the first time",
        "Ann went away",
        "Ann came in",
    ]
    assert [member.name for member in await calls.present(house.store, ROOM)] == ["Ann"]
    assert await house.here() == ["Ann"]
