"""A write on its way to a store, and how those who wait for it and those who follow the log are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from chat.model.changes import Change
from chat.store import OutcomeUnknown, Unavailable

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, weakref_slot=True)
class PendingWrite:
    """Made and resolved in the event loop."""

    future: asyncio.Future[Any]
    result: Any = field(init=False, default=None)
    error: Exception | None = field(init=False, default=None)
    after: PendingWrite | None = field(init=False, default=None)

    def succeed(self, result: Any) -> None:
        self.result, self.error = result, None

    def fail(self, error: Exception) -> None:
        self.result, self.error = None, error

    @property
    def must_fail(self) -> bool:
        """Whether it must not be done because the one before it could not be."""
        return self.after is not None and isinstance(self.after.error, Unavailable | OutcomeUnknown)

    def resolve(self) -> None:
        self.after = None
        if self.future.done():  # its caller was cancelled
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class AuthorOrder:
    """Keeps the texts of each author in their order: all that are on their way stand or fall with the first.

    Whoever is told of a failure says all of them again; one that was stored meanwhile would come before.
    """

    def __init__(self) -> None:
        self._last: WeakValueDictionary[tuple[str, int], PendingWrite] = WeakValueDictionary()

    def append(self, author: tuple[str, int], job: PendingWrite) -> None:
        """`author` is a room and a seat."""
        last = self._last.get(author)
        if last is not None and not last.future.done():
            job.after = last
        self._last[author] = job


def notify(
    on_commit: Callable[[Sequence[Change]], None],
    on_unknown: Callable[[], object],
    jobs: Sequence[PendingWrite],
) -> None:
    """Pass on what changed, in commit order, and then let the writers continue."""
    changes = [j.result for j in jobs if isinstance(j.result, Change) and not j.result.duplicate]
    try:
        if changes:
            on_commit(changes)
    except Exception:
        log.exception("%d stored changes could not be passed on", len(changes))
    for job in jobs:
        if isinstance(job.error, OutcomeUnknown):
            on_unknown()
        job.resolve()
