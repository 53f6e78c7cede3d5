"""What the pages of a person show of rooms that they are not about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from chat.live.connection import Connection
from chat.model.unread import NOTHING, Unread
from chat.store.my_rooms import MyRoom


@dataclass(slots=True)
class OtherRoom:
    """`read` was heard and may not be stored yet, `shown` how many texts and mentions pages call unread.

    `has_draft` is what they say of that.
    `mentions` are those that have been noticed, None before the first look: `ignored` were not among them.
    While it is `set_back`, some become unread again.
    """

    seat: int
    read: int = 0
    shown: Unread = NOTHING
    has_draft: bool = False
    mentions: int | None = None
    ignored: Collection[int] = ()
    set_back: bool = False

    def shows(self, one: MyRoom) -> bool:
        """Whether pages say so already."""
        return (self.shown, self.has_draft) == (Unread(one.unread, one.mentions), one.has_draft)

    def show(self, one: MyRoom) -> None:
        """Now they do."""
        self.shown, self.has_draft = Unread(one.unread, one.mentions), one.has_draft

    def is_new(self, one: MyRoom) -> bool:
        """Whether there are more mentions than the last time because somebody has written one."""
        before, ignored = self.mentions, self.ignored
        self.mentions, self.ignored = one.mentions, one.member.ignored
        is_known = before is not None and ignored == self.ignored and not self.set_back
        return is_known and one.mentions > (before or 0)


@dataclass(slots=True)
class PersonPages:
    """The pages on this node, which of them are new, and the rooms that some page is not about, by code."""

    pages: list[Connection] = field(default_factory=list)
    new: Sequence[Connection] = ()
    rooms: dict[str, OtherRoom] = field(default_factory=dict)

    def has_page_outside(self, code: str) -> bool:
        return any(page.member.code != code for page in self.pages)

    def has_page_of(self, code: str) -> bool:
        return any(page.member.code == code for page in self.pages)
