"""How long the list of messages on a live page may get: it would grow for as long as the page is open."""

from __future__ import annotations

from collections.abc import Iterable

from chat.model.messages import Message

KEPT = 300  # messages that stay; a browser appends to longer lists several times slower
EVERY = 100  # messages from one time to the next
LOADED = 1000  # messages until those go too that somebody has loaded


def last_trim(created: Iterable[Message]) -> int | None:
    """The newest of these messages at which pages are trimmed."""
    return max((m.id for m in created if m.id % EVERY == 0 and m.id > KEPT), default=None)
