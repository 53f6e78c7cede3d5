"""How many bytes may wait for slow readers, over the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chat.views.kept import byte_length

SENDING = 64 * 1024 * 1024


class OverBudget(Exception):
    """Too much waits already: the reader is to come back later."""


class Budget:
    """Counts what was handed to sockets that have yet to take it."""

    def __init__(self, most: int = SENDING) -> None:
        self.most = most
        self.in_flight = 0

    @property
    def full(self) -> bool:
        return self.in_flight >= self.most

    @contextmanager
    def held(self, text: str) -> Iterator[None]:
        """Count a text while it is sent. Raises OverBudget."""
        size = cost(text)
        if self.in_flight + size > self.most:
            raise OverBudget
        self.in_flight += size
        try:
            yield
        finally:
            self.in_flight -= size


def cost(text: str) -> int:
    """Bytes that a text takes on its way: as Python holds it, encoded, and in the socket's buffer."""
    return text.__sizeof__() + 2 * byte_length(text)
