"""What is too old is removed, but not while the clock may be wrong."""

from __future__ import annotations

from chat.store import NO_ROOM, Store, drafts, rooms
from chat.store.aging import Aging


class Expiry:
    def __init__(self, store: Store, aging: Aging | None = None) -> None:
        self._store = store
        self._aging = aging or Aging()

    async def remove_some(self) -> int:
        """As `rooms.expire`; 0 while the clock cannot be believed. Raises Unavailable, OutcomeUnknown."""
        if not self._aging.trusted(await self._store.time()):
            return 0
        return await self._store.write(None, rooms.expire)

    async def forget_drafts(self) -> int:
        """As `drafts.expire`, likewise."""
        if not self._aging.trusted(await self._store.time()):
            return 0
        return await self._store.write(NO_ROOM, drafts.expire)
