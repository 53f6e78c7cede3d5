"""How long the list of messages on a live page may get: it would grow for as long as the page is open."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

KEPT = 300  # messages that stay; a browser appends to longer lists several times slower
EVERY = 100  # messages from one time to the next
LOADED = 1000  # messages until those go too that somebody has loaded


class Trim(NamedTuple):
    """With message `at` go those before `first`; also those that somebody has loaded, if `loaded`."""

    at: int
    first: int
    loaded: bool


class Trims:
    """Counts the messages of a room: their ids have gaps where something else has happened.

    What came before nobody was here is not counted, so a page that comes back is trimmed a little later.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ids: deque[int] = deque(maxlen=KEPT // EVERY + 1)  # of every hundredth
        self._last: Trim | None = None

    def note(self, id: int) -> None:
        """A message has come."""
        self._count += 1
        if self._count % EVERY == 0:
            self._ids.append(id)
            if len(self._ids) == self._ids.maxlen:
                self._last = Trim(id, self._ids[0], self._count % LOADED == 0)

    def within(self, since: int, rev: int) -> Trim | None:
        """What is due on a page that had everything up to `since`, once it has everything up to `rev`."""
        return self._last if self._last and since < self._last.at <= rev else None
