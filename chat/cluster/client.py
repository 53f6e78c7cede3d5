"""Clients of redis-py for one server or a cluster, with every wait bounded, and which of their errors only
the operator can fix."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, RedisCluster
from redis.asyncio import Redis as Server
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from chat.settings import Misconfigured

CONNECTIONS = 32  # to one server

FAILURES: Final = (RedisError, RedisClusterException, OSError, TimeoutError)


async def open_connection(connection: Connection) -> None:
    """Connect within bounds. Afterwards the caller has to bound each wait: on Python 3.11 redis-py starts a
    task for every bounded read, which costs more than the rest of the read."""
    await connection.connect()  # type: ignore[no-untyped-call]
    connection.socket_timeout = None


def _bounds(wait: float) -> dict[str, Any]:
    # One retry, since a pooled connection may be dead. All our commands are safe to repeat.
    return {
        "socket_timeout": wait,
        "socket_connect_timeout": wait,
        "retry": Retry(NoBackoff(), 1),
        "protocol": 2,
    }


def create_server(url: str, wait: float) -> Server:
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=wait, **_bounds(wait))
    return Server.from_pool(pool)


def create_cluster(addresses: list[dict[str, Any]], wait: float) -> RedisCluster:
    options = {
        key: value for key, value in addresses[0].items() if key in {"username", "password"} or "ssl" in key
    }
    secure = "SSL" in getattr(addresses[0].get("connection_class"), "__name__", "")
    nodes = [ClusterNode(one.get("host", "localhost"), one.get("port", 6379)) for one in addresses]
    return RedisCluster(
        startup_nodes=nodes, max_connections=8 * CONNECTIONS, ssl=secure, **options, **_bounds(wait)
    )


def explain(error: Exception) -> str:
    """What the operator has to change. Empty if the error may go away by itself."""
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
