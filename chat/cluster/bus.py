"""The bus of several nodes: hints over Redis's sharded Pub/Sub, which contain the changes.

Rooms are spread over a few channels, and each node subscribes to all of them. So the first person of a node
in a room needs no subscription and misses nothing, and a batch of changes is a few publications however many
rooms it touches. Each publication lists its rooms first, so that a node can skip those nobody reads there
without parsing the changes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import TypeVar

from chat.cluster.connection import Redis, RedisUnavailable
from chat.cluster.publications import dump_publications, load_changes, split_publication
from chat.cluster.signs import FORMAT as SIGNS_FORMAT
from chat.cluster.signs import SIGNS, dump_signs, load_signs
from chat.cluster.subscriber import PING, SILENCE, Subscriber
from chat.cluster.tasks import end
from chat.live.bus import NO_OTHERS, Others, Receive, ReceiveSign
from chat.model.changes import Change
from chat.model.signs import Sign

CHANNELS = 8
WAITING = 4096  # changes not yet published; older ones are found by comparing with the log
AT_ONCE = 16  # publications sent before reading Redis's replies

T = TypeVar("T", Change, Sign)

log = logging.getLogger("chat")


class RedisBus:
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
        self._ping, self._silence = ping, silence
        self._receive: Receive = lambda changes: None
        self._on_sign: ReceiveSign = lambda sign: None
        self._others = NO_OTHERS
        self._node = secrets.token_hex(4)
        self._channels = [f"{redis.prefix}:hints:{n}" for n in range(CHANNELS)]
        self._watched: set[str] = set()
        self._waiting: deque[Change] = deque(maxlen=WAITING)
        self._signs: dict[Sign, None] = {}  # not yet published, at most SIGNS
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def open(
        self,
        receive: Receive,
        on_gap: Callable[[], None],
        on_sign: ReceiveSign = lambda sign: None,
        others: Others = NO_OTHERS,
    ) -> None:
        self._receive, self._on_sign, self._others = receive, on_sign, others
        self._subscriber = Subscriber(
            self._redis, self._channels, self._load, on_gap, self._interrupted, self._ping, self._silence
        )
        self._tasks = [asyncio.create_task(self._subscriber.run()), asyncio.create_task(self._publish())]

    async def close(self) -> None:
        await end(*self._tasks)

    def watch(self, code: str) -> None:
        self._watched.add(code)

    def unwatch(self, code: str) -> None:
        self._watched.discard(code)

    def hears(self, code: str) -> bool:
        return code in self._watched

    def announce(self, changes: Sequence[Change]) -> None:
        if (surplus := len(self._waiting) + len(changes) - WAITING) > 0:
            self._hinted("dropped", surplus)
        self._waiting.extend(changes)
        self._wake.set()
        self._deliver(changes)  # people on this node need not wait for Redis

    def sign(self, sign: Sign) -> None:
        if len(self._signs) < SIGNS:
            self._signs[sign] = None
            self._wake.set()

    def _deliver(self, changes: Sequence[Change]) -> None:
        if ours := [change for change in changes if change.code in self._watched]:
            self._receive(ours)

    async def _publish(self) -> None:
        """Publish what is waiting, for ever. Changes that arrive meanwhile form the next batch."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changes, self._waiting = self._waiting, deque(maxlen=WAITING)
            signs, self._signs = self._signs, {}
            try:
                await self._publish_all(signs, changes)
                self._hinted("published", len(changes))
            except RedisUnavailable:
                self._hinted("dropped", len(changes))  # a late hint is useless: the others read the log
            except Exception:
                log.exception("hints-not-published")

    async def _publish_all(self, signs: Iterable[Sign], changes: Iterable[Change]) -> None:
        """Signs go first: the text that somebody was typing may be among the changes."""
        payloads = chain(
            ((channel, dump_signs(self._node, some)) for channel, some in self._by_channel(signs)),
            (
                (channel, payload)
                for channel, some in self._by_channel(changes)
                for payload in dump_publications(self._node, some)
            ),
        )
        while portion := list(islice(payloads, AT_ONCE)):
            await self._redis.publish(portion)

    def _by_channel(self, items: Iterable[T]) -> Iterable[tuple[str, list[T]]]:
        found: dict[str, list[T]] = defaultdict(list)
        for item in items:
            found[self._channel(item.code)].append(item)
        return found.items()

    def _channel(self, code: str) -> str:
        return self._channels[zlib.crc32(code.encode()) % CHANNELS]

    def _heeds(self, code: str) -> bool:
        return code in self._watched or self._others.concern(code)

    def _load(self, payload: bytes) -> None:
        try:
            if payload.startswith(SIGNS_FORMAT):
                for sign in load_signs(payload, self._node, self._heeds):
                    self._on_sign(sign)
                return
            codes, content = split_publication(payload, self._node)
            self._others.changed(codes)
            changes = [] if self._watched.isdisjoint(codes) else load_changes(content)
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("hint-ignored bytes=%d", len(payload))
        else:
            self._hinted("received", len(changes))
            self._deliver(changes)
