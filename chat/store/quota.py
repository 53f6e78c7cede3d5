"""How much the chat may store: a cap, and a reserve so that people can still read, leave and delete at it."""

from __future__ import annotations

from typing import Literal

from chat import logs
from chat.model.errors import Refused
from chat.model.messages import BODY_BYTES
from chat.store import Store, Unavailable

MESSAGE = 600  # bytes on disk of a message besides its text, its keys and indexes included: rounded up
DISK_RESERVE = 64 * 2**20  # bytes that stay free on a disk of our own
CAP_RESERVE = 0.05  # of CHAT_MAX_BYTES

NO_SPACE = "There is no space left here. Please tell the person who runs this chat."
Reason = Literal["", "cap", "disk"]


def cost(body: str) -> int:
    """About how many bytes of disk a message takes: none if it is too long, for then it is not stored."""
    size = len(body.encode(errors="replace"))
    return MESSAGE + size if size <= BODY_BYTES else 0


class Quota:
    """What is stored as of the last look, and what was added since. When it is full, nothing new is taken."""

    def __init__(self, store: Store, cap: int = 0) -> None:
        self._store = store
        self._limit = cap - round(cap * CAP_RESERVE) if cap else 0
        self._room_on_disk: int | None = None
        self._added = 0
        self._warned: Reason = ""
        self.used = 0

    async def measure(self) -> None:
        try:
            self.used, free = await self._store.used(), await self._store.free()
        except Unavailable:
            return
        self._added = 0
        self._room_on_disk = None if free is None else free - DISK_RESERVE
        if self.full != self._warned:
            self._warned = self.full
            logs.event("storage", full=self.full or "no", bytes=self.used)

    @property
    def full(self) -> Reason:
        """Why nothing new is taken: CHAT_MAX_BYTES, or the disk."""
        if self._limit and self.used + self._added >= self._limit:
            return "cap"
        if self._room_on_disk is not None and self._added >= self._room_on_disk:
            return "disk"
        return ""

    def take(self, size: int, field: str) -> None:
        """Count so many bytes. Raises Refused, to be shown at this field."""
        if self.full:
            raise Refused(NO_SPACE, field)
        self._added += size
