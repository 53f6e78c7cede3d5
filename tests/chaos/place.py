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

    def __init__(self, postgres: Postgres, redis: RedisServer | None, settings: dict[str, str]) -> None:
        self.postgres = postgres
        self.database = settings["CHAT_DATABASE_URL"]
        self.nodes: list[Server] = []
        self.to_redis: list[Proxy] = []
        self.to_postgres: list[Proxy] = []
        self._redis = redis
        self._settings = settings

    @property
    def redis(self) -> RedisServer:
        assert self._redis, "these nodes were given another"
        return self._redis

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def node(self, n: int, port: int | None = None) -> Server:
        env = dict(self._settings)
        for name, proxies in (("CHAT_REDIS_URL", self.to_redis), ("CHAT_DATABASE_URL", self.to_postgres)):
            if proxies:
                env[name] = proxies[n].through(env[name])
        return Server(env=env, port=port)

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
    """`proxies` stand between each node and each of its servers; `settings` may name other servers."""
    async with AsyncExitStack() as stack:
        redis = None
        settings.setdefault("CHAT_SECRET_KEY", SECRET)
        if "CHAT_DATABASE_URL" not in settings:
            settings["CHAT_DATABASE_URL"] = postgres.database()
        if "CHAT_REDIS_URL" not in settings:
            (folder / "redis").mkdir()
            redis = stack.enter_context(RedisServer(folder / "redis"))
            settings["CHAT_REDIS_URL"] = redis.url
        place = Place(postgres, redis, settings)
        for n in range(2):
            if proxies:
                assert redis
                place.to_redis.append(await stack.enter_async_context(Proxy(redis.port)))
                place.to_postgres.append(await stack.enter_async_context(Proxy(postgres.port)))
            place.nodes.append(place.node(n))
        stack.callback(place.end)
        await asyncio.gather(*(asyncio.to_thread(node.__enter__) for node in place.nodes))
        yield place
