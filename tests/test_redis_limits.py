"""Limits that hold over all nodes, counted by a real Redis; without it each node counts for itself."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from faults import Proxy
from people import until
from redis_server import RedisCluster, RedisServer

from chat.cluster import limits as redis_limits
from chat.cluster.client import CONNECTIONS
from chat.cluster.connection import Redis
from chat.cluster.limits import SCRIPT, WAIT, RedisLimits
from chat.cluster.parts import limits_for
from chat.limits import WRONG_CODES, Limits, Rate

SLOW = Rate("slow", every=100.0, burst=3)
QUICK = Rate("quick", every=0.05, burst=3)
subjects = itertools.count()


@pytest.fixture
def subject() -> str:
    """Nobody whom Redis has seen before."""
    return f"person-{next(subjects)}"


@asynccontextmanager
async def limits(*urls: str) -> AsyncIterator[list[RedisLimits]]:
    async with AsyncExitStack() as stack:
        redises = [Redis(url, wait=1.0) for url in urls]
        for redis in redises:
            await redis.open()
            stack.push_async_callback(redis.close)
        yield [RedisLimits(redis) for redis in redises]


@pytest.fixture(params=["redis", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    server: RedisServer | RedisCluster
    server = request.getfixturevalue("server" if request.param == "redis" else "cluster")
    return server.url


async def test_a_burst_is_shared_by_the_nodes(url: str, subject: str) -> None:
    async with limits(url, url) as (one, two):
        assert [await node.take(SLOW, subject) for node in (one, two, one)] == [0, 0, 0]
        for node in (one, two):
            assert await node.take(SLOW, subject) == pytest.approx(100, abs=5)
            assert await node.peek(SLOW, subject) == pytest.approx(100, abs=5)


async def test_one_passes_again_in_its_time(server: RedisServer, subject: str) -> None:
    async with limits(server.url, server.url) as (one, two):
        while not (wait := await one.take(QUICK, subject)):
            pass
        assert 0 < wait <= QUICK.every
        await asyncio.sleep(wait)
        assert await two.take(QUICK, subject) == 0


async def test_whoever_is_patient_is_told_how_long_to_wait_and_is_counted(
    server: RedisServer, subject: str
) -> None:
    async with limits(server.url, server.url) as nodes:
        turns = itertools.cycle(nodes)
        waits = [await next(turns).take(SLOW, subject, patience=250.0) for _ in range(7)]
        assert waits == pytest.approx([0, 0, 0, 100, 200, 300, 300], abs=5)


async def test_a_refused_attempt_and_a_look_cost_nothing(server: RedisServer, subject: str) -> None:
    async with limits(server.url) as (one,):
        for _ in range(20):
            await one.peek(SLOW, subject)
        assert [await one.take(SLOW, subject) for _ in range(3)] == [0, 0, 0]
        for _ in range(20):
            wait = await one.take(SLOW, subject)
        assert wait <= 100


async def test_people_and_rates_are_counted_apart(server: RedisServer, subject: str) -> None:
    async with limits(server.url) as (one,):
        for _ in range(3):
            await one.take(SLOW, subject)
        assert await one.take(SLOW, subject + "-other") == 0
        assert await one.take(WRONG_CODES, subject) == 0
        assert await one.take(SLOW, subject) > 0


async def test_redis_forgets_subjects_without_recent_use(server: RedisServer, subject: str) -> None:
    async with limits(server.url) as (one,):
        await one.take(QUICK, subject)
        (key,) = server.ask("KEYS", f"*{subject}*")
        assert 0 < int(server.ask("PTTL", key)) <= 50
        await one.peek(QUICK, subject + "-looked")
        assert server.ask("KEYS", f"*{subject}-looked*") == []


@pytest.mark.parametrize("fault", ["kill", "black hole"])
async def test_without_redis_each_node_counts_for_itself_and_nobody_waits_for_it(
    own: RedisServer, fault: str, subject: str
) -> None:
    async with Proxy(own.port) as proxy, limits(proxy.through(own.url)) as (one,):
        await one.take(SLOW, subject)
        if fault == "kill":
            own.kill()
        else:
            proxy.black_hole()
        assert [await one.take(SLOW, subject) for _ in range(3)] == [0, 0, 0]
        async with asyncio.timeout(0.5):  # the first one found out; the others do not ask
            assert await one.take(SLOW, subject) == pytest.approx(100, abs=5)
            assert await one.peek(SLOW, subject) == pytest.approx(100, abs=5)


async def test_when_every_connection_waits_nobody_waits_longer_and_later_all_are_answered(
    own: RedisServer, subject: str
) -> None:
    async with Proxy(own.port) as proxy, limits(proxy.through(own.url)) as (one,):

        async def crowd() -> set[float]:
            return set(
                await asyncio.gather(*(one.take(SLOW, f"{subject}-{n}") for n in range(4 * CONNECTIONS)))
            )

        assert await crowd() == {0}
        assert own.ask("INFO", "clients")["connected_clients"] <= CONNECTIONS + 1  # and the one that asks
        proxy.black_hole()
        async with asyncio.timeout(WAIT + 2):
            assert await crowd() == {0}
        assert one._redis.away
        proxy.heal()
        await one._redis.run(SCRIPT, "somebody", 1, 1, -1)  # as the registry does, again and again
        own.ask("FLUSHALL")
        for _ in range(SLOW.burst):
            assert await crowd() == {0}
        assert min(await crowd()) > 0
        assert not one._redis.away
        assert len(own.ask("KEYS", f"*{subject}-*")) == 4 * CONNECTIONS


async def test_a_cluster_that_changes_amid_many_questions_never_fails_who_is_writing(
    tmp_path: Path, subject: str
) -> None:
    """When redis-py looks at a cluster anew it closes connections that others are just using."""
    with RedisCluster(tmp_path, "--cluster-node-timeout", "1000") as cluster:
        async with limits(cluster.url) as (one,):
            asking = asyncio.create_task(_ask_for_ever(one, subject))
            await asyncio.to_thread(cluster.servers[0].kill)
            await until(lambda: asking.done() or not cluster.whole)
            await asyncio.to_thread(cluster.servers[0].start)
            await asyncio.wait([asking], timeout=3)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking


async def _ask_for_ever(limits: RedisLimits, subject: str) -> None:
    for n in itertools.count():
        limits._redis.away = False  # as it is after every answer to others
        await asyncio.gather(*(limits.take(SLOW, f"{subject}-{n}-{m}") for m in range(40)))
        await asyncio.sleep(0)


async def test_switched_off_nothing_is_counted(server: RedisServer) -> None:
    redis = Redis(server.url)
    assert type(limits_for(redis, False)) is Limits
    assert type(limits_for(None, True)) is Limits
    assert type(limits_for(redis, True)) is RedisLimits


MANY = Rate("many", every=100.0, burst=10)


async def test_what_is_taken_ahead_is_not_more_than_the_nodes_allow_together(url: str, subject: str) -> None:
    async with limits(url, url) as (one, two):
        assert not one.take_now(MANY, subject)  # nothing is taken ahead for somebody who does little
        await asyncio.sleep(0.05)
        assert not one._stocks["many", subject].left
        taken = 0
        for _ in range(40):
            taken += one.take_now(MANY, subject)
            await asyncio.sleep(0.01)
        assert taken == MANY.burst
        assert await two.take(MANY, subject) == pytest.approx(100, abs=5)


async def test_what_was_taken_ahead_does_not_last(
    server: RedisServer, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limits, "LASTS", 0.05)
    async with limits(server.url) as (one,):
        one.take_now(MANY, subject)
        one.take_now(MANY, subject)
        await until(lambda: one._stocks["many", subject].left)
        await asyncio.sleep(0.06)
        assert not one.take_now(MANY, subject)


async def test_while_redis_is_away_nothing_is_taken_ahead(server: RedisServer, subject: str) -> None:
    async with Proxy(server.port) as proxy, limits(proxy.through(server.url)) as (one,):
        proxy.black_hole()
        for _ in range(5):
            assert not one.take_now(MANY, subject)
            await asyncio.sleep(0.01)
        await until(lambda: one._stocks["many", subject].filling is None)
        assert not one._stocks["many", subject].left


async def test_who_did_nothing_lately_is_forgotten(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limits, "SWEEP", 10)
    monkeypatch.setattr(redis_limits, "LASTS", 0.0)
    async with limits(server.url) as (one,):
        for number in range(100):
            one.take_now(MANY, f"somebody {number}")
            assert len(one._stocks) <= 11
