"""A message on a page of its own, and those around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chat.model.drafts import SavedDraft
from chat.model.members import Member
from chat.model.messages import Message, Version
from chat.model.rooms import Room
from chat.views.reactions import Reacted


class Surroundings(NamedTuple):
    """The HTML of messages before and after one, and the ids from which further ones are asked for, or 0."""

    before: Sequence[str]
    after: Sequence[str]
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as one member sees it, with what it said before and what they can do to it.

    `link` is its address. `seats` are theirs, `key` is for a text that answers it, `forms` are the templates
    of actions. `failure` is why what they asked for by the form `failed`, with these `fields`, was not done.
    `drafts` are what they have begun, by the same templates.
    """

    member: Member
    room: Room
    link: str
    seats: Sequence[int]
    message: Message
    earlier: Sequence[Version]
    reacted: Sequence[Reacted]
    is_unread: bool
    around: Surroundings
    key: str
    forms: Sequence[str]
    failed: str
    failure: object
    fields: Mapping[str, str]
    drafts: Mapping[str, SavedDraft]

    @property
    def is_ignored(self) -> bool:
        return self.message.author in self.member.ignored
