"""A node, Redis or PostgreSQL ends or falls silent at any moment of a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from postgres import Postgres
from redis_server import RedisServer

from chat.live.presence import PACE, RESTART_GRACE

from .checker import Tally
from .crowd import FRESH, GONE, SLACK, Crowd, gathered
from .place import Place


async def test_killed_nodes_lose_nothing_and_their_people_come_back_unnoticed(
    place: Place, tally: Tally, rounds: int
) -> None:
    async with gathered(place, tally) as crowd:
        for n in range(rounds):
            crowd.talk()
            await crowd.talk_for(0.2, 1.5)
            await place.kill_node(n % 2)
            await crowd.talk_for(0.2, 3)
            await place.start_node(n % 2)
            await crowd.talk_for(0.2, 1.5)
            await crowd.rest()
        assert await crowd.told() == (len(crowd.tabs), 0)


async def test_people_of_a_killed_node_vanish_together_unless_they_are_back_elsewhere(
    place: Place, tally: Tally
) -> None:
    async with gathered(place, tally) as crowd:
        crowd.talk()
        gone = [tab for tab in crowd.tabs if tab.doors[0] == place.ports[0]][:3]
        everybody = crowd.names
        killed = asyncio.get_running_loop().time()
        await place.kill_node(0)
        await crowd.part(gone)
        left = killed + GONE + SLACK - asyncio.get_running_loop().time()
        await crowd.until(lambda: crowd.shown(crowd.names), left, "only those who came back are there")
        since = [roster for tab in crowd.tabs for roster in tab.rosters if roster.at > killed]
        for roster in since:
            assert sorted(roster.names) in (everybody, crowd.names), "not together"
        await place.start_node(0)
        await crowd.rest()
        await _until_told(crowd, (len(everybody), len(gone)))


async def _until_told(crowd: Crowd, entered_and_left: tuple[int, int]) -> None:
    """Those who are missed after a start have half a minute to come back."""
    async with asyncio.timeout(RESTART_GRACE + 10):
        while await crowd.told() != entered_and_left:
            await asyncio.sleep(0.5)
    await asyncio.sleep(2 * PACE)
    assert await crowd.told() == entered_and_left, "told twice"


async def test_a_silent_node_loses_nothing_and_takes_up_where_it_was(
    place: Place, tally: Tally, rounds: int
) -> None:
    async with gathered(place, tally) as crowd:
        for n in range(rounds):
            crowd.talk()
            await crowd.talk_for(0.2, 1.5)
            place.nodes[n % 2].pause()
            # The second time, the others give it up before it goes on.
            await crowd.talk_for(*(0.2, 6) if n % 2 == 0 else (GONE, GONE + 4))
            place.nodes[n % 2].go_on()
            await crowd.talk_for(0.2, 1.5)
            await crowd.rest()


@asynccontextmanager
async def without(server: RedisServer | Postgres, fault: str) -> AsyncIterator[float]:
    """A server is away; since when."""
    since = asyncio.get_running_loop().time()
    try:
        await asyncio.to_thread(server.kill if fault == "killed" else server.pause)
        yield since
    finally:
        await asyncio.to_thread(server.start if fault == "killed" else server.go_on)


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_without_redis_everything_is_accepted_and_shown_on_both_nodes_in_time(
    place: Place, tally: Tally, rounds: int, fault: str
) -> None:
    async with gathered(place, tally) as crowd:
        for n in range(rounds):
            crowd.talk(n % 2)
            await crowd.talk_for(0.2, 1.5)
            async with without(place.redis, fault) as since:
                await crowd.until(lambda: _frozen(crowd), FRESH + SLACK, "rosters say that they stand still")
                await crowd.talk_for(1, 3)
                acknowledged = crowd.acknowledged
                await crowd.talk_for(1, 1)
                assert crowd.acknowledged > acknowledged, "nothing is accepted without Redis"
            await crowd.talk_for(0.2, 1.5)
            await crowd.rest()
            crowd.in_time(since)
        assert await crowd.told() == (len(crowd.tabs), 0)


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_without_postgres_nothing_is_half_accepted_and_nobody_has_to_restart(
    place: Place, tally: Tally, rounds: int, fault: str
) -> None:
    pids = [node.pids for node in place.nodes]
    async with gathered(place, tally) as crowd:
        for n in range(rounds):
            crowd.talk()
            await crowd.talk_for(0.2, 1.5)
            async with without(place.postgres, fault):
                if n % 2 == 0:
                    await crowd.until(lambda: _says_outage(crowd), FRESH + SLACK, "every page says so")
                await crowd.talk_for(0.1, 4)
            await crowd.rest()
    assert [node.pids for node in place.nodes] == pids


def _frozen(crowd: Crowd) -> bool:
    return all(tab.rosters[-1].frozen for tab in crowd.tabs)


def _says_outage(crowd: Crowd) -> bool:
    return all(tab.outage for tab in crowd.tabs)
