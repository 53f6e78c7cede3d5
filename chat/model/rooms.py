"""Rooms, and how far a reader has come in one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple

from chat.model.meta import Meta, no_meta
from chat.model.one_line import Line, clean_line
from chat.model.sentences import Sentence

TITLE_LENGTH, TITLE_TYPED = 60, 400  # characters, kept and as typed
TOPIC_LENGTH, TOPIC_TYPED = 200, 1200

TITLE = Line(
    "title",
    TITLE_TYPED,
    TITLE_LENGTH,
    too_long=Sentence("Please use at most %(n)s characters for the title.", n=TITLE_LENGTH),
    unfit="This title contains invisible characters. Please type it again.",
    unseen="Please enter a title that can be seen, or leave the field empty.",
)
TOPIC = Line(
    "topic",
    TOPIC_TYPED,
    TOPIC_LENGTH,
    too_long=Sentence("Please use at most %(n)s characters for the topic.", n=TOPIC_LENGTH),
    unfit="This topic contains invisible characters. Please type it again.",
    unseen="Please enter a topic that can be seen, or leave the field empty.",
)


class Position(NamedTuple):
    """How far a reader has come in a room: every change up to `rev` of this `epoch` is known."""

    epoch: str
    rev: int


@dataclass(frozen=True, slots=True)
class Room:
    code: str
    epoch: str  # changes whenever history may have been rewritten, e.g. restored from a back-up
    opened: int  # ms since 1970, UTC
    meta: Meta = field(default_factory=no_meta, hash=False)

    @property
    def title(self) -> str:
        """What its members call it; empty if they never said."""
        return _text(self.meta.get("title"))

    @property
    def tells_comings(self) -> bool:
        """Whether its members want to read of everybody who comes and goes."""
        return self.meta.get("comings") == "all"

    @property
    def topic(self) -> str:
        return _text(self.meta.get("topic"))


def clean_title(text: str) -> str:
    """A title as it is kept, empty for none. Raises Refused."""
    return clean_line(text, TITLE)


def clean_topic(text: str) -> str:
    """A topic as it is kept, empty for none. Raises Refused."""
    return clean_line(text, TOPIC)


def _text(value: object) -> str:
    """A newer release may keep something else there."""
    return value if isinstance(value, str) else ""


def new_epoch() -> str:
    return secrets.token_hex(4)
