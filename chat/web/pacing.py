"""Waiting for what a connection may do: its rates, and that its page takes what it is sent."""

from __future__ import annotations

import asyncio

from chat import limits
from chat.context import Context
from chat.live.connection import Connection


async def pace(chat: Context, connection: Connection, since: float | None = None) -> bool:
    """Wait for the person's rate, not longer than a while after `since`. True if it would be: refuse then."""
    now = asyncio.get_running_loop().time()
    patience = max(0.0, limits.PATIENCE - (now - (since or now)))
    wait = await chat.limits.take(limits.MESSAGES, connection.member.person, patience)
    if 0 < wait <= patience:
        await asyncio.sleep(wait)
    return wait > patience


async def answers_sent(connection: Connection) -> None:
    """A peer that does not read is not answered any further."""
    while connection.unanswered:
        await asyncio.sleep(0.05)


def bytes_wait(chat: Context, connection: Connection, size: int, patience: float) -> float:
    """Seconds until a text may take so many bytes of disk; if they are few enough, it counts."""
    return chat.own_limits.take_both(
        (limits.BYTES, connection.member.person),
        (limits.BYTES_OF_ADDRESS, connection.address),
        patience,
        size,
    )
