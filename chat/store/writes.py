"""A write on its way to a store, and how those who wait for it and those who follow the log hear of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from chat.model.changes import Change
from chat.store import OutcomeUnknown, Unavailable

BATCH = 256  # writes that share one commit
QUEUE = 5000  # writes that may wait
KEY_AGE = 72 * 3600 * 1000  # ms; the promise is 48 hours
PRUNE_EVERY = 60 * 1000  # ms
PRUNE_PORTION = 500  # keys; more than a batch can add

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class PendingWrite(Generic[T]):
    """A write that is awaited, or says itself when it is done. Made and resolved in the event loop.

    In place of a future, whose callbacks would have to wait for the next turn of the loop.
    """

    result: T = field(init=False)
    changes: Sequence[Change] = field(init=False, default=())
    error: Exception | None = field(init=False, default=None)
    after: PendingWrite[Any] | None = field(init=False, default=None)
    is_settled: bool = field(init=False, default=False)  # or nobody waits for it any more
    order: AuthorOrder | None = field(init=False, default=None)
    author: tuple[str, int] = field(init=False, default=("", 0))
    _callback: Callable[[PendingWrite[T]], object] | None = field(init=False, default=None)
    _waiter: asyncio.Future[None] | None = field(init=False, default=None)

    def succeed(self, result: T, changes: Sequence[Change] = ()) -> None:
        """`changes` are what `on_commit` is called with."""
        self.result, self.changes, self.error = result, changes, None

    def fail(self, error: Exception) -> None:
        self.changes, self.error = (), error

    @property
    def must_fail(self) -> bool:
        """Whether it must not be done because the one before it could not be."""
        return self.after is not None and isinstance(self.after.error, (Unavailable, OutcomeUnknown))

    def resolve(self) -> None:
        self.after = None
        if self.is_settled:
            return
        self._settle()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._callback is not None:
            self._callback(self)

    def cancel(self) -> None:
        """Nobody waits for it any more: it need not be done if it has not begun.

        It still fails with the one before it: the sender may repeat both.
        """
        if not self.is_settled:
            self._settle()

    def _settle(self) -> None:
        self.is_settled = True
        if self.order is not None:
            self.order.settle(self)

    def done(self) -> bool:
        return self.is_settled

    def exception(self) -> Exception | None:
        return self.error

    def add_done_callback(self, callback: Callable[[PendingWrite[T]], object]) -> None:
        """For one caller."""
        self._callback = callback

    def __await__(self) -> Generator[Any, None, T]:
        if not self.is_settled:
            self._waiter = self._waiter or asyncio.get_running_loop().create_future()
            try:
                yield from self._waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self.error is not None:
            raise self.error
        return self.result


class AuthorOrder:
    """Keeps the texts of each author in their order: if one cannot be stored, those behind it fail too.

    The sender repeats all of them; one that was stored meanwhile would come before. They are told in order,
    so a failure counts until nothing of the author is open, be it for those that come after.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], PendingWrite[Any]] = {}
        self._open: dict[tuple[str, int], int] = {}  # those that are not settled

    def append(self, author: tuple[str, int], job: PendingWrite[Any]) -> None:
        """`author` is a room and a seat."""
        job.order, job.author = self, author
        job.after = self._last.get(author)
        self._last[author] = job
        self._open[author] = self._open.get(author, 0) + 1

    def settle(self, job: PendingWrite[Any]) -> None:
        if self._open[job.author] > 1:
            self._open[job.author] -= 1
        else:
            del self._last[job.author], self._open[job.author]


def ignore(*_: object) -> None:
    """In place of somebody who listens."""


@dataclass(slots=True)
class Listeners:
    """Those of a store: its `listen` is the one here."""

    on_commit: Callable[[Sequence[Change]], None] = ignore
    on_gap: Callable[[], None] = ignore
    on_unknown: Callable[[], object] = ignore

    def listen(
        self,
        on_commit: Callable[[Sequence[Change]], None],
        on_gap: Callable[[], None] = ignore,
        on_unknown: Callable[[], object] = ignore,
    ) -> None:
        self.on_commit, self.on_gap, self.on_unknown = on_commit, on_gap, on_unknown

    def notify(self, jobs: Sequence[PendingWrite[Any]]) -> None:
        """Pass on what changed, in commit order, and then let the writers continue."""
        changes = [change for job in jobs for change in job.changes]
        try:
            if changes:
                self.on_commit(changes)
        except Exception:
            log.exception("%d stored changes could not be passed on", len(changes))
        for job in jobs:
            try:
                if isinstance(job.error, OutcomeUnknown):
                    self.on_unknown()
                job.resolve()
            except Exception:
                log.exception("A write could not be answered")
