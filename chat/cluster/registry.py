"""The registry of several nodes, kept in Redis and on Redis's clock.

Each node has a lease and entries of its own. Once a second, or at once when somebody enters or leaves, it
renews the lease and sends the changes of its entries in one atomic step. The reply lists the rooms that
changed on other nodes. The first node to find that a lease has expired removes that node and its entries.
People who have a tab on another node stay. If no node could reach Redis for a while, no lease counts as
expired until all nodes have had time to come back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from chat.cluster.connection import Redis, RedisUnavailable, Script
from chat.cluster.other_nodes import OtherNodes
from chat.cluster.own_entries import Batch, OwnEntries, parse_seats
from chat.cluster.tasks import end
from chat.live.registry import Listeners
from chat.model.members import Member

LEASE = 13.5  # s without a sign of a node until its people are gone; with all that follows, 16
BEAT = 1.0  # s between signs
RUSH = 0.05  # s between them when people come and go
WAIT = 1.0  # s for a reply: two timeouts and the pause between them stay below 6 s
FREEZE = 3.0  # s without a reply until pages say that they cannot know
CLAIM = 30.0  # s for a node to write that somebody left
SWEEP = 60.0  # s between comparisons of the log with the registry, by one node for all
MEMORY = 100_000  # changes of rooms that are remembered
SCRIPT = Script(Path(__file__).with_name("registry.lua"))

log = logging.getLogger("chat")


class RedisRegistry:
    def __init__(self, redis: Redis, tabs: int, lease: float = LEASE, beat: float = BEAT) -> None:
        self.frozen = False
        self._redis = redis
        self._root = f"{redis.prefix}:{{here}}"
        self._node = secrets.token_hex(6)
        self._tabs = tabs
        self._lease = lease
        self._beat = beat
        self._own = OwnEntries()
        self._others = OtherNodes(self._node, self._own.rooms.keys(), self._run)
        self._lock = asyncio.Lock()  # one call at a time: what is sent last must arrive last
        self._joined = False
        self._paused = False
        self._seq = 0
        self._nodes = 0
        self._lease_end = 0.0  # of this node, on Redis's clock
        self._node_lost = False  # and its people not yet removed from every room here
        self._answered = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def nodes(self) -> int:
        return 0 if self.frozen else self._nodes

    def open(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """The lease is left to expire, by when most people are back on another node."""
        if self._task is not None:
            await end(self._task)
            await self._others.close()

    def add(self, member: Member) -> None:
        new = member.code not in self._own.rooms
        self._own.add(member)
        if new:
            self._others.changed([member.code])

    def drop(self, member: Member) -> None:
        self._own.drop(member)
        self._forget_empty(member.code)

    def counted(self, code: str, number: int) -> bool:
        return self._own.counted(code, number)

    async def claim_left(self, code: str, numbers: Sequence[int]) -> list[int] | None:
        for number in numbers:
            self._own.forget(code, number)
        self._forget_empty(code)
        if self.frozen or self._redis.away:
            return None
        async with self._lock:
            request = {"code": code, "life": round(1000 * CLAIM), "numbers": [str(n) for n in numbers]}
            try:
                ours = await self._run("leave", request)
            except RedisUnavailable:
                return None
        return None if ours is None else [int(number) for number in ours]

    async def release_left(self, code: str, numbers: Sequence[int]) -> None:
        try:
            await self._run("release", {"code": code, "numbers": [str(n) for n in numbers]})
        except RedisUnavailable:
            pass  # the claim expires
        self._own.wake.set()  # those who entered meanwhile may count now

    def opened(self, person: str, connection: int) -> None:
        self._own.opened(person, connection)

    def closed(self, person: str, connection: int) -> None:
        self._own.closed(person, connection)

    def elsewhere(self, code: str) -> Collection[Member]:
        return self._others.people(code)

    async def fetch_elsewhere(self, code: str) -> Collection[Member] | None:
        if self.frozen or self._redis.away:
            return self.elsewhere(code) or None
        return await self._others.peek(code)

    async def missing(self, members: Sequence[Member]) -> Sequence[Member] | None:
        try:
            return await self._others.missing(members)
        except RedisUnavailable:
            return None

    def _forget_empty(self, code: str) -> None:
        if code not in self._own.rooms:
            self._others.forget(code)

    async def _work(self) -> None:
        while True:
            try:
                await self._beat_once()
            except Exception:  # a node that gives no more signs would lose its people
                log.exception("registry-failed")
                await asyncio.sleep(self._beat)

    async def _beat_once(self) -> None:
        try:
            await self._exchange()
        except RedisUnavailable:
            if time.monotonic() - self._answered > FREEZE:
                self._freeze(True)
            await asyncio.sleep(self._beat * (0.5 + secrets.randbelow(1000) / 1000))
        else:
            self._answered = time.monotonic()
            self._freeze(False)
            await self._rest()

    async def _rest(self) -> None:
        """Wait until the next beat, or until there is something to send."""
        rush = min(RUSH, self._beat / 2)
        await asyncio.sleep(rush)
        try:
            async with asyncio.timeout(self._beat - rush):
                await self._own.wake.wait()
        except TimeoutError:
            pass

    def _freeze(self, frozen: bool) -> None:
        if frozen != self.frozen:
            self.frozen = frozen
            log.warning("presence-frozen" if frozen else "presence-moves")
            self._listeners.on_freeze()
            self._listeners.on_change(list(self._own.rooms), False)

    async def _exchange(self) -> None:
        self._own.wake.clear()
        self._others.forget_peeks()
        async with self._lock:
            if not self._joined:
                self._own.queue_all()
                self._others.changed(self._own.rooms)
            self._own.queue_held()
            for batch in self._own.batches():
                await self._send(batch)
                if not self._joined:
                    return  # this node was removed: the next exchange sends everything
        await self._read()

    async def _send(self, batch: Batch) -> None:
        request = {
            "join": not self._joined,
            "ttl": round(1000 * self._lease),
            "lease": self._lease_end,
            "gap": 1000 * self._lease / 3,
            "sweep": round(1000 * SWEEP),
            "memory": MEMORY,
            "most": self._tabs,
            "since": self._seq,
            **self._own.dump(batch),
        }
        try:
            accepted, *reply = await self._run("exchange", request)
        except RedisUnavailable:
            self._own.put_back(batch)
            raise
        if accepted:
            self._apply(batch, *reply)
        else:
            self._joined = False
            self._own.put_back(batch)
            self._own.wake.set()
            log.warning("registry-given-up")

    def _apply(
        self,
        batch: Batch,
        lease: bytes,
        nodes: int,
        seq: int,
        paused: int,
        sweep: int,
        held: list[bytes],
        surplus: list[bytes],
        changed: list[bytes],
    ) -> None:
        self._lease_end = float(lease)
        self._node_lost, self._nodes = self._node_lost or nodes < self._nodes, nodes
        self._own.accepted(batch, parse_seats(held))
        if self._paused and not paused:
            self._others.changed(self._own.rooms)
        self._others.changed(map(bytes.decode, changed))
        rejoined, self._joined, self._paused, self._seq = not self._joined, True, bool(paused), seq
        for connection in surplus:
            self._listeners.on_surplus(int(connection))
        if sweep or rejoined:
            self._listeners.on_doubt()

    async def _read(self) -> None:
        async for different in self._others.read(add_only=self._paused):
            self._listeners.on_change(different, self._node_lost)
        self._node_lost = False

    async def _run(self, verb: str, request: Any) -> Any:
        text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
        return await self._redis.run(SCRIPT, self._root, verb, self._node, text, wait=WAIT)
