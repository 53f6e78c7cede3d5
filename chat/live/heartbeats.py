"""Heartbeats of the connections that follow a room: a page that misses them connects again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache

from chat.live.connection import Connection
from chat.live.framing import websocket_frame
from chat.views.look import WORDS, Look, once_a_language

BEAT = 15  # s between heartbeats of a connection
SECOND = 1.0  # s between those of one share and the next


class Heartbeats:
    """Each second has its share of the connections, so that they are spread evenly."""

    def __init__(self, fragment: Callable[[Look], str], delivered: Callable[[int, int], None]) -> None:
        self._fragment = once_a_language(fragment)
        self._frame = lru_cache(WORDS)(lambda words: websocket_frame(self._fragment(words)))
        self._delivered = delivered
        self._shares: list[set[Connection]] = [set() for _ in range(BEAT)]
        self._added = 0

    def add(self, connection: Connection) -> None:
        self._added += 1
        self._shares[self._added % BEAT].add(connection)

    def remove(self, connection: Connection) -> None:
        for share in self._shares:
            share.discard(connection)

    async def run(self) -> None:
        """Send for ever; ends by cancellation."""
        turn = 0
        while True:
            await asyncio.sleep(SECOND)
            for connection in self._shares[turn % BEAT]:
                if connection.write_now(self._frame(connection.look.words)):
                    self._delivered(1, 0)
                else:
                    connection.show("beat", self._fragment(connection.look))
            turn += 1
