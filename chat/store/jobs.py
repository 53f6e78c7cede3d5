"""A write on its way to a store, and how those who wait for it and those who follow the log are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.rooms import Done

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """Made and resolved in the event loop."""

    future: asyncio.Future[Any]
    result: Any = field(init=False, default=None)
    error: Exception | None = field(init=False, default=None)

    def succeed(self, result: Any) -> None:
        self.result, self.error = result, None

    def fail(self, error: Exception) -> None:
        self.result, self.error = None, error

    def resolve(self) -> None:
        if self.future.done():  # its caller was cancelled
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def tell(committed: Callable[[Sequence[Done]], None], jobs: Sequence[Job]) -> None:
    """Pass on what changed, in commit order, and then let the writers continue."""
    changes = [j.result for j in jobs if isinstance(j.result, Done) and not j.result.duplicate]
    try:
        if changes:
            committed(changes)
    except Exception:
        log.exception("%d stored changes could not be passed on", len(changes))
    for job in jobs:
        job.resolve()
