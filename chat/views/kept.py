"""A rendered message as it is kept, and which of those that are kept answer which."""

from __future__ import annotations

from collections import defaultdict

from chat.model.messages import Message
from chat.store.windows import weight
from chat.views.look import Look

ENTRY = 400  # bytes of an entry besides its message and fragments, about


class Entry:
    """A message as it was last rendered, its HTML for each look, and the bytes that all of it takes."""

    __slots__ = ("fragments", "message", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.fragments: dict[tuple[Look, str], str] = {}
        self.size = ENTRY + weight(message)

    def shows(self, message: Message) -> bool:
        return self.message is message or self.message == message


class Replies:
    """Ids of kept messages by what they answer, for they show its first words."""

    def __init__(self) -> None:
        self._by_answered: defaultdict[tuple[str, int], set[int]] = defaultdict(set)

    def add(self, code: str, message: Message) -> None:
        if message.quoted:
            self._by_answered[code, message.quoted.id].add(message.id)

    def remove(self, code: str, message: Message) -> None:
        if message.quoted and (ids := self._by_answered.get((code, message.quoted.id))):
            ids.discard(message.id)
            if not ids:
                del self._by_answered[code, message.quoted.id]

    def to(self, code: str, id: int) -> list[int]:
        return list(self._by_answered.get((code, id), ()))


def byte_length(text: str) -> int:
    """Of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
