"""Limits that hold over all nodes, on Redis's clock; while it is away each node goes by its own figures."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from chat.cluster.connection import Redis, RedisUnavailable, Script
from chat.limits import Limits, Rate

WAIT = 1.0  # s for an answer: the one who waits for it is writing
SCRIPT = Script(Path(__file__).with_name("limits.lua"))
MICRO = 1e6
AHEAD = 5  # that are taken at once for somebody who does much; at most half of what may be done at once
LASTS = 2.0  # s; what was taken ahead and not used by then is lost to them
MUCH = 1.0  # s between two, or less
SWEEP = 10_000  # of whom something is remembered


@dataclass(slots=True)
class Stock:
    """What was taken ahead for somebody."""

    left: int = 0
    until: float = 0.0
    asked: float = float("-inf")  # when they did something last
    filling: asyncio.Task[None] | None = None


class RedisLimits(Limits):
    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self._redis = redis
        self._stocks: dict[tuple[str, str], Stock] = {}

    async def take(self, rate: Rate, subject: str, patience: float = 0.0, count: int = 1) -> float:
        wait = await self._ask(rate, subject, round(patience * MICRO), count)
        return await super().take(rate, subject, patience, count) if wait is None else wait

    def take_now(self, rate: Rate, subject: str) -> bool:
        """From what was taken ahead: one question to Redis for several, and nobody waits for it."""
        now = time.monotonic()
        if len(self._stocks) > SWEEP:
            self._stocks = {who: stock for who, stock in self._stocks.items() if stock.asked + LASTS > now}
        stock = self._stocks.setdefault((rate.name, subject), Stock())
        does_much, stock.asked = stock.asked + MUCH > now, now
        if stock.until < now:
            stock.left = 0
        if does_much and stock.left <= 1 and stock.filling is None:
            stock.filling = asyncio.create_task(self._fill(stock, rate, subject))
        if not stock.left:
            return False
        stock.left -= 1
        return True

    async def _fill(self, stock: Stock, rate: Rate, subject: str) -> None:
        count = max(1, min(AHEAD, rate.burst // 2))
        try:
            if await self._ask(rate, subject, 0, count) == 0:
                stock.left, stock.until = stock.left + count, time.monotonic() + LASTS
            else:
                stock.asked = float("-inf")  # those are asked for one by one for a while
        finally:
            stock.filling = None

    async def give_back(self, rate: Rate, subject: str, count: int = 1) -> None:
        if await self._ask(rate, subject, 0, count=-count) is None:
            await super().give_back(rate, subject, count)

    async def peek(self, rate: Rate, subject: str) -> float:
        wait = await self._ask(rate, subject, -1)  # less patient than any wait: nothing is counted
        return await super().peek(rate, subject) if wait is None else wait

    async def _ask(self, rate: Rate, subject: str, patience: int, count: int = 1) -> float | None:
        """Seconds to wait, None if Redis does not say."""
        if self._redis.away:
            return None
        key = f"{self._redis.prefix}:limit:{{{rate.name} {subject}}}"
        try:
            wait = await self._redis.run(
                SCRIPT, key, round(rate.every * MICRO), rate.burst, patience, count, wait=WAIT
            )
        except RedisUnavailable:
            return None
        return int(wait) / MICRO
