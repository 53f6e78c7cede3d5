"""What lies between a node and its servers misbehaves while people talk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from faults import Proxy

TO_REDIS = (b"SPUBLISH", b"EVALSHA", b"PING")
TO_POSTGRES = (b"COMMIT", b"INSERT INTO message", b"FOR NO KEY UPDATE", b"BEGIN")


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


Fault = Callable[[Proxy], object]
FAULTS = [slow, silent, reset, refused, cut]


def deaf(patterns: Iterable[bytes], hang: bool) -> Fault:
    """Requests arrive, and their answers do not come back."""

    async def lose(proxy: Proxy) -> None:
        for pattern in patterns:
            proxy.lose_reply(pattern, hang)
            await asyncio.sleep(random.uniform(0.2, 1))

    return lose
