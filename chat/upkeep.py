"""The background work of a node."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from chat import logs
from chat.context import Context
from chat.live.registry import PresenceRegistry
from chat.store import OutcomeUnknown, Store, Unavailable
from chat.store.clock import ClockWatch
from chat.store.expiry import Expiry
from chat.store.quota import Quota
from chat.store.word_index import index_rooms

EVERY = 60.0  # s between looks for rooms that have expired
MEASURE = 5.0  # s between looks at how much is stored, and at the clock
INDEX = 20.0  # s between looks for what is to be indexed
COUNT = 30.0  # s between counts of the nodes
PAUSE = 0.2  # s between batches, so that other writes get through


def work_of(chat: Context) -> Sequence[Coroutine[Any, Any, None]]:
    """What goes on for as long as the node runs."""
    return (
        chat.hub.repairs.run(),
        chat.hub.health.run(),
        chat.hub.heartbeats.run(),
        chat.presence.run(),
        chat.reading.run(),
        chat.drafts.run(),
        chat.drafts.offers.run(),
        chat.typing.run(),
        chat.unread_titles.run(),
        chat.unread_marks.run(),
        look_around(chat.quota, chat.clock),
        remove_expired_rooms(chat.store),
        index_words(chat.store, chat.quota),
        count_nodes(chat.store, chat.hub.registry),
    )


async def look_around(quota: Quota, clock: ClockWatch, every: float = MEASURE) -> None:
    """See how much is stored, and whether the clock jumped, for as long as this node runs."""
    while True:
        await quota.measure()
        await clock.look()
        await asyncio.sleep(every)


async def remove_expired_rooms(store: Store, every: float = EVERY) -> None:
    """Remove rooms in which nothing was said, and old drafts, for as long as this node runs."""
    expiry = Expiry(store)
    while True:
        await asyncio.sleep(every)
        removed = 0
        try:
            while rows := await expiry.remove_some():
                removed += rows
                await asyncio.sleep(PAUSE)
            while await expiry.forget_drafts():
                await asyncio.sleep(PAUSE)
        except (Unavailable, OutcomeUnknown):
            continue  # the health check of the store reports it
        finally:
            if removed:
                logs.event("unused-rooms-removed", rows=removed)


async def index_words(store: Store, quota: Quota, every: float = INDEX) -> None:
    """Bring the index of words up to date, for as long as this node runs; not when there is no space left."""
    while True:
        await asyncio.sleep(every)
        if quota.full:
            continue
        try:
            await index_rooms(store)
        except (Unavailable, OutcomeUnknown):
            continue  # the health check of the store reports it


async def count_nodes(store: Store, registry: PresenceRegistry) -> None:
    """Say so, for as long as it is so, if Redis knows fewer nodes than the database does."""
    apart = 0
    while True:
        await asyncio.sleep(COUNT)
        try:
            processes, nodes = await store.processes(), registry.nodes
        except Unavailable:
            continue
        apart = apart + 1 if 0 < nodes < processes else 0
        if apart > 1:  # not only while one of them starts or ends
            logs.log.warning(
                "nodes-apart database=%d redis=%d: is CHAT_REDIS_URL the same on each node?", processes, nodes
            )
