"""What is being written on the pages of this node: gathered here, and stored for all every few seconds.

Nobody waits for these writes. A few seconds of them may be lost: their pages still have them, and say them
again when they come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from chat.live.draft_offers import DraftOffers
from chat.model.changes import Change
from chat.model.drafts import Note, SavedDraft, became
from chat.model.members import Member, Seat
from chat.store import NO_ROOM, OutcomeUnknown, Store, Unavailable, drafts

EVERY = 3.0  # s between writes
PAUSE = 0.2  # s between two at least
PORTION = 20  # notes of one write: texts may wait behind it
MOST = 20_000  # notes that are held while the store does not take them
MOST_CHARACTERS = 4 * 2**20  # of them, each of at most four bytes

SENT = -1
# A code, a seat, a page, and the message that is edited there, or 0, or SENT.
Place = tuple[str, int, str, int]

log = logging.getLogger("chat")


class Drafts:
    def __init__(self, store: Store, offers: DraftOffers, every: float = EVERY) -> None:
        self.offers = offers
        self._store = store
        self._every = every
        self._due: dict[Place, Note] = {}
        self._seats: dict[Seat, int] = {}  # how many notes each has
        self._characters = 0
        self._saving = asyncio.Lock()
        self._failures = 0  # of the store
        self._hurried = asyncio.Event()

    def has_due(self, code: str, seat: int) -> bool:
        """Whether something of a seat is yet to be stored."""
        return (code, seat) in self._seats

    def due(self, code: str, seat: int, page: str) -> Note | None:
        """What a page has said of the text in its field, if that is yet to be stored."""
        return self._due.get((code, seat, page, 0))

    def note(self, note: Note, begun: Note | None = None) -> None:
        """A page says this of its text; it takes the place of what it said before.

        What was sent is kept besides what is written after it: `begun` is what was due when it was taken, and
        became it, were it put right since.
        """
        place = _place_of(note)
        before = self._due.get(place)
        if note.kind == "sent":
            if before and (before is begun or became(before.body, note.body)):
                self._forget(place)
            place = *place[:3], SENT
        elif before and before.body and before.kind == "typed":
            note = note._replace(kind="typed")  # it holds it because it was typed
        self._forget(place)
        if len(self._due) < MOST and self._characters + len(note.body) <= MOST_CHARACTERS:
            self._due[place] = note
            self._characters += len(note.body)
            seat = note.code, note.seat
            self._seats[seat] = self._seats.get(seat, 0) + 1

    def note_deleted(self, changes: Iterable[Change]) -> None:
        """What was to replace a text that is deleted is not kept, not even here."""
        if not self._due:
            return
        messages = [(change.code, change.message) for change in changes]
        gone = {(code, one.id) for code, one in messages if one.kind == "text" and one.body is None}
        if gone:
            for place in [one for one in self._due if (one[0], one[3]) in gone]:
                self._forget(place)

    def forget(self, code: str, seat: int) -> None:
        """Somebody has left."""
        if self.has_due(code, seat):
            for place in [one for one in self._due if one[:2] == (code, seat)]:
                self._forget(place)

    def _forget(self, place: Place) -> None:
        note = self._due.pop(place, None)
        if note is None:
            return
        self._characters -= len(note.body)
        seat = note.code, note.seat
        self._seats[seat] -= 1
        if not self._seats[seat]:
            del self._seats[seat]

    async def run(self) -> None:
        """Store what is due for as long as this node runs."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._hurried.wait()
            self._hurried.clear()
            await self.save()
            await asyncio.sleep(PAUSE)

    def hurry(self, code: str, seat: int) -> None:
        """The next page may be of another node."""
        if self.has_due(code, seat):
            self._hurried.set()

    async def of(self, member: Member) -> Sequence[SavedDraft]:
        """All of a seat, the newest first, also what is yet to be stored. Raises Unavailable."""
        await self.save_of(member)
        found = await self._store.read(drafts.drafts_of, *member.seat)
        for one in found.sent:
            self.note(Note(*member.seat, "", one.body, kind="sent"))  # its page may write on by now
        return found.drafts

    async def save_of(self, *members: Member) -> None:
        """Store what is due of these seats alone."""
        if seats := {one.seat for one in members if self.has_due(*one.seat)}:
            await self.save(seats)

    async def save(self, seats: Collection[Seat] | None = None) -> None:
        """Store what is due, which stays so until it is stored. Waits for a write that has begun.

        If one fails meanwhile, it tries no other: all who wait would, one after the other.
        """
        failures = self._failures
        due = [place for place in self._due if seats is None or place[:2] in seats]
        for start in range(0, len(due), PORTION):
            async with self._saving:
                if self._failures != failures:
                    return
                await self._save_some(due[start : start + PORTION])

    async def _save_some(self, places: Sequence[Place]) -> None:
        """What the store does not take now goes behind the rest."""
        due = {place: self._due[place] for place in places if place in self._due}
        try:
            if due:
                await self.keep(list(due.values()))
        except (Unavailable, OutcomeUnknown):
            self._failures += 1
            self._due.update({place: self._due.pop(place) for place in due if place in self._due})
            return
        except Exception:  # one person's fault must not silence the others
            if len(due) > 1:
                for place in due:
                    await self._save_some([place])
                return
            log.exception("drafts-failed")
        for place, note in due.items():
            if self._due.get(place) is note:
                self._forget(place)

    async def keep(self, notes: Sequence[Note]) -> None:
        """Store them now. Raises store errors."""
        changed = await self._store.write(NO_ROOM, drafts.save, notes)
        self.offers.tell(changed)

    async def choose(self, member: Member, version: int, use: bool, left: Note | None = None) -> None:
        """Have one of them stand in the field, or none of it, once what is `left` for it is kept.

        Raises store errors.
        """
        if left:
            self._forget(_place_of(left))  # said before
        await self.save_of(member)
        if left:
            await self.keep([left])
        changed = await self._store.write(NO_ROOM, drafts.choose, *member.seat, version, use)
        self.offers.tell(changed)


def _place_of(note: Note) -> Place:
    return note.code, note.seat, note.page, note.edited
