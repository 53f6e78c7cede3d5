"""The writes that wait for PostgreSQL, in the order of arrival, and none of them for too long."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chat.store import NO_ROOM, OutcomeUnknown, Unavailable
from chat.store.postgres.transaction import Question
from chat.store.writes import BATCH, QUEUE, PendingWrite

PATIENCE = 5.0  # s that a write waits for its turn

log = logging.getLogger(__name__)


class Text(NamedTuple):
    """A message to be appended."""

    author: int
    key: str
    body: str


@dataclass(slots=True, eq=False)
class Write(PendingWrite[Any]):
    """A job of the writer's task: in the room `code`, if in any."""

    code: str | None
    work: Text | Question[Any]
    deadline: float = field(default_factory=lambda: asyncio.get_running_loop().time() + PATIENCE)
    may_be_stored: bool = field(init=False, default=False)  # it was sent, and nobody knows what became of it

    @property
    def appends(self) -> bool:
        return isinstance(self.work, Text)

    @property
    def is_apart(self) -> bool:
        return self.code == NO_ROOM

    def give_up(self, why: str) -> None:
        self.fail(OutcomeUnknown(why) if self.may_be_stored else Unavailable(why))


class Queue:
    """`notify` is called with those that will not be written."""

    def __init__(self, notify: Callable[[Sequence[PendingWrite[Any]]], object]) -> None:
        self._notify = notify
        self._waiting: deque[Write] = deque()
        self._expiry: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, write: Write) -> None:
        """Raises Unavailable."""
        if len(self._waiting) >= QUEUE:
            write.cancel()
            raise Unavailable(f"{QUEUE} writes are waiting for PostgreSQL already.")
        self._waiting.append(write)
        self._watch()

    def take(self) -> list[Write]:
        """What is written next, without what nobody waits for any more: its sender will repeat it later.

        What is about no room is written by itself: it locks rows of several rooms without the locks of these,
        and must hold none that others of its batch would wait for.
        """
        batch: list[Write] = []
        while self._waiting and len(batch) < BATCH and not (batch and batch[-1].is_apart):
            if batch and self._waiting[0].is_apart:
                break
            write = self._waiting.popleft()
            if not write.is_settled:
                batch.append(write)
        return self.fail_followers(batch)

    def put_back(self, writes: Sequence[Write]) -> None:
        self._waiting.extendleft(reversed(writes))
        self._expire()

    def fail_followers(self, writes: Iterable[Write]) -> list[Write]:
        """The rest, after texts failed that had to follow one that could not be stored."""
        rest: list[Write] = []
        followers: list[Write] = []
        for write in writes:
            (followers if write.must_fail else rest).append(write)
            if write.must_fail:
                write.give_up("The text before it could not be stored.")
        self._notify(followers)
        return rest

    def _watch(self) -> None:
        """Expire the first one in time, whatever the writer waits for itself."""
        if self._waiting and self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(self._waiting[0].deadline, self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        late: list[Write] = []
        while self._waiting and self._waiting[0].deadline <= now:
            late.append(self._waiting.popleft())
        for write in late:
            write.give_up("PostgreSQL did not take the write in time.")
        if late:
            log.warning("PostgreSQL did not take %d writes in time", len(late))
            self._notify(late)
            waiting, self._waiting = self._waiting, deque()  # a callback of a failure may write again
            self._waiting.extendleft(reversed(self.fail_followers(waiting)))
        self.stop_watching()
        self._watch()

    def stop_watching(self) -> None:
        if self._expiry:
            self._expiry.cancel()
            self._expiry = None
