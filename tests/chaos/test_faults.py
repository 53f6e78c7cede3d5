"""What lies between a node and its servers misbehaves while people talk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

import pytest
from faults import Proxy

from .checker import Tally
from .crowd import Crowd, gathered
from .place import Place

TO_REDIS = (b"SPUBLISH", b"EVALSHA", b"PING")
TO_POSTGRES = (b"COMMIT\0", b"INSERT INTO message", b"FOR NO KEY UPDATE", b"BEGIN", b"Sender")  # texts, too


async def slow(proxy: Proxy) -> None:
    proxy.latency = 0.15


async def silent(proxy: Proxy) -> None:
    proxy.black_hole()


async def reset(proxy: Proxy) -> None:
    """Again and again, as a firewall does that forgets what it let through."""
    for _ in range(10):
        proxy.reset()
        await asyncio.sleep(random.uniform(0.05, 0.5))


async def refused(proxy: Proxy) -> None:
    proxy.refuse()


async def cut(proxy: Proxy) -> None:
    for _ in range(10):
        proxy.cut_after(random.randrange(1, 3000))
        await asyncio.sleep(random.uniform(0.05, 0.5))


Fault = Callable[[Proxy], Coroutine[Any, Any, None]]
FAULTS = [slow, silent, reset, refused, cut]


def deaf(patterns: Iterable[bytes], hang: bool) -> Fault:
    """Requests arrive, and their answers do not come back."""

    async def lose(proxy: Proxy) -> None:
        for pattern in patterns:
            proxy.lose_reply(pattern, hang)
            await asyncio.sleep(random.uniform(0.2, 1))

    lose.__name__ = "deaf_and_silent" if hang else "deaf"
    return lose


def named(fault: Fault) -> str:
    return getattr(fault, "__name__", "")


async def happens(fault: Fault, proxies: Sequence[Proxy], crowd: Crowd, least: float, most: float) -> float:
    """Let it happen to some nodes for a while amid the talk, then heal; when it began."""
    await crowd.talk_for(0.2, 1.5)
    since = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for proxy in proxies:
            group.create_task(fault(proxy))
        group.create_task(crowd.talk_for(least, most))
    for proxy in proxies:
        proxy.heal()
    await crowd.talk_for(0.2, 1.5)
    await crowd.rest()
    return since


@pytest.mark.parametrize("fault", [*FAULTS, deaf(TO_REDIS, hang=False), deaf(TO_REDIS, hang=True)], ids=named)
async def test_redis_behind_a_bad_line_makes_messages_late_by_seconds_at_most(
    proxied: Place, tally: Tally, rounds: int, fault: Fault
) -> None:
    async with gathered(proxied, tally) as crowd:
        for n in range(rounds):
            crowd.talk(None if n % 2 else 0)
            since = await happens(fault, proxied.to_redis[n % 2 :], crowd, 3, 8)
            crowd.in_time(since)
        assert await crowd.told() == (len(crowd.tabs), 0), "a bad line to Redis is no reason to leave"


@pytest.mark.parametrize(
    "fault", [*FAULTS, deaf(TO_POSTGRES, hang=False), deaf(TO_POSTGRES, hang=True)], ids=named
)
async def test_postgres_behind_a_bad_line_loses_nothing_and_takes_nothing_twice(
    proxied: Place, tally: Tally, rounds: int, fault: Fault
) -> None:
    async with gathered(proxied, tally) as crowd:
        for n in range(rounds):
            crowd.talk()
            # The second time long enough for every wait of the node to end.
            await happens(fault, proxied.to_postgres[n % 2 :], crowd, *((12, 14) if n % 2 else (3, 8)))


async def test_whatever_fails_next_nothing_is_lost_doubled_or_out_of_order(
    proxied: Place, tally: Tally, rounds: int
) -> None:
    """Servers, nodes, lines and the people's own connections, in any order and together."""
    async with gathered(proxied, tally) as crowd:
        for _ in range(rounds):
            crowd.talk()
            for misfortune in random.sample(misfortunes(proxied, crowd), 3):
                await crowd.talk_for(0.2, 1.5)
                await misfortune()
            _mend(proxied)
            for n, node in enumerate(proxied.nodes):
                if not node.pids:
                    await proxied.start_node(n)
            await crowd.rest()


def misfortunes(place: Place, crowd: Crowd) -> list[Callable[[], Awaitable[object]]]:
    proxy = random.choice(place.to_redis + place.to_postgres)
    node = random.choice(place.nodes)
    servers = [place.redis.pause, place.postgres.pause, node.pause, node.kill]
    lines = [*FAULTS, deaf(TO_REDIS + TO_POSTGRES, hang=False), deaf(TO_REDIS + TO_POSTGRES, hang=True)]
    return [
        *(partial(asyncio.to_thread, end) for end in servers),
        *(partial(fault, proxy) for fault in lines),
        partial(_all_move, crowd),
    ]


async def _all_move(crowd: Crowd) -> None:
    for tab in crowd.tabs:
        tab.move()


def _mend(place: Place) -> None:
    place.redis.go_on()
    place.postgres.go_on()
    for node in place.nodes:
        node.go_on()
    for proxy in place.to_redis + place.to_postgres:
        proxy.heal()
