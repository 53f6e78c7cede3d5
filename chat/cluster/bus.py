"""The bus of several nodes: hints over Redis's sharded Pub/Sub, with the changes themselves inside.

Rooms are spread over a few channels, and each node listens to all of them: the first person of a
node in a room costs no subscription and misses nothing, and a batch of changes is a few publications however
many rooms it touches. Each names its rooms first, so a node throws away at a glance what nobody there reads.

The listening connection is ours and not redis-py's PubSub, which reconnects without a word: here a
connection lives until its first fault, and every new subscription says that something may be lost.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from redis.asyncio.connection import Connection

from chat.cluster.connection import Redis, RedisUnavailable, cancelled, end, opened
from chat.cluster.publications import dump_publications, load_publication
from chat.model.changes import Change

CHANNELS = 8
PING = 5.0  # s between signs of life on the listening connection
SILENCE = 10.0  # s without any: the connection is dead, whatever TCP says
RETRY = (0.1, 2.0)  # s before the first and the later attempts to listen again
WAITING = 4096  # changes not yet published; older ones are left to the comparison with the log
AT_ONCE = 16  # publications that wait together for Redis's answers

log = logging.getLogger("chat")


class RedisBus:
    heard: Callable[[Sequence[Change]], None]
    lost: Callable[[], None]

    def __init__(
        self,
        redis: Redis,
        ping: float = PING,
        silence: float = SILENCE,
        hinted: Callable[[str, int], None] = lambda way, changes: None,
        interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = redis
        self._hinted = hinted
        self._interrupted = interrupted
        self._ping = ping
        self._silence = silence
        self._node = secrets.token_hex(4)
        self._channels = [f"{redis.prefix}:hints:{n}" for n in range(CHANNELS)]
        self._watched: set[str] = set()
        self._waiting: deque[Change] = deque(maxlen=WAITING)
        self._stir = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0

    async def open(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._publish())]

    async def close(self) -> None:
        await end(*self._tasks)

    def watch(self, code: str) -> None:
        self._watched.add(code)

    def unwatch(self, code: str) -> None:
        self._watched.discard(code)

    def announce(self, changes: Sequence[Change]) -> None:
        if (surplus := len(self._waiting) + len(changes) - WAITING) > 0:
            self._hinted("dropped", surplus)
        self._waiting.extend(changes)
        self._stir.set()
        self._tell(changes)  # people on this node need not wait for Redis

    def _tell(self, changes: Sequence[Change]) -> None:
        if ours := [change for change in changes if change.code in self._watched]:
            self.heard(ours)

    # Publishing ---------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        """Publish what waits, again and again; what comes meanwhile goes together next time."""
        while True:
            await self._stir.wait()
            self._stir.clear()
            changes, self._waiting = self._waiting, deque(maxlen=WAITING)
            try:
                await self._publish_all(changes)
                self._hinted("published", len(changes))
            except RedisUnavailable:
                self._hinted("dropped", len(changes))  # late it is worth nothing: the others read the log
            except Exception:
                log.exception("hints-not-published")

    async def _publish_all(self, changes: Sequence[Change]) -> None:
        by_channel: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_channel[self._channel(change.code)].append(change)
        payloads = (
            (channel, payload)
            for channel, some in by_channel.items()
            for payload in dump_publications(self._node, some)
        )
        while portion := list(islice(payloads, AT_ONCE)):
            await self._redis.publish(portion)

    def _channel(self, code: str) -> str:
        return self._channels[zlib.crc32(code.encode()) % CHANNELS]

    # Listening ----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Listen to every channel for ever, each time again after a fault."""
        while True:
            try:
                await self._listen_once()
            except* Exception as faults:  # whatever it was, the others must be heard again
                fault = _first(faults)
                if not self._failures:  # once, until it is fixed
                    self._interrupted()
                    log.warning("hints-interrupted part=redis error=%s: %s", type(fault).__name__, fault)
            first, later = RETRY
            pause = min(later, first * 2**self._failures)
            self._failures += 1
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))

    async def _listen_once(self) -> None:
        async with asyncio.TaskGroup() as group:
            for connection, channels in await self._redis.listeners(self._channels):
                group.create_task(self._listen_on(connection, channels))

    async def _listen_on(self, connection: Connection, channels: Sequence[str]) -> None:
        try:
            await opened(connection)
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
                    self._take(await connection.read_response())
                    deadline.reschedule(now() + self._silence)
        except TimeoutError as error:
            raise TimeoutError(f"Redis said nothing for {self._silence:g} s.") from error

    def _take(self, said: Any) -> None:
        kind, *rest = said if isinstance(said, list) else [said]
        if kind == b"smessage":
            self._heed(rest[1])
        elif kind == b"ssubscribe":
            self._failures = 0
            self.lost()
        elif kind == b"sunsubscribe":
            raise ConnectionError("The channel moved to another server of the cluster.")

    def _heed(self, payload: bytes) -> None:
        try:
            changes = load_publication(payload, self._node, self._watched)
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("hint-ignored bytes=%d", len(payload))
        else:
            self._hinted("received", len(changes))
            self._tell(changes)


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    first = faults.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
