"""What was said last in rooms, for counting what of it is unread: from memory, where that has all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.store import Store, unread


class _Known(NamedTuple):
    """A room, in which only texts were said since, up to a rev."""

    room: Room
    rev: int


class LastSaid:
    """A room that is busy is asked for once a second: what its feed has is not read from the log again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, _Known] = {}

    def forget(self, code: str) -> None:
        self._known.pop(code, None)

    def new_texts(self, code: str, feed: Feed[Connection]) -> Sequence[Message] | None:
        """What came since this was asked last; None if anything else happened, or that is not known."""
        known = self._known.get(code)
        part = feed.since(known.rev) if known else None
        if known is None or part is None or part.changed or any(m.kind != "text" for m in part.created):
            self.forget(code)
            return None
        self._known[code] = known._replace(rev=part.rev)
        return part.created

    async def after(self, code: str, feed: Feed[Connection], rev: int) -> unread.Said | None:
        """The room, and its texts after a rev; None if it is gone. Ask for what is new before."""
        known, part = self._known.get(code), feed.since(rev)
        if known and part:
            texts = (m for m in reversed(part.created) if m.kind == "text" and m.body is not None)
            return unread.Said(known.room, [unread.Text(m.id, m.author or 0, m.mentions) for m in texts])
        now = feed.position.rev
        said = await self._store.read(unread.said_last, code, rev)
        if said:
            self._known[code] = _Known(said.room, now)
        return said
