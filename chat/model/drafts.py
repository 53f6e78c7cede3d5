"""Drafts: texts that people are writing and have yet to send, as they are kept for their other devices."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chat.model.invisible import is_blank
from chat.model.messages import BODY_BYTES, BODY_TYPED, without_controls

Kind = Literal["typed", "posted", "held", "sent"]


class SavedDraft(NamedTuple):
    """A text that is being written: a new one, an answer, or another text for a message.

    `version` is higher than that of every other draft that its seat had when it was saved.
    """

    version: int
    body: str
    reply: int = 0  # the id of the message that it answers
    edited: int = 0  # the id of the message whose text it is to replace
    text_rev: int = 0  # at which that had the text that was changed here
    page: str = ""  # the key of the life of the one that it is written on


class Note(NamedTuple):
    """What a page says of the text that is written on it.

    It was `typed` just now; or it was, but is `posted`, so it may arrive after the text that it became; or it
    is `held` by a page that comes back or goes; or it was `sent`. `base` is the version of the draft that the
    page began with.
    """

    code: str
    seat: int
    page: str  # the key of its life
    body: str
    reply: int = 0
    edited: int = 0
    text_rev: int = 0
    base: int = 0
    kind: Kind = "typed"


def became(begun: str, sent: str) -> bool:
    """Whether what was sent may be what this had become."""
    return bool(start := begun.strip()) and sent.lstrip().startswith(start)


def clean_draft(text: str) -> str | None:
    """A text as it is kept; empty if there is nothing to see, None if it is too long to be sent."""
    if len(text) > BODY_TYPED:
        return None
    body = without_controls(text)
    if len(body.encode()) > BODY_BYTES:
        return None
    return "" if is_blank(body) else body
