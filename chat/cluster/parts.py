"""What differs between one process and several: each part, as CHAT_REDIS_URL has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chat.limits import Limits
from chat.live.bus import Bus, LocalBus
from chat.live.registry import LocalRegistry, PresenceRegistry
from chat.settings import Misconfigured
from chat.store import NO_ROOM, Store, metadata

if TYPE_CHECKING:
    from chat.cluster.connection import Redis


async def redis_for(url: str, store: Store) -> Redis | None:
    """What the nodes share, if there are to be several. Raises Misconfigured."""
    if not url:
        return None
    try:
        from chat.cluster.connection import Redis
    except ModuleNotFoundError:
        raise Misconfigured(
            "CHAT_REDIS_URL needs more packages. Install them: pip install '.[cluster]'"
        ) from None
    # Nodes of another database may use the same Redis: theirs is another chat.
    redis = Redis(url, name=await store.write(NO_ROOM, metadata.identity))
    await redis.open()
    return redis


def bus_for(
    redis: Redis | None,
    hinted: Callable[[str, int], None] = lambda way, changes: None,
    interrupted: Callable[[], None] = lambda: None,
) -> Bus:
    """`hinted` counts changes by what became of them; `interrupted`, the times when hints stopped coming."""
    if redis is None:
        return LocalBus()
    from chat.cluster.bus import RedisBus

    return RedisBus(redis, hinted=hinted, interrupted=interrupted)


def registry_for(redis: Redis | None, tabs: int) -> PresenceRegistry:
    """`tabs` is how many connections a person may have."""
    if redis is None:
        return LocalRegistry()
    from chat.cluster.registry import RedisRegistry

    return RedisRegistry(redis, tabs)


def limits_for(redis: Redis | None, enabled: bool) -> Limits:
    if redis is None or not enabled:
        return Limits(enabled)
    from chat.cluster.limits import RedisLimits

    return RedisLimits(redis)
