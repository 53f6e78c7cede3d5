"""An open page: its place in a room's feed, and what it has yet to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from chat.live.feed import Feed
from chat.model.errors import Trouble
from chat.model.members import Member

RESTART = 1012  # the browser comes back by itself
POLICY = 1008  # the browser stays away
LATER = 1013  # the browser comes back by itself; something here is out of order


@dataclass(frozen=True, slots=True)
class Farewell:
    """Why a connection ends: a close code and, for people, the reason."""

    code: int
    reason: str = ""
    over: bool = field(default=False, compare=False)  # the seat ended: the page forgets the conversation


class Connection:
    """One connection's place in a feed. Everything pending for it is worked out when it asks."""

    __slots__ = (
        "_asked",
        "_ready",
        "address",
        "beat",
        "counts",
        "cursor",
        "farewell",
        "feed",
        "id",
        "member",
        "outbox",
        "progress",
        "roster",
        "trouble",
        "unstored",
        "write_frame",
    )

    def __init__(self, member: Member, address: str = "") -> None:
        self.member = member
        self.address = address  # where it comes from
        self.id = 0  # given by the hub
        self.counts = False  # among the few of its person
        self.feed: Feed[Connection] | None = None
        self.cursor: int | None = None  # None: has not said what it has; -1: wants the newest page
        self.roster = 0
        self.beat = False
        self.trouble: Trouble = ""  # what its page says of the node
        self.unstored = False  # its page says that something could not be stored
        self.outbox: dict[str, str] = {}  # fragments for this page alone, the newest of each slot
        self.progress: tuple[int, int] | str | None = (
            None  # controls to remove and new `acked`, or the fragment
        )
        self.farewell: Farewell | None = None
        self.write_frame: Callable[[bytes], bool] | None = None  # takes a framed text if the socket is free
        self._asked: asyncio.Future[None] | None = None
        self._ready = False

    @property
    def idle(self) -> bool:
        """Nothing is being sent, and nothing but changes of the room waits."""
        return self._asked is not None and not self._ready

    def show(self, slot: str, fragment: str) -> None:
        """Send this page a fragment soon, in place of an older one in the same slot."""
        self.outbox[slot] = fragment
        self.wake()

    def wake(self) -> None:
        self._ready = True
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)

    async def ready(self) -> None:
        """Return when there may be something to send."""
        if not self._ready:
            self._asked = asyncio.get_running_loop().create_future()
            try:
                await self._asked
            finally:
                self._asked = None
        self._ready = False

    def close(self, farewell: Farewell) -> None:
        self.farewell = self.farewell or farewell
        self.wake()
