"""A sound for who is mentioned while their window has no focus, if they have asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from chat.live.connection import Connection
from chat.model.changes import Change
from chat.model.members import Seat
from chat.model.mentions import EVERYBODY
from chat.model.messages import Message
from chat.views.look import Render

Key = TypeVar("Key")

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
        self._open: dict[str, list[Connection]] = {}  # by person, the newest last

    def add(self, connection: Connection) -> None:
        """The person of this page, which may be home, wants to hear of mentions."""
        member = connection.member
        self._open.setdefault(member.person, []).append(connection)
        if member.code:
            self._pages.setdefault(member.seat, []).append(connection)

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        member = connection.member
        _take_out(self._pages, member.seat, connection)
        _take_out(self._open, member.person, connection)
        if member.person not in self._open:
            self._next_at.pop(member.person, None)

    def note(self, changes: Iterable[Change]) -> None:
        """Sound where a new text mentions somebody: on one page, for several would sound like one broken."""
        if not self._pages:
            return
        for change in changes:
            message = change.message
            for seat in self._mentioned(change.code, message):
                if (pages := self._pages.get((change.code, seat))) and not any(map(self._has_focus, pages)):
                    self._sound_for(pages[-1], message)

    def _mentioned(self, code: str, message: Message) -> Collection[int]:
        """The seats that are to hear of it: of a text that was changed, who was not named before."""
        seats = message.newly_mentioned
        if EVERYBODY in seats:
            seats = frozenset(seat for room, seat in self._pages if room == code)
        return seats - {message.author}

    def _sound_for(self, connection: Connection, message: Message) -> None:
        if message.author not in connection.member.ignored:
            self._sound(connection)

    def sound_elsewhere(self, person: str) -> None:
        """Somebody is mentioned in a room of which they have no page here, and may be at none of theirs."""
        pages = self._open.get(person, ())
        if pages and not any(map(self._has_focus, pages)):
            of_rooms = [page for page in pages if page.member.code]
            self._sound((of_rooms or pages)[-1])

    def _sound(self, connection: Connection) -> None:
        person, now = connection.member.person, self._now()
        if now >= self._next_at.get(person, 0.0):
            self._next_at[person] = now + APART
            connection.show(SLOT, self._fragment(connection.look))


def _take_out(pages: dict[Key, list[Connection]], key: Key, connection: Connection) -> None:
    """Keep no key of nothing."""
    if connection in (mine := pages.get(key, [])):
        mine.remove(connection)
        if not mine:
            del pages[key]
