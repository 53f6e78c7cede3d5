"""A sound for who is mentioned while their window has no focus, if they have asked for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable

from chat.live.connection import Connection
from chat.model.changes import Change
from chat.model.members import Seat
from chat.model.mentions import EVERYBODY
from chat.model.messages import Message
from chat.views.look import Render

SLOT = "sound"
APART = 5.0  # s between the sounds of one person, on one node


class Sounds:
    """`has_focus` says whether the window of a page has it."""

    def __init__(
        self,
        fragment: Render,
        has_focus: Callable[[Connection], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fragment, self._has_focus, self._now = fragment, has_focus, now
        self._pages: dict[Seat, list[Connection]] = {}  # by room and seat, the newest last
        self._next_at: dict[str, float] = {}  # by person; nobody without a page
        self._open: Counter[str] = Counter()  # pages, by person

    def add(self, connection: Connection) -> None:
        """The person of this page wants to hear of mentions."""
        member = connection.member
        self._pages.setdefault(member.seat, []).append(connection)
        self._open[member.person] += 1

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        member = connection.member
        pages = self._pages.get(member.seat, [])
        if connection not in pages:
            return
        pages.remove(connection)
        if not pages:
            del self._pages[member.seat]
        self._open[member.person] -= 1
        if not self._open[member.person]:
            del self._open[member.person]
            self._next_at.pop(member.person, None)

    def note(self, changes: Iterable[Change]) -> None:
        """Sound where a new text mentions somebody: on one page, for several would sound like one broken."""
        if not self._pages:
            return
        for change in changes:
            message = change.message
            for seat in self._mentioned(change.code, message):
                if (pages := self._pages.get((change.code, seat))) and not any(map(self._has_focus, pages)):
                    self._sound(pages[-1], message)

    def _mentioned(self, code: str, message: Message) -> Collection[int]:
        """The seats that are to hear of it: of a text that was changed, who was not named before."""
        seats = message.newly_mentioned
        if EVERYBODY in seats:
            seats = frozenset(seat for room, seat in self._pages if room == code)
        return seats - {message.author}

    def _sound(self, connection: Connection, message: Message) -> None:
        member, now = connection.member, self._now()
        if message.author in member.ignored or now < self._next_at.get(member.person, 0.0):
            return
        self._next_at[member.person] = now + APART
        connection.show(SLOT, self._fragment(connection.look))
