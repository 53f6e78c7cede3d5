"""Who is in one room, as one node sees it, and which notices of that are due."""

from __future__ import annotations

from collections.abc import Callable

from chat.live.away import Away
from chat.model.members import Member


class RoomPresence:
    """People are known by seat number."""

    def __init__(self) -> None:
        self.people: dict[int, Member] = {}  # here, or away for less than the grace
        self.tabs: dict[int, int] = {}
        self.absent_at: dict[int, float] = {}  # when the grace of somebody without a tab ends
        self.restored: set[int] = set()  # were here before a restart and have yet to come back
        self.in_log: set[int] = set()  # the log says they are here, or is about to
        self.entering: list[int] = []
        self.leaving: list[int] = []
        self.notice_at = 0.0
        self.roster_at = 0.0
        self.roster_due = False
        self.away: Away | None = None  # as the roster of an open page had it last

    def present(self) -> list[Member]:
        """In the order in which they first took a seat."""
        return sorted((m for n, m in self.people.items() if n not in self.restored), key=lambda m: m.number)

    @property
    def count(self) -> int:
        return len(self.people) - len(self.restored)

    @property
    def busy(self) -> bool:
        return bool(self.absent_at or self.entering or self.leaving or self.roster_due)

    @property
    def empty(self) -> bool:
        return not self.people and not self.tabs

    def arrive(self, member: Member) -> None:
        """A tab was opened."""
        number = member.number
        if number not in self.people or number in self.restored:
            self.roster_due = True
        self.people[number] = member
        self.tabs[number] = self.tabs.get(number, 0) + 1
        self.absent_at.pop(number, None)
        self.restored.discard(number)
        if number in self.leaving:
            self.leaving.remove(number)  # back before the notice
        if number not in self.in_log:
            self.entering.append(number)  # the store skips those whom the log has here already
        self.in_log.add(number)

    def depart(self, number: int, grace_ends: float) -> bool:
        """A tab was closed; whether it was the last one."""
        if number not in self.tabs:
            return False
        self.tabs[number] -= 1
        if self.tabs[number] > 0:
            return False
        del self.tabs[number]
        if number in self.people:  # nobody waits for a seat that ended
            self.absent_at[number] = grace_ends
        return True

    def forget(self, number: int) -> None:
        """The seat ended, and the log knows."""
        self._remove(number)
        for waiting in (self.entering, self.leaving):
            if number in waiting:
                waiting.remove(number)

    def expect(self, member: Member, until: float) -> bool:
        """Somebody who was here before a restart may come back. False if they are known already."""
        number = member.number
        if number in self.people or number in self.leaving:
            return False
        self.people[number] = member
        self.restored.add(number)
        self.in_log.add(number)
        self.absent_at[number] = until
        return True

    def expire(self, now: float) -> None:
        """Count those as away whose grace is over."""
        for number in [n for n, end in self.absent_at.items() if end <= now]:
            if number in self.entering:
                self.entering.remove(number)  # came and went before the notice
            self.leaving.append(number)  # the store skips those whom the log never had here
            self._remove(number)

    def take_due(self, counted: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """Those who enter, if they are `counted`, and those who leave: taken out, because people come and
        go while the store writes."""
        counts = {number: counted(number) for number in self.entering}
        self.entering = [number for number, due in counts.items() if not due]
        leaving, self.leaving = self.leaving, []
        return [number for number, due in counts.items() if due], leaving

    def put_back(self, entering: list[int], leaving: list[int]) -> None:
        """These could not be written, so their notices are still due unless that is over."""
        self.entering[:0] = [n for n in entering if n in self.in_log and n not in self.entering]
        self.leaving[:0] = [n for n in leaving if n not in self.in_log]

    def _remove(self, number: int) -> None:
        shown = number in self.people and number not in self.restored
        self.roster_due = self.roster_due or shown
        self.people.pop(number, None)
        self.absent_at.pop(number, None)
        self.restored.discard(number)
        self.in_log.discard(number)
