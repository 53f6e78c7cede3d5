"""Members: a seat in a room, and the names that people may have."""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.model.errors import Refused
from chat.model.marks import ends_like_a_mark, label
from chat.model.meta import Meta, no_meta, seats_in
from chat.model.one_line import Line, clean_line
from chat.model.sentences import Sentence

NAME_LENGTH = 32  # characters, after trimming and NFC
NAME_TYPED = 200  # characters of a name as typed
SEAT_DIGITS = 9  # of a number that somebody else says
IGNORED = 100  # seats that one member ignores; somebody has one for each name


Seat = tuple[str, int]  # the code of a room, and a number there


@dataclass(frozen=True, slots=True)
class Member:
    """A seat: one person's stay in one room under one name.

    `number` is unique in the room and never reused; `mark` is 1, or higher where the name looks like
    one that somebody else's seat carried before. A seat is the same whatever its `meta` says.
    """

    code: str
    number: int
    person: str
    name: str
    mark: int
    meta: Meta = field(default_factory=no_meta, compare=False)

    @property
    def seat(self) -> Seat:
        return self.code, self.number

    @property
    def ignored(self) -> tuple[int, ...]:
        """Seats whose messages this member does not want to see."""
        return seats_in(self.meta, "ignored")

    @property
    def label(self) -> str:
        """The name as plain text, told apart from its look-alikes."""
        return label(self.name, self.mark)


NAME = Line(
    "name",
    NAME_TYPED,
    NAME_LENGTH,
    too_long=Sentence("Please use at most %(n)s characters for your name.", n=NAME_LENGTH),
    unfit="This name contains invisible characters. Please type it again.",
    unseen="Please enter a name that can be seen.",
)


def clean_name(text: str) -> str:
    """A name fit to be shown to others: trimmed, NFC, 1–32 characters. Raises Refused."""
    name = clean_line(text, NAME)
    if not name:
        raise Refused("Please enter a name.", "name")
    if ends_like_a_mark(name):
        raise Refused(
            "Please leave out the small, circled or bracketed number at the end: "
            "such numbers tell people with the same name apart.",
            "name",
        )
    return name
