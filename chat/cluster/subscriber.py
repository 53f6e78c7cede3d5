"""Stays subscribed to the channels of the bus.

It reads from the connection itself instead of using redis-py's PubSub, which reconnects silently. Here a
connection is used until its first fault, and each new subscription reports that hints may have been lost.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.connection import Connection

from chat.cluster.client import open_connection
from chat.cluster.connection import Redis
from chat.cluster.tasks import cancelled

PING = 5.0  # s between pings on the subscribed connection
SILENCE = 10.0  # s without any reply: the connection is dead, whatever TCP says
RETRY = (0.1, 2.0)  # s before the first and the later attempts to subscribe again

log = logging.getLogger("chat")


class Subscriber:
    def __init__(
        self,
        redis: Redis,
        channels: Sequence[str],
        receive: Callable[[bytes], None],
        on_gap: Callable[[], None],
        interrupted: Callable[[], None],
        ping: float = PING,
        silence: float = SILENCE,
    ) -> None:
        self._redis = redis
        self._channels = channels
        self._receive = receive
        self._on_gap = on_gap
        self._interrupted = interrupted
        self._ping = ping
        self._silence = silence
        self._failures = 0

    async def run(self) -> None:
        """Stay subscribed to every channel, for ever, and again after each fault."""
        while True:
            try:
                await self._subscribe_all()
            except* Exception as faults:  # of any kind: a node that stops listening gets no hints
                fault = _first(faults)
                if not self._failures:  # once, until it is fixed
                    self._interrupted()
                    log.warning("hints-interrupted part=redis error=%s: %s", type(fault).__name__, fault)
            first, later = RETRY
            pause = min(later, first * 2 ** min(self._failures, 10))
            self._failures += 1
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))

    async def _subscribe_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for connection, channels in await self._redis.listeners(self._channels):
                group.create_task(self._subscribe(connection, channels))

    async def _subscribe(self, connection: Connection, channels: Sequence[str]) -> None:
        try:
            await open_connection(connection)
            for channel in channels:  # one by one: those of a cluster may be in different slots
                await connection.send_command("SSUBSCRIBE", channel)
            if cancelled():
                return
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ping_on(connection))
                group.create_task(self._read_from(connection))
        finally:
            await connection.disconnect(nowait=True)

    async def _ping_on(self, connection: Connection) -> None:
        while not cancelled():
            await asyncio.sleep(self._ping)
            await connection.send_command("PING")

    async def _read_from(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._silence) as deadline:
                while True:
                    self._handle(await connection.read_response())
                    deadline.reschedule(now() + self._silence)
        except TimeoutError as error:
            raise TimeoutError(f"Redis said nothing for {self._silence:g} s.") from error

    def _handle(self, response: Any) -> None:
        kind, *rest = response if isinstance(response, list) else [response]
        if kind == b"smessage":
            self._receive(rest[1])
        elif kind == b"ssubscribe":
            self._failures = 0
            self._on_gap()
        elif kind == b"sunsubscribe":
            raise ConnectionError("The channel moved to another server of the cluster.")


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    first = faults.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
