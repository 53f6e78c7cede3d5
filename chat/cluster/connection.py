"""The Redis that the nodes share: a server or a cluster. Waits are bounded, and all failures are one
exception."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis as Server
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import NoScriptError, RedisClusterException

from chat.cluster.client import FAILURES, create_cluster, create_server, explain
from chat.cluster.publisher import Publisher
from chat.settings import Misconfigured

WAIT = 2.0  # s for one answer
OLDEST = 7  # the first major version with sharded Pub/Sub

Answer = TypeVar("Answer")

log = logging.getLogger("chat")


class RedisUnavailable(Exception):
    """Redis did not answer in time, or with an error."""


class Script:
    """A Lua script, which Redis runs atomically."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """The server or cluster that CHAT_REDIS_URL names. Nodes with the same `name` share their data in it."""

    def __init__(self, urls: str, wait: float = WAIT, name: str = "") -> None:
        self.away = False  # the last command failed
        self._wait = wait
        self._checked = False
        try:
            addresses = [parse_url(url.strip()) for url in urls.split(",") if url.strip()]
        except ValueError:  # its text may contain part of the password
            raise Misconfigured(
                "CHAT_REDIS_URL cannot be understood. Write it as redis://user:password@host:6379/0; special "
                "characters in the password as in other URLs (%40 for @, %2F for /, %23 for #)."
            ) from None
        # Two databases of one server share their channels, so the names tell them apart.
        self.prefix = f"chat:{addresses[0].get('db') or 0}{name and f':{name[:12]}'}"
        self._publisher = Publisher(self.listeners)
        self._server: Server | None = None
        self._cluster: RedisCluster | None = None
        if len(addresses) == 1:
            self._server = create_server(urls.strip(), wait)
        else:
            self._cluster = create_cluster([dict(address) for address in addresses], wait)

    async def open(self) -> None:
        """Raises Misconfigured if Redis answers but cannot be used. With no answer the node starts."""
        try:
            async with asyncio.timeout(2 * self._wait):
                await self._check()
        except (*FAILURES, Misconfigured) as error:
            if problem := explain(error):
                await self.close()
                raise Misconfigured(problem) from None
            self._failed(error)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._publisher.close()
                await self._client.aclose()
                if self._cluster is not None:  # after a failure, `aclose` leaves out what was connected since
                    await self._cluster.nodes_manager.aclose()
                    await self._cluster.nodes_manager.aclose("startup_nodes")
        except FAILURES:
            pass

    async def run(self, script: Script, key: str, *arguments: str | float, wait: float | None = None) -> Any:
        """Run a script and return its reply. It may run twice if a reply is lost. Raises RedisUnavailable."""
        return await self._ask(lambda: self._evaluate(script, key, arguments), wait)

    async def publish(self, payloads: Sequence[tuple[str, str]]) -> None:
        """Publish (channel, payload) pairs, one caller at a time. Raises RedisUnavailable."""
        await self._ask(lambda: self._publisher.publish(payloads))

    async def listeners(self, channels: Iterable[str]) -> list[tuple[Connection, list[str]]]:
        """New connections, not yet open, each with the channels that its server holds."""
        if self._server is not None:
            return [(self._server.connection_pool.make_connection(), list(channels))]  # type: ignore[no-untyped-call]
        assert self._cluster is not None
        cluster = self._cluster
        async with asyncio.timeout(self._wait):
            await cluster.initialize()
            await cluster.nodes_manager.initialize()  # slots may have moved since
        by_node: dict[ClusterNode, list[str]] = defaultdict(list)
        for channel in channels:
            node = cluster.get_node_from_key(channel)
            if node is None:
                raise RedisClusterException(f"Nobody serves the slot of {channel}.")
            by_node[node].append(channel)
        return [(node.connection_class(**node.connection_kwargs), mine) for node, mine in by_node.items()]

    @property
    def _client(self) -> Any:
        return self._server if self._server is not None else self._cluster

    async def _ask(self, command: Callable[[], Awaitable[Answer]], wait: float | None = None) -> Answer:
        try:
            async with asyncio.timeout(wait or self._wait):
                if not self._checked:
                    await self._check()
                answer = await command()
        except Exception as error:  # redis-py raises almost anything while a cluster changes
            self._failed(error)
            raise RedisUnavailable(f"Redis: {type(error).__name__}: {error}") from None
        if self.away:
            self.away = False
            log.warning("redis-back")
        return answer

    async def _evaluate(self, script: Script, key: str, arguments: tuple[str | float, ...]) -> Any:
        try:
            return await self._client.execute_command("EVALSHA", script.sha, 1, key, *arguments)
        except NoScriptError:
            return await self._client.execute_command("EVAL", script.text, 1, key, *arguments)

    def _failed(self, error: Exception) -> None:
        if not self.away:
            self.away = True
            log.warning("redis-away error=%s: %s", type(error).__name__, error)

    async def _check(self) -> None:
        for info in await self._infos():
            version = str(info.get("redis_version", "0"))
            if int(version.partition(".")[0]) < OLDEST:
                raise Misconfigured(
                    f"CHAT_REDIS_URL leads to Redis {version}: use Redis {OLDEST} or newer, or Valkey."
                )
            if self._server is not None and info.get("redis_mode") == "cluster":
                raise Misconfigured(
                    "CHAT_REDIS_URL leads to one node of a cluster: name several, separated by commas."
                )
        self._checked = True

    async def _infos(self) -> list[dict[str, Any]]:
        if self._server is not None:
            return [await self._server.info("server")]
        assert self._cluster is not None
        await self._cluster.initialize()
        nodes = list(self._cluster.get_primaries())
        return [await self._cluster.info("server", target_nodes=node) for node in nodes]
