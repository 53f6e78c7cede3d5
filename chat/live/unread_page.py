"""What an open page says of what is unread: a number in its title, and a line before the first of it."""

from __future__ import annotations

from collections.abc import Collection

from chat.model.mentions import EVERYBODY
from chat.model.rooms import Room
from chat.model.unread import NOTHING, Unread
from chat.store.my_rooms import COUNTED
from chat.store.unread import Said

FULL = Unread(COUNTED, 0)


class UnreadPage:
    """`shown` is what its title says, and what the room was called then.

    `line` is the message before which its line stands, or 0.
    """

    __slots__ = ("counted", "has_focus", "line", "read", "seats", "shown")

    def __init__(self, line: int) -> None:
        self.has_focus = False
        self.line = line
        self.read: int | None = None  # not known yet
        self.seats: frozenset[int] = frozenset()
        self.shown: tuple[Unread, Room | None] = NOTHING, None
        self.counted: tuple[int | None, Collection[int]] = None, ()  # after what, and who was ignored

    @property
    def has_line(self) -> bool:
        """Whether it stands where something unread begins, and not where that did an earlier time."""
        return self.line > (self.read or 0)

    def is_full(self, ignored: Collection[int]) -> bool:
        """Whether new texts that mention nobody change nothing of what it says."""
        return self.shown[0] == FULL and self.counted == (self.read, ignored) and self.has_line

    def count(self, said: Said, ignored: Collection[int]) -> tuple[Unread, int]:
        """How much is unread, but for what is of ignored seats, and before which message its line belongs.

        COUNTED stands for that many or more.
        """
        self.counted = self.read, ignored
        number = mentions = first = 0
        read, seats = self.read or 0, {EVERYBODY, *self.seats}
        for id, author, mentioned in said.texts:
            if id <= read or number == COUNTED:
                break
            if author not in self.seats and author not in ignored:
                number, first = number + 1, id
                mentions += not seats.isdisjoint(mentioned)
        return Unread(number, mentions), self._place(number, first)

    def _place(self, number: int, first: int) -> int:
        """Before the first. The line stays where all is read: it goes if that was done somewhere else."""
        if number == COUNTED:
            return self.line if self.has_line else (self.read or 0) + 1
        return first if number or self.shown[0].texts else self.line
