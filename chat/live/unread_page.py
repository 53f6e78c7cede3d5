"""What an open page says of what is unread: a number in its title, and a line before the first of it."""

from __future__ import annotations

from collections.abc import Collection

from chat.model.mentions import EVERYBODY
from chat.model.rooms import Room
from chat.model.unread import NOTHING, Unread
from chat.store.my_rooms import COUNTED
from chat.store.unread import Said

FULL = Unread(COUNTED, 0)


class SaidAfter:
    """What was said in a room. It is counted once for all who have read as far and have no part in it."""

    def __init__(self, said: Said) -> None:
        self.room = said.room
        self.mentions = any(text.mentions for text in said.texts)  # anybody
        self._texts = said.texts
        self._concerned = {seat for text in said.texts for seat in (text.author, *text.mentions)}
        self._counted: dict[tuple[int, Collection[int]], tuple[Unread, int]] = {}

    def count(self, read: int, seats: Collection[int], ignored: Collection[int]) -> tuple[Unread, int]:
        """How much is new to somebody who has or had these seats, and which message is the first of it."""
        if not self._concerned.isdisjoint(seats):
            return self._count(read, seats, ignored)
        key = read, ignored
        if key not in self._counted:
            self._counted[key] = self._count(read, (), ignored)
        return self._counted[key]

    def _count(self, read: int, seats: Collection[int], ignored: Collection[int]) -> tuple[Unread, int]:
        number = mentions = first = 0
        called = {EVERYBODY, *seats}
        for id, author, mentioned in self._texts:
            if id <= read or number == COUNTED:
                break
            if author not in seats and author not in ignored:
                number, first = number + 1, id
                mentions += not called.isdisjoint(mentioned)
        return Unread(number, mentions), first


class UnreadPage:
    """`shown` is what its title says, and what the room was called then.

    `line` is the message before which its line stands, or 0. If what was read has moved while the store is
    asked for it, that is asked again.
    """

    __slots__ = ("_counted", "has_focus", "is_moved", "line", "read", "seats", "shown")

    def __init__(self, line: int) -> None:
        self.has_focus = False
        self.line = line
        self.is_moved = False
        self.read: int | None = None  # not known yet
        self.seats: frozenset[int] = frozenset()
        self.shown: tuple[Unread, Room | None] = NOTHING, None
        self._counted: object = None  # what came of what, when it was counted

    def blur(self) -> None:
        """What is new counts from now on; what came meanwhile was not added."""
        self.has_focus, self._counted = False, None

    @property
    def has_line(self) -> bool:
        """Whether it stands where something unread begins, and not where that did an earlier time."""
        return self.line > (self.read or 0)

    def add(self, new: SaidAfter, ignored: Collection[int]) -> tuple[Unread, int] | None:
        """As `count`, from what it says and what is new since; None if that has to be counted again."""
        number, line = self.shown[0], self.line
        if self._counted != (self.read, ignored, number, line):
            return None
        if number == FULL and not new.mentions:
            return number, line
        more, first = new.count(self.read or 0, self.seats, ignored)
        if more.texts and number.texts + more.texts >= COUNTED:
            return None  # what is older counts no more
        if more.texts and not number.texts:
            line = first
        number = Unread(number.texts + more.texts, number.mentions + more.mentions)
        self._counted = self.read, ignored, number, line
        return number, line

    def count(self, said: SaidAfter, ignored: Collection[int]) -> tuple[Unread, int]:
        """How much is unread, but for what is of ignored seats, and before which message its line belongs.

        COUNTED stands for that many or more.
        """
        number, first = said.count(self.read or 0, self.seats, ignored)
        line = self._place(number.texts, first)
        self._counted = self.read, ignored, number, line
        return number, line

    def _place(self, number: int, first: int) -> int:
        """Before the first. The line stays where all is read: it goes if that was done somewhere else."""
        if number == COUNTED:
            return self.line if self.has_line else (self.read or 0) + 1
        return first if number or self.shown[0].texts else self.line
