"""Notices: who entered, left or took another name, folded into few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chat.model.members import Member
from chat.model.meta import Meta

if TYPE_CHECKING:
    from chat.model.messages import Message

FOLD_AGE = 60 * 1000  # ms: an older notice is left alone and a new one begun


NOTICE_NAMES = 3  # names that a notice keeps; of more people it spells out two and counts the others


Verb = Literal["entered", "left"]  # what several people do in one notice
COMINGS = "entered", "left"
DESCRIBES = "titled", "described"  # somebody gave the room another title, or another topic alone


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice says: who entered or left. `names` are the first few, `count` is everybody.

    If the verb is "renamed", the names are the former and the new one of one person; if it is one of
    DESCRIBES, they are the person's and what they wrote. A newer release may write a verb that this one does
    not know.
    """

    verb: str
    names: tuple[str, ...]
    count: int
    ended: tuple[int, ...] = ()  # seats that ended for good; their connections are closed


def dump_notice(notice: Notice) -> Meta:
    """As it is kept in the meta of a message."""
    return {
        "verb": notice.verb,
        "names": notice.names,
        "count": notice.count,
        "ended": notice.ended,
    }


def load_notice(value: Any) -> Notice | None:
    """What was kept; None if it is not what this release understands."""
    match value:
        case {"verb": str(verb), "names": [*names], "count": int(count), "ended": [*ended]} if all(
            isinstance(name, str) for name in names
        ) and all(isinstance(seat, int) for seat in ended):
            return Notice(verb, tuple(names), count, tuple(ended))
    return None


def folded(
    last: Message | None, verb: Verb, members: Sequence[Member], now: int, ended: bool
) -> tuple[Notice, bool]:
    """The notice that tells of `members`, and whether it replaces `last` instead of following it.

    A notice is amended only while it is the newest message of the room, so a crowd that comes at once is
    one line and costs one change a second, and no line moves under a reader's eye.
    """
    labels = tuple(m.label for m in members)
    gone = tuple(m.number for m in members) if ended else ()
    old = last.notice if last else None
    if last is None or old is None or old.verb != verb or abs(now - last.at) > FOLD_AGE:
        return Notice(verb, labels[:NOTICE_NAMES], len(labels), gone), False
    names = (old.names + labels)[:NOTICE_NAMES]
    return Notice(verb, names, old.count + len(labels), old.ended + gone), True


def renamed(old: Member, new: Member) -> Notice:
    """Such a notice is never folded into another one."""
    return Notice("renamed", (old.label, new.label), 1, (old.number,))
