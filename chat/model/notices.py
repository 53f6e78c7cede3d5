"""Notices: who came, left or took another name, folded into few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chat.model.members import Member
from chat.model.meta import Meta

if TYPE_CHECKING:
    from chat.model.messages import Message

FOLD_AGE = 60 * 1000  # ms: an older notice is left alone and a new one begun


NOTICE_NAMES = 3  # names of a part that a notice keeps; more people are counted


# What several people do in one notice, in the order in which it says so: they are here for the first time, or
# again after they left for good; they come and go; they leave for good.
Verb = Literal["arrived", "returned", "entered", "away", "left"]
COMINGS: tuple[Verb, ...] = ("arrived", "returned", "entered", "away", "left")
DESCRIBES = "titled", "described"  # somebody gave the room another title, or another topic alone


@dataclass(frozen=True, slots=True)
class Part:
    """What some people did. `names` are the first few, `count` is everybody."""

    verb: str
    names: tuple[str, ...]
    count: int

    def plus(self, labels: Sequence[str]) -> Part:
        """Of people too whom this may name already."""
        others = [label for label in labels if label not in self.names]
        return Part(self.verb, (*self.names, *others)[:NOTICE_NAMES], self.count + len(others))


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice says. If its verb is one of COMINGS, it is a `Part`, and `also` has the others.

    If the verb is "comings", the names are the person's and "all" or "", as `chat.features.comings` has it.
    If the verb is "renamed", the names are the former and the new one of one person; if it is one of
    DESCRIBES, they are the person's and what they wrote. A newer release may write a verb that this one does
    not know.
    """

    verb: str
    names: tuple[str, ...]
    count: int
    ended: tuple[int, ...] = ()  # seats that ended for good; their connections are closed
    also: tuple[Part, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        return Part(self.verb, self.names, self.count), *self.also

    @property
    def ending(self) -> str:
        """The verb of the seats that ended."""
        return "left" if self.verb in COMINGS else self.verb

    def plus(self, verb: Verb, members: Sequence[Member], ended: bool) -> Notice:
        """One that tells of these people too."""
        labels = [m.label for m in members]
        parts = {part.verb: part for part in self.parts}
        parts[verb] = parts.get(verb, Part(verb, (), 0)).plus(labels)
        first, *also = parts.values()
        gone = tuple(m.number for m in members) if ended else ()
        return Notice(first.verb, first.names, first.count, self.ended + gone, tuple(also))


def dump_notice(notice: Notice) -> Meta:
    """As it is kept in the meta of a message."""
    kept = {"verb": notice.verb, "names": notice.names, "count": notice.count, "ended": notice.ended}
    return {**kept, "also": tuple((p.verb, p.names, p.count) for p in notice.also)} if notice.also else kept


def load_notice(value: Any) -> Notice | None:
    """What was kept; None if it is not what this release understands."""
    match value:
        case {"verb": verb, "names": names, "count": count, "ended": [*ended]}:
            parts = [_load_part(part) for part in ([verb, names, count], *value.get("also", ()))]
            if all(parts) and all(isinstance(seat, int) for seat in ended):
                first, *also = filter(None, parts)
                return Notice(first.verb, first.names, first.count, tuple(ended), tuple(also))
    return None


def _load_part(value: Any) -> Part | None:
    match value:
        case [str(verb), [_, *_] as names, int(count)] if all(isinstance(name, str) for name in names):
            return Part(verb, tuple(names), count)
    return None


def folded(
    last: Message | None, verb: Verb, members: Sequence[Member], now: int, ended: bool
) -> tuple[Notice, bool]:
    """The notice that tells of `members`, and whether it replaces `last` instead of following it.

    A notice is amended only while it is the newest message of the room, so a crowd that comes and goes at
    once is one line and costs one change a second, and no line moves under a reader's eye.
    """
    old = last.notice if last else None
    if last is None or old is None or old.verb not in COMINGS or abs(now - last.at) > FOLD_AGE:
        return Notice(verb, (), 0).plus(verb, members, ended), False
    return old.plus(verb, members, ended), True


def renamed(old: Member, new: Member) -> Notice:
    """Such a notice is never folded into another one."""
    return Notice("renamed", (old.label, new.label), 1, (old.number,))
