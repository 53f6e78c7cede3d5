"""Cancelling tasks that use redis-py."""

from __future__ import annotations

import asyncio
from typing import Any


def cancelled() -> bool:
    """Whether the current task was cancelled. On Python 3.11 asyncio.wait_for, which redis-py sends with,
    swallows the cancellation if it finishes at the same moment, so a loop that sends has to check."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, again if a cancellation was swallowed."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
