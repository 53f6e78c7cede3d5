"""Heartbeats of the connections that follow a room: a page that misses them connects again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat.live.connection import Connection
from chat.live.feed import websocket_frame

BEAT = 15  # s between heartbeats of a connection


class Heartbeats:
    """Each second has its share of the connections, so that they are spread evenly."""

    def __init__(self, fragment: str, delivered: Callable[[int, int], None]) -> None:
        self._fragment = fragment
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
        turn, frame = 0, websocket_frame(self._fragment)
        while True:
            await asyncio.sleep(1)
            for connection in self._shares[turn % BEAT]:
                if connection.write_now(frame):
                    self._delivered(1, 0)
                else:
                    connection.show("beat", self._fragment)
            turn += 1
