"""Two real nodes over a PostgreSQL and a Redis of their own; each can be killed, stopped or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from deployments import SECRET
from faults import Proxy
from postgres import Postgres
from redis_server import RedisServer
from serving import Server


class Place:
    """Whatever waits for a process does so in a thread: the people and the proxies go on meanwhile."""

    def __init__(
        self, postgres: Postgres, redis: RedisServer, database: str, settings: dict[str, str]
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        self.database = database
        self.nodes: list[Server] = []
        self.to_redis: list[Proxy] = []
        self.to_postgres: list[Proxy] = []
        self._settings = settings

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def node(self, n: int, port: int | None = None) -> Server:
        redis, database = self.redis.url, self.database
        if self.to_redis:
            redis, database = self.to_redis[n].through(redis), self.to_postgres[n].through(database)
        common = {"CHAT_REDIS_URL": redis, "CHAT_DATABASE_URL": database, "CHAT_SECRET_KEY": SECRET}
        return Server(env=common | self._settings, port=port)

    def end(self) -> None:
        for node in self.nodes:
            node.kill()

    async def start_node(self, n: int) -> None:
        """In the place of one that has ended."""
        again = self.node(n, self.nodes[n].port)
        await asyncio.to_thread(again.__enter__)
        self.nodes[n] = again

    async def kill_node(self, n: int) -> None:
        await asyncio.to_thread(self.nodes[n].kill)


@asynccontextmanager
async def deployed(
    folder: Path, postgres: Postgres, *, proxies: bool = False, **settings: str
) -> AsyncIterator[Place]:
    """`proxies` stand between each node and each of its servers."""
    async with AsyncExitStack() as stack:
        (folder / "redis").mkdir()
        redis = stack.enter_context(RedisServer(folder / "redis"))
        place = Place(postgres, redis, postgres.database(), settings)
        for n in range(2):
            if proxies:
                place.to_redis.append(await stack.enter_async_context(Proxy(redis.port)))
                place.to_postgres.append(await stack.enter_async_context(Proxy(postgres.port)))
            place.nodes.append(place.node(n))
        stack.callback(place.end)
        await asyncio.gather(*(asyncio.to_thread(node.__enter__) for node in place.nodes))
        yield place
