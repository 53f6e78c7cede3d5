"""What an accepted write changed, and what is read from a log."""

from __future__ import annotations

from dataclasses import dataclass

from chat.model.messages import Message
from chat.model.rooms import Position


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted change: already on disk. `message` is its state then; a duplicate wrote nothing."""

    code: str
    message: Message
    position: Position
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive messages, oldest first, and the room's position when they were read."""

    messages: list[Message]
    position: Position
    more: bool  # older ones exist
    later: bool = False  # newer ones exist; known of pages of the past


@dataclass(frozen=True, slots=True)
class Window:
    """What changed after a position: `created` in id order, `changed` are older messages."""

    created: list[Message]
    changed: list[Message]
    position: Position
    head: int
