"""Pages that were sent a farewell and have yet to confirm it: for how long, at what cost, and how many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from chat.live import frames

CONFIRM = 5.0  # s for a page to confirm that it shows a farewell
WAITING = 10  # connections of one person: as many as may follow a room that they leave
LENGTH = 2048  # of the longest frame that is looked into: a confirmation contains the address of its page
OTHERS = 8  # other frames that may come first: a page may have sent some before it came

Take = Callable[[], Awaitable[str | bytes | None]]


class Goodbyes:
    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Timeout]] = {}  # by person, oldest first

    async def confirmed(self, person: str | None, take: Take) -> bool:
        """Whether a page says in time that it shows its farewell; what else it sends is too late.

        Nobody's page waits beside others of theirs: how many of these there are is bounded by the rate at
        which strangers open connections.
        """
        try:
            async with asyncio.timeout(CONFIRM) as patience:
                with self._counted(person, patience):
                    return await _confirmation(take)
        except TimeoutError:
            return False

    @contextmanager
    def _counted(self, person: str | None, patience: asyncio.Timeout) -> Iterator[None]:
        """A person has few that wait: for the oldest, the time is over when there is one too many."""
        if person is None:
            yield
            return
        mine = self._waiting.setdefault(person, [])
        mine.append(patience)
        for oldest in mine[:-WAITING]:
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())
        try:
            yield
        finally:
            mine.remove(patience)
            if not mine:
                del self._waiting[person]


async def _confirmation(take: Take) -> bool:
    """Take frames up to the confirmation. Longer ones are not parsed: nothing slows down who sends them."""
    for _ in range(OTHERS + 1):
        raw = await take()
        if raw is not None and len(raw) <= LENGTH and (frames.parse(raw) or {}).get("k") == "farewell":
            return True
    return False
