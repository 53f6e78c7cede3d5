"""What somebody has begun, told to their other pages as soon as it is stored, on whatever node.

Lists of rooms say where there is a draft. A page with a text in its field is offered the others of its room,
below the field, which nobody touches. All of that may be lost: the next page shows it anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from chat.live.bus import Bus
from chat.live.connection import Connection
from chat.model.digits import to_number
from chat.model.drafts import SavedDraft
from chat.model.members import Seat
from chat.model.signs import Sign
from chat.store import Store, Unavailable, drafts
from chat.views.look import Look

KIND = "draft"
EVERY = 1.0  # s between what a page is told
SEATS = 100  # that are looked at in that time; a ms for each at most
MOST = 10_000  # that wait
OFFERED = 3  # drafts, the newest

log = logging.getLogger("chat")

PagesOf = Callable[[str, int], Collection[Connection]]  # of somebody, by a code and a seat
Begun = Callable[[str, int, bool], object]  # a code, a seat, and whether it has a draft
Render = Callable[[str, Sequence[SavedDraft], Look], str]


class DraftOffers:
    def __init__(self, store: Store, bus: Bus, pages_of: PagesOf, begun: Begun, render: Render) -> None:
        self._store, self._bus = store, bus
        self._pages_of, self._begun = pages_of, begun
        self._render = render
        self._due: dict[Seat, None] = {}

    def tell(self, changed: Mapping[Seat, int]) -> None:
        """These seats have so many drafts of new texts now: this node has stored it."""
        for (code, seat), number in changed.items():
            self._note(code, seat, number)
            self._bus.sign(Sign(KIND, code, seat, str(number)))

    def hear(self, sign: Sign) -> None:
        """Another node has."""
        number = to_number(sign.label, 3)
        if number is not None:
            self._note(sign.code, sign.seat, number)

    def _note(self, code: str, seat: int, number: int) -> None:
        self._begun(code, seat, number > 0)
        if len(self._due) < MOST and any(_may_be_told(page, number) for page in self._pages_of(code, seat)):
            self._due[code, seat] = None

    async def run(self) -> None:
        """Tell pages for as long as this node runs."""
        while True:
            await asyncio.sleep(EVERY)
            await self.tick()

    async def tick(self) -> None:
        """Tell them now. What the store does not answer is not asked again."""
        for code, seat in list(self._due)[:SEATS]:
            del self._due[code, seat]
            try:
                found = await self._store.read(drafts.drafts_of, code, seat)
                begun = [one for one in found.drafts if not one.edited]
                for page in self._pages_of(code, seat):
                    self._offer(page, begun)
            except Unavailable:
                continue
            except Exception:  # one person's fault must not silence the others
                log.exception("draft-offers-failed")

    def _offer(self, page: Connection, begun: Sequence[SavedDraft]) -> None:
        others = [one for one in begun if not _is_of(page, one)][:OFFERED]
        versions = tuple(one.version for one in others)
        if versions != page.drafts_offered and _may_be_told(page, len(others) + 1):
            page.drafts_offered = versions
            page.show("drafts", self._render(page.member.code, others, page.look))


def _may_be_told(page: Connection, number: int) -> bool:
    """Whether it has a text of its own beside others, or shows what may have gone."""
    return (page.draft is not None and number > 1) or bool(page.drafts_offered or page.draft)


def _is_of(page: Connection, draft: SavedDraft) -> bool:
    """Whether it is what the field of the page holds, or did when it was shown."""
    return draft.page == page.life or draft.version == page.draft
