"""Two nodes on a Redis Cluster of three masters, one of which ends while people talk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from postgres import Postgres
from redis_server import RedisCluster

from chat.limits import WRONG_CODES

from .checker import Tally
from .crowd import FRESH, SLACK, Crowd, gathered
from .place import Place, deployed
from .tab import ask


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Soon after it has missed a master it serves nothing at all, as is the default."""
    with RedisCluster(tmp_path_factory.mktemp("cluster"), "--cluster-node-timeout", "3000") as cluster:
        yield cluster


@pytest.fixture
async def place(tmp_path: Path, postgres: Postgres, cluster: RedisCluster) -> AsyncIterator[Place]:
    async with deployed(tmp_path, postgres, CHAT_REDIS_URL=cluster.url) as place:
        yield place


async def test_people_on_a_redis_cluster_are_in_one_room(place: Place, tally: Tally) -> None:
    async with gathered(place, tally) as crowd:
        since = asyncio.get_running_loop().time()
        crowd.talk()
        await crowd.talk_for(2, 3)
        await crowd.rest()
        crowd.in_time(since)
        assert await crowd.told() == (len(crowd.tabs), 0)


async def test_limits_hold_over_the_nodes_of_a_redis_cluster(place: Place) -> None:
    loop = asyncio.get_running_loop()
    since = loop.time()
    asked = [await ask(place.ports[n % 2], "/rooms/BCDFGHJK") for n in range(2 * WRONG_CODES.burst)]
    passed = [response.status for response in asked].count(404)
    assert WRONG_CODES.burst <= passed <= WRONG_CODES.burst + (loop.time() - since) / WRONG_CODES.every
    assert {response.status for response in asked} == {404, 429}


@pytest.mark.parametrize("keeps", ["who is here", "nobody"])
async def test_without_one_master_everything_is_accepted_and_shown_in_time_and_all_is_well_when_it_is_back(
    place: Place, tally: Tally, rounds: int, cluster: RedisCluster, keeps: str
) -> None:
    keeper = cluster.keeper("here")
    lost = keeper if keeps == "who is here" else next(s for s in cluster.servers if s is not keeper)
    async with gathered(place, tally) as crowd:
        for n in range(rounds):
            crowd.talk(n % 2)
            await crowd.talk_for(0.2, 1.5)
            since = asyncio.get_running_loop().time()
            await asyncio.to_thread(lost.kill)
            try:
                if lost is keeper:
                    await crowd.until(lambda: frozen(crowd), FRESH + SLACK, "rosters stand still")
                await crowd.until(lambda: not cluster.whole, 15, "the others miss it")
                await crowd.until(lambda: frozen(crowd), FRESH + SLACK, "rosters stand still")
                await crowd.talk_for(1, 3)
            finally:
                await asyncio.to_thread(lost.start)
            await asyncio.to_thread(cluster.wait)
            await crowd.talk_for(0.2, 1.5)
            await crowd.rest()
            crowd.in_time(since)
        assert await crowd.told() == (len(crowd.tabs), 0), "a server that is away is no reason to leave"


def frozen(crowd: Crowd) -> bool:
    return all(tab.rosters[-1].frozen for tab in crowd.tabs)
