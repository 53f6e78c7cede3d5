"""The requests of one address wait for each other, so that those of others pass by (decision 36)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from chat.addresses import wider
from chat.server import bounds
from chat.server.addresses import shares


class Turns:
    """Lets a few pass in a turn of the event loop, addresses one after the other, each in its own order."""

    def __init__(self, at_once: int = bounds.STARTS_AT_ONCE) -> None:
        self._at_once = self._left = at_once
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self._called: set[str] = set()  # addresses of which some are about to pass
        self._counting = False

    async def wait(self, address: str | None) -> None:
        """None never waits: it stands for many people."""
        if address is None:
            return
        address = wider(address) or address
        loop = asyncio.get_running_loop()
        if not self._counting:
            self._counting = True
            loop.call_soon(self._next)
        if self._left and address not in self._lines and address not in self._called:
            self._left -= 1
            return
        turn = loop.create_future()
        self._lines.setdefault(address, deque()).append(turn)
        await turn

    def _next(self) -> None:
        """A new turn of the loop."""
        self._left = self._at_once
        self._called.clear()
        while self._left and self._lines:
            address = next(iter(self._lines))
            line = self._lines.pop(address)
            turn = line.popleft()
            if line:
                self._lines[address] = line  # behind the others
            if not turn.done():  # it was not cancelled
                turn.set_result(None)
                self._called.add(address)
                self._left -= 1
        self._counting = self._left < self._at_once
        if self._counting:
            asyncio.get_running_loop().call_soon(self._next)


class Busy(Exception):
    """Too many requests of an address wait, or one has waited for too long."""


class Peer(Protocol):
    """Whom a connection leads to."""

    ended: bool
    when_ended: Callable[[], None] | None


@dataclass(slots=True)
class _Line:
    taken: int = 0
    waiting: dict[asyncio.Future[bool], None] = field(default_factory=dict)  # in their order


class Places:
    """At most so many requests of an address are worked on at once; the next of it wait in their order."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @property
    def busy(self) -> int:
        """Addresses of which something is worked on."""
        return len(self._lines)

    async def take(self, address: str, peer: Peer, times: int = 1) -> bool:
        """False if the peer has gone meanwhile. Raises Busy."""
        line = self._lines.setdefault(address, _Line())
        if line.taken < times * bounds.PLACES_PER_ADDRESS:
            line.taken += 1
            return True
        if len(line.waiting) >= bounds.WAITING_PER_ADDRESS:
            raise Busy
        return await self._wait(address, line, peer)

    async def _wait(self, address: str, line: _Line, peer: Peer) -> bool:
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def leave() -> None:
            if line.waiting.pop(granted, True) is None and not granted.done():  # it was not cancelled
                granted.set_result(False)

        line.waiting[granted] = None
        peer.when_ended = leave
        if peer.ended:
            leave()
        try:
            async with asyncio.timeout(bounds.PLACE_PATIENCE):
                return await granted
        except BaseException as error:
            line.waiting.pop(granted, None)
            if not granted.cancelled() and granted.result():
                self.give_back(address)
            if isinstance(error, TimeoutError):
                raise Busy from None
            raise
        finally:
            peer.when_ended = None

    def give_back(self, address: str) -> None:
        """The next who waits has it."""
        line = self._lines[address]
        while line.waiting:
            granted = next(iter(line.waiting))
            del line.waiting[granted]
            if not granted.done():  # it was not cancelled
                granted.set_result(True)
                return
        line.taken -= 1
        if not line.taken:
            del self._lines[address]


class Place:
    """That of one request: taken before it costs anything, given back when its answer begins."""

    def __init__(self, places: Places, address: str, peer: Peer | None) -> None:
        """`peer` is None if it has gone: nobody would say so any more."""
        self._places, self._address, self._peer = places, address, peer
        self._held: list[str] = []
        self.used = False  # there is an application that will give it back

    async def take(self) -> bool:
        """False if the peer has gone. Raises Busy."""
        if self._peer is None:
            return False
        try:
            for who, times in shares(self._address):
                if not await self._places.take(who, self._peer, times):
                    break
                self._held.append(who)
            else:
                return True
        except BaseException:
            self.give_back()
            raise
        self.give_back()
        return False

    def give_back(self) -> bool:
        """Whether it was held."""
        held, self._held = self._held, []
        for who in held:
            self._places.give_back(who)
        return bool(held)
