"""Limits that hold over all nodes, on Redis's clock; while it is away each node goes by its own figures."""

from __future__ import annotations

from pathlib import Path

from chat.cluster.connection import Redis, RedisUnavailable, Script
from chat.limits import Limits, Rate

WAIT = 1.0  # s for an answer: the one who waits for it is writing
SCRIPT = Script(Path(__file__).with_name("limits.lua"))
MICRO = 1e6


class RedisLimits(Limits):
    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis

    async def take(self, rate: Rate, doer: str, patience: float = 0.0, count: int = 1) -> float:
        wait = await self._ask(rate, doer, round(patience * MICRO), count)
        return await super().take(rate, doer, patience, count) if wait is None else wait

    def take_now(self, rate: Rate, doer: str) -> bool:
        return False

    async def give_back(self, rate: Rate, doer: str, count: int = 1) -> None:
        if await self._ask(rate, doer, 0, count=-count) is None:
            await super().give_back(rate, doer, count)

    async def spent(self, rate: Rate, doer: str) -> float:
        wait = await self._ask(rate, doer, -1)  # less patient than any wait: nothing is counted
        return await super().spent(rate, doer) if wait is None else wait

    async def _ask(self, rate: Rate, doer: str, patience: int, count: int = 1) -> float | None:
        """Seconds to wait, None if Redis does not say."""
        if self._redis.away:
            return None
        key = f"{self._redis.prefix}:limit:{{{rate.name} {doer}}}"
        try:
            wait = await self._redis.run(
                SCRIPT, key, round(rate.every * MICRO), rate.burst, patience, count, wait=WAIT
            )
        except RedisUnavailable:
            return None
        return int(wait) / MICRO
