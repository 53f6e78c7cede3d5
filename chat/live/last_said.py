"""What was said last in rooms, for counting what of it is unread: from memory, where that has all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.model.messages import Message
from chat.model.rooms import Position, Room
from chat.store import Store, unread


class _Known(NamedTuple):
    """A room, in which only texts were said since, up to a position: pages were told of those."""

    room: Room
    position: Position


class LastSaid:
    """A room that is busy is asked for once a second: what its feed has is not read from the log again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, _Known] = {}

    def forget(self, code: str) -> None:
        self._known.pop(code, None)

    def new_texts(self, code: str, feed: Feed[Connection]) -> unread.Said | None:
        """What came since this was asked last; None if anything else happened, or that is not known."""
        known, now = self._known.get(code), feed.position
        is_same = known is not None and known.position.epoch == now.epoch
        part = feed.since(known.position.rev) if known and is_same else None
        if known is None or part is None or part.changed or any(m.kind != "text" for m in part.created):
            self.forget(code)
            return None
        known = self._known[code] = known._replace(position=now)
        return _said(known, part.created)

    async def after(self, code: str, feed: Feed[Connection], rev: int) -> unread.Said | None:
        """The room, and its texts after a rev, but for those that `new_texts` has yet to tell of.

        None if it is gone. Ask for what is new before.
        """
        known, part = self._known.get(code), feed.since(rev)
        if known and part:
            return _said(known, part.created)
        position = known.position if known else feed.position
        said = await self._store.read(unread.said_last, code, rev)
        if said is None:
            return None
        self._known[code] = _Known(said.room, position)
        return said._replace(texts=[text for text in said.texts if text.id <= position.rev])


def _said(known: _Known, messages: Sequence[Message]) -> unread.Said:
    last = known.position.rev
    texts = (m for m in reversed(messages) if m.kind == "text" and m.body is not None and m.id <= last)
    return unread.Said(known.room, [unread.Text(m.id, m.author or 0, m.mentions) for m in texts])
