"""An open page: its place in a room's feed, and what it has yet to be shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chat.live.feed import Feed
from chat.live.slots import Slots
from chat.model.members import Member
from chat.views.look import Look, shared

RESTART = 1012  # the browser comes back by itself
POLICY = 1008  # the browser stays away
LATER = 1013  # the browser comes back by itself; something here is out of order


@dataclass(frozen=True, slots=True)
class Close:
    """Why a connection ends: a close code and, for people, the reason."""

    code: int
    reason: str = ""
    over: bool = field(default=False, compare=False)  # the seat ended: the page forgets the conversation


class Connection:
    """One connection's place in a feed. Everything pending for it is worked out when it asks."""

    __slots__ = (
        "_ready",
        "address",
        "closing",
        "counts",
        "cursor",
        "draft",
        "drafts_offered",
        "feed",
        "id",
        "life",
        "look",
        "member",
        "offered",
        "panels_seen",
        "slots",
        "texts",
        "unanswered",
        "waiting",
        "write_frame",
    )

    def __init__(
        self,
        member: Member,
        look: Look,
        address: str = "",
        write_frame: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`write_frame` takes a framed text if the socket is free."""
        self.member = member
        self.address = address  # where it comes from
        self.look = shared(look)  # `Feed.flush` compares looks by identity
        self.id = 0  # given by the hub
        self.counts = False  # among the few of its person
        self.feed: Feed[Connection] | None = None
        self.cursor: int | None = None  # None: has not said what it has; -1: wants the newest page
        self.texts: int | None = None  # while it is given what it lacks in parts: `has_texts`
        self.draft: int | None = None  # None: its page has none; else the version that it began with, or 0
        self.life = ""  # the key of its page, once it has said what is in its field
        self.offered = False  # what was begun, should its field be empty
        self.drafts_offered: Sequence[int] | None = None  # versions; None: those that it was rendered with
        self.panels_seen = 0  # the version of its room's panels
        self.slots = Slots()  # what this page alone is to be shown
        self.unanswered = False  # its peer has to read something before it is heard further
        self.closing: Close | None = None
        self.write_frame = write_frame
        self.waiting: asyncio.Future[None] | None = None  # until there may be something to send
        self._ready = False

    @property
    def idle(self) -> bool:
        """Nothing is being sent, and nothing but changes of the room waits."""
        return self.waiting is not None

    def show(self, slot: str, fragment: str) -> None:
        """Send this page a fragment soon, in place of an older one in the same slot.

        A page with too many comes back, and says what it has not seen acknowledged. None is left out, for
        the text that a person wrote may be in it.
        """
        self.slots.show(slot, fragment)
        if self.slots.is_full:
            self.close(Close(LATER))
        self.wake()

    def write_now(self, frame: bytes) -> bool:
        """Write a framed fragment if the socket is free and nothing else waits; whether it was."""
        return self.write_frame is not None and self.idle and self.write_frame(frame)

    def start_at(self, rev: int, head: int) -> None:
        """Its page says that it has all up to a rev; perhaps that was a part of what it lacked."""
        self.cursor, self.texts = rev, None if rev == head else 0

    def move_to(self, rev: int, is_all: bool) -> None:
        """Its page has been given what leads to a rev, or only a part of all that there was."""
        self.texts = None if is_all else self.has_texts
        self.cursor = rev

    @property
    def has_texts(self) -> int:
        """Up to which rev its page has every text: the cursor, unless it was given only parts since."""
        return (self.cursor or 0) if self.texts is None else self.texts

    def answer(self, slot: str, fragment: str) -> None:
        """Show what its peer caused: one that does not read it is not heard any further."""
        self.unanswered = True
        self.show(slot, fragment)

    def take_slots(self) -> dict[str, str]:
        self.unanswered = False
        return self.slots.take()

    def wake(self) -> None:
        self._ready = True
        waiting, self.waiting = self.waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def ready(self) -> None:
        """Return when there may be something to send."""
        if not self._ready:
            self.waiting = asyncio.get_running_loop().create_future()
            try:
                await self.waiting
            finally:
                self.waiting = None
        self._ready = False

    def close(self, close: Close) -> None:
        self.closing = self.closing or close
        self.wake()
