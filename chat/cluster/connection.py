"""Redis as the nodes share it: one server or a cluster, every wait bounded, every failure one exception."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, RedisCluster
from redis.asyncio import Redis as Server
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisClusterException, RedisError

from chat.settings import Misconfigured

WAIT = 2.0  # s for one answer
CONNECTIONS = 32  # to one server
OLDEST = 7  # the first major version with sharded Pub/Sub

FAILURES: Final = (RedisError, RedisClusterException, OSError, TimeoutError)
Answer = TypeVar("Answer")

log = logging.getLogger("chat")


class RedisUnavailable(Exception):
    """Redis cannot be asked now."""


def cancelled() -> bool:
    """Whether the present task was told to end. On Python 3.11 asyncio.wait_for, which redis-py sends by,
    swallows that if what it waits for is done at the same moment: whoever sends has to look."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def opened(connection: Connection) -> None:
    """Open it, within bounds. From then on whoever uses it has to bound the waits: when redis-py does, each
    costs a task, on Python 3.11, which is more than all the rest."""
    await connection.connect()  # type: ignore[no-untyped-call]
    connection.socket_timeout = None


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, again if they missed it."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


class Script:
    """A step that Redis takes as one, in Lua."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """The server or cluster that CHAT_REDIS_URL names; nodes that give it the same `name` share it."""

    def __init__(self, urls: str, wait: float = WAIT, name: str = "") -> None:
        self.away = False  # the last question had no answer
        self._wait = wait
        self._checked = False
        try:
            addresses = [parse_url(url.strip()) for url in urls.split(",") if url.strip()]
        except ValueError:  # its text may hold a part of the password
            raise Misconfigured(
                "CHAT_REDIS_URL cannot be understood. Write it as redis://user:password@host:6379/0; special "
                "characters in the password as in other URLs (%40 for @, %2F for /, %23 for #)."
            ) from None
        # Two databases of one server share their channels, so the names tell them apart.
        self.prefix = f"chat:{addresses[0].get('db') or 0}{name and f':{name[:12]}'}"
        self._voices: dict[str, Connection] = {}  # over which a channel is told
        self._server: Server | None = None
        self._cluster: RedisCluster | None = None
        if len(addresses) == 1:
            self._server = _server(urls.strip(), wait)
        else:
            self._cluster = _cluster([dict(address) for address in addresses], wait)

    async def open(self) -> None:
        """Raises Misconfigured if Redis answers and will not do. Without an answer, work starts without."""
        try:
            async with asyncio.timeout(2 * self._wait):
                await self._check()
        except (*FAILURES, Misconfigured) as error:
            if problem := _to_mend(error):
                await self.close()
                raise Misconfigured(problem) from None
            self._failed(error)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._hush()
                await self._client.aclose()
        except FAILURES:
            pass

    async def run(self, script: Script, key: str, *arguments: str | float, wait: float | None = None) -> Any:
        """What a script answers. It may run twice if a reply is lost. Raises Away."""
        return await self._ask(lambda: self._evaluate(script, key, arguments), wait)

    async def publish(self, payloads: Sequence[tuple[str, str]]) -> None:
        """Tell channels something, all in one go. One caller at a time. Raises Away."""
        await self._ask(lambda: self._say(payloads))

    async def listeners(self, channels: Iterable[str]) -> list[tuple[Connection, list[str]]]:
        """Connections of their own, not yet open, with the channels that each has to listen to."""
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

    # --------------------------------------------------------------------------------------------------

    @property
    def _client(self) -> Any:
        return self._server if self._server is not None else self._cluster

    async def _ask(self, question: Callable[[], Awaitable[Answer]], wait: float | None = None) -> Answer:
        try:
            async with asyncio.timeout(wait or self._wait):
                if not self._checked:
                    await self._check()
                answer = await question()
        except Exception as error:  # redis-py fails in any way while a cluster changes
            self._failed(error)
            raise RedisUnavailable(f"Redis: {type(error).__name__}: {error}") from None
        if self.away:
            self.away = False
            log.warning("redis-back")
        return answer

    async def _say(self, payloads: Sequence[tuple[str, str]]) -> None:
        if self._voices:
            try:
                await self._say_once(payloads)
                return
            except FAILURES:  # it may have died long ago
                pass
        await self._say_once(payloads)

    async def _say_once(self, payloads: Sequence[tuple[str, str]]) -> None:
        try:
            if not all(channel in self._voices for channel, _ in payloads):
                await self._find_voices({channel for channel, _ in payloads} | set(self._voices))
            said: dict[Connection, list[tuple[str, str, str]]] = defaultdict(list)
            for channel, payload in payloads:
                said[self._voices[channel]].append(("SPUBLISH", channel, payload))
            for voice, commands in said.items():
                packed = voice.pack_commands(commands)
                await voice.send_packed_command(packed, check_health=False)
            for voice, commands in said.items():
                for _ in commands:
                    await voice.read_response(disable_decoding=True)
        except BaseException:  # answers that nobody waited for would be taken for those of others
            await self._hush()
            raise

    async def _find_voices(self, channels: Iterable[str]) -> None:
        await self._hush()
        for connection, mine in await self.listeners(channels):
            self._voices |= dict.fromkeys(mine, connection)
            await opened(connection)

    async def _hush(self) -> None:
        voices, self._voices = set(self._voices.values()), {}
        for voice in voices:
            await voice.disconnect(nowait=True)

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


def _bounds(wait: float) -> dict[str, Any]:
    # A connection that died in the pool is worth a second attempt; our commands may be repeated.
    return {
        "socket_timeout": wait,
        "socket_connect_timeout": wait,
        "retry": Retry(NoBackoff(), 1),
        "protocol": 2,
    }


def _server(url: str, wait: float) -> Server:
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=wait, **_bounds(wait))
    return Server.from_pool(pool)


def _cluster(addresses: list[dict[str, Any]], wait: float) -> RedisCluster:
    options = {
        key: value for key, value in addresses[0].items() if key in {"username", "password"} or "ssl" in key
    }
    secure = "SSL" in getattr(addresses[0].get("connection_class"), "__name__", "")
    nodes = [ClusterNode(one.get("host", "localhost"), one.get("port", 6379)) for one in addresses]
    return RedisCluster(
        startup_nodes=nodes, max_connections=8 * CONNECTIONS, ssl=secure, **options, **_bounds(wait)
    )


def _to_mend(error: Exception) -> str:
    """What the operator has to do about it, if waiting would not help."""
    if isinstance(error, Misconfigured):
        return str(error)
    if isinstance(error, AuthenticationError):
        return f"CHAT_REDIS_URL: Redis refuses the name or the password ({error})."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"CHAT_REDIS_URL: the certificate of Redis is not trusted ({error}). "
            "Name the one that vouches for it: rediss://HOST:PORT/0?ssl_ca_certs=/PATH/TO/CA.pem"
        )
    if "luster mode is not enabled" in str(error) or "cluster support disabled" in str(error):
        return "CHAT_REDIS_URL names several servers that are no cluster: name one of them."
    return ""
