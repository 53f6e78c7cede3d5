"""A page's progress with its texts: what it sent, which of those are new, which were acknowledged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

BODIES = 100  # texts of one frame; htmx keeps no more while it is offline
TYPED_AHEAD = 10_000  # characters kept for the next text
LONGEST = 40_000  # characters of a text that is put together; a message is far shorter, and so is the field
COUNTS = 8  # that a page may be at; the next frame says which
LIFE = re.compile(r"([A-Za-z0-9_-]{1,40})\.([0-9]{1,15})")


def read_life(value: str) -> tuple[str, int]:
    """The key of a page's life and how many of its texts were acknowledged; ("", 0) if it has none yet."""
    match = LIFE.fullmatch(value)
    return (match[1], int(match[2])) if match else ("", 0)


def write_life(key: str, acked: int) -> str:
    life = f"{key}.{acked}"
    return life if LIFE.fullmatch(life) else ""


class Receipts:
    """The texts of one connection: each is answered once.

    A page repeats what is not acknowledged, all controls of its composer in order, and `acked` says how
    many went before them. Letters typed after Enter, before the browser has shown the next control, land
    in the one that was just sent: they begin the next text.
    """

    def __init__(self) -> None:
        self.key = ""
        self.life = ""  # dealt to a page that had none
        self.acked = 0
        self.controls = 0  # dealt with, but not yet taken away
        self.leaving = 0  # those that the page is about to be sent a removal for
        self.generation = 0  # of `key`: a text that was sent under a former key changes nothing here
        self._writing: dict[tuple[int, int], None] = {}  # place and hash of texts on their way to the store
        self.counts: Sequence[int] = ()  # what the page may believe `acked` to be
        self._answered: dict[tuple[int, int], None] = {}  # place and hash, the oldest first
        self._newest = -1  # place that was written or answered
        self._sent: dict[int, tuple[int, int]] = {}  # length and hash of each control when it was sent
        self._early: list[list[tuple[int, int]]] = []  # the same for each Enter before the page had a key
        self._typed = ""  # into controls after they were sent

    def start(self, key: str, acked: int, counted: bool = False) -> None:
        """The page says how far it has come; `counted` if the server sends it the count."""
        if key != self.key:
            self.key, self.acked = key, acked
            self.counts, self._typed = (), ""
            self.generation += 1
            self._writing.clear()
            self._answered.clear()
            self._newest = -1
            self._sent.clear()
        self.acked = max(self.acked, acked)
        if counted:
            # A frame may have been sent before the newest counts reached the page: keep those.
            newer = [count for count in self.counts if count > acked]
            self.counts = [acked, *newer[1 - COUNTS :]]

    def tell(self) -> list[int]:
        """`acked` is about to be sent to the page. Returns the counts that it may be at."""
        counts = [count for count in self.counts if count < self.acked]
        self.counts = [*counts[:1], *counts[1:][2 - COUNTS :], self.acked]
        return counts

    def repeats(self, index: int, body: str) -> bool:
        """Whether this very text was taken before; another text in its place is not lost."""
        if index > self._newest:
            return False
        text = index, hash(body)
        return text in self._answered or text in self._writing

    def write(self, index: int, body: str) -> None:
        """A text is being stored."""
        self._writing[index, hash(body)] = None
        self._newest = max(self._newest, index)

    def enter_early(self, bodies: Iterable[str]) -> None:
        """Enter on a page without a key, which keeps its texts: remember how far each control had come."""
        sent = [(len(body), hash(body)) for body in bodies]
        if len(sent) + sum(map(len, self._early)) <= BODIES:
            self._early.append(sent)

    def new_texts(
        self, start: int, bodies: Iterable[str], *, entered: bool, report: bool
    ) -> Iterator[tuple[int, int, str]]:
        """What of these controls was not taken before, one by one: place, offset in its control, text.

        `entered`: the last of them was sent just now, by Enter. `report`: the page only says what was typed
        into those that were sent before.
        """
        if self._early:
            bodies = list(bodies)
            for before in self._entered_early(start, bodies):
                yield from self._new_texts(start, before, entered=True, report=False)
        yield from self._new_texts(start, bodies, entered=entered, report=report)

    def _entered_early(self, start: int, bodies: Sequence[str]) -> Iterator[list[str]]:
        """These controls as they were at each Enter that came before the page had a key."""
        while self._early and len(self._early[0]) - start <= len(bodies):
            sent = self._early.pop(0)[start:]
            yield [
                body[:length] if hash(body[:length]) == known else body
                for body, (length, known) in zip(bodies, sent, strict=False)
            ]

    def _new_texts(
        self, start: int, bodies: Iterable[str], *, entered: bool, report: bool
    ) -> Iterator[tuple[int, int, str]]:
        self._sent = {place: sent for place, sent in self._sent.items() if place >= start}
        place, body = start - 1, ""
        for place, body in enumerate(bodies, start):
            length, known = self._sent.get(place, (0, 0))
            taken = place in self._sent and hash(body[:length]) == known
            if taken and not entered and len(self._typed) + len(body) - length > TYPED_AHEAD:
                continue  # said again with the next text, which is measured
            if report and not taken:
                continue
            self._sent[place] = (len(body), hash(body))
            if taken:
                self._typed = (self._typed + body[length:])[:LONGEST]
            else:
                text, self._typed = self._typed + body, ""
                yield place, 0, text
        if entered and place >= start and self._typed:  # Enter once more in the same control
            text, self._typed = self._typed, ""
            yield place, len(body), text

    def answer(self, index: int, body: str, generation: int | None = None) -> bool:
        """A text is dealt with. True if a control of the page was waiting for it."""
        if generation not in (None, self.generation):
            return True
        text = index, hash(body)
        self._writing.pop(text, None)
        self._newest = max(self._newest, index)
        self._answered[text] = None
        if len(self._answered) > BODIES:
            del self._answered[next(iter(self._answered))]
        waiting = index >= self.acked
        self.acked = max(self.acked, index + 1)
        return waiting
