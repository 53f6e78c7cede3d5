"""The domain: rooms, members, messages and the rules they obey. Standard library only."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chat.invisible import INVISIBLE, is_blank
from chat.marks import ends_like_a_mark, label

NAME_LENGTH = 32  # characters, after trimming and NFC
NAME_TYPED = 200  # characters of a name as typed: Unicode writes some letters as four, and spaces are trimmed
BODY_BYTES = 8192  # UTF-8
BODY_TYPED = 4 * BODY_BYTES  # characters of a text as typed, with line ends and controls that are taken out
BODY_FIELD = 25_000  # UTF-16 units that the field takes, so that a frame and a form of it stay in bounds
KEY_LENGTH = 64  # characters of a one-time key
RUN_GAP = 5 * 60 * 1000  # ms: a longer silence starts a new group even for the same author
FOLD_AGE = 60 * 1000  # ms: an older notice is left alone and a new one begun
NOTICE_NAMES = 3  # names that a notice keeps; of more people it spells out two and counts the others

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # Unicode's Cc and Cs, but \n and \t

FLAG = re.compile(
    "\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f"
)  # of England, Scotland, Wales and others
BLANKS = re.compile("[\u115f\u1160\u2800\u3164\uffa0]")  # as wide as a space, or not, as the font has it
Verb = Literal["entered", "left"]  # what several people do in one notice
Trouble = Literal["", "write", "store", "all"]
"""What a page says is out of order: nothing, a write that failed, the store, or all that the node shares."""


class Refused(Exception):
    """Something a person asked for that the rules forbid; the text may be shown to them.

    `field` names the form control at fault ("name", "code", "body"), or is empty.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field


class Position(NamedTuple):
    """How far a reader has come in a room: every change up to `rev` of this `epoch` is known."""

    epoch: str
    rev: int


@dataclass(frozen=True, slots=True)
class Room:
    code: str
    epoch: str  # changes whenever history may have been rewritten, e.g. restored from a back-up
    opened: int  # ms since 1970, UTC


@dataclass(frozen=True, slots=True)
class Member:
    """A seat: one person's stay in one room under one name.

    `number` is unique in the room and never reused; `mark` is 1, or higher where the name looks like
    one that somebody else's seat carried before.
    """

    code: str
    number: int
    person: str
    name: str
    mark: int

    @property
    def label(self) -> str:
        """The name as plain text, told apart from its look-alikes."""
        return label(self.name, self.mark)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice says: who entered or left. `names` are the first few, `count` is everybody.

    If the verb is "renamed", the names are the former and the new one of one person.
    """

    verb: Verb | Literal["renamed"]
    names: tuple[str, ...]
    count: int
    ended: tuple[int, ...] = ()  # seats that ended for good; their connections are told goodbye


class Previous(NamedTuple):
    """The message just before another one: decides whether the other starts a group or a day."""

    author: int | None
    at: int


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a room's log at its current state.

    `id` is the rev at which it was created, `rev` the one at which it last changed; `at` is in ms since
    1970, UTC, as the clock said then: only ids have an order. A deleted message has `body` None and keeps
    its place.
    Notices have `kind` "notice", no author and a `notice`.
    """

    id: int
    rev: int
    at: int
    author: int | None  # seat number
    name: str
    mark: int
    body: str | None
    kind: Literal["text", "notice"] = "text"
    edited: int | None = None  # ms since 1970
    notice: Notice | None = None
    before: Previous | None = None

    @property
    def starts_day(self) -> bool:
        return self.before is None or self.before.at // 86_400_000 != self.at // 86_400_000

    @property
    def starts_run(self) -> bool:
        """True unless this reads as the continuation of the message before it."""
        return (
            self.starts_day
            or self.before is None
            or self.before.author != self.author
            or abs(self.at - self.before.at) > RUN_GAP
        )


@dataclass(frozen=True, slots=True)
class Edit:
    body: str


@dataclass(frozen=True, slots=True)
class Delete:
    pass


Amendment = Edit | Delete


def new_epoch() -> str:
    return secrets.token_hex(4)


def clean_name(text: str) -> str:
    """A name fit to be shown to others: trimmed, NFC, 1–32 characters. Raises Refused."""
    too_long = Refused(f"Please use at most {NAME_LENGTH} characters for your name.", "name")
    if len(text) > NAME_TYPED:  # before normalising, which takes the square of the length on Python 3.11
        raise too_long
    name = unicodedata.normalize("NFC", BLANKS.sub(" ", text)).strip()
    if not name:
        raise Refused("Please enter a name.", "name")
    if len(name) > NAME_LENGTH:
        raise too_long
    if any(_unfit_in_name(c) for c in FLAG.sub("", name)):
        raise Refused("Please use a name without control or direction characters.", "name")
    if is_blank("".join(c for c in name if unicodedata.category(c)[0] != "M")):
        raise Refused("Please enter a name that can be seen.", "name")
    if ends_like_a_mark(name):
        raise Refused(
            "Please use a name that does not end in a small, circled or bracketed number: "
            "such numbers tell people of the same name apart.",
            "name",
        )
    return name


def _unfit_in_name(c: str) -> bool:
    """Whether a character could do harm. One that is younger than this Python's Unicode could not."""
    category = unicodedata.category(c)
    if category == "Cn":  # a noncharacter, reserved to be invisible, or younger
        return ord(c) & 0xFFFE == 0xFFFE or "\ufdd0" <= c <= "\ufdef" or INVISIBLE.match(c) is not None
    # Zl and Zp break lines; Cf holds the bidi overrides, but also the joiners that Persian, Hindi and
    # emoji need; what private use looks like depends on the reader's fonts.
    return category in {"Cc", "Cs", "Co", "Zl", "Zp"} or (category == "Cf" and c not in "\u200c\u200d")


def clean_body(text: str) -> str:
    """A message's text: line ends as \\n, no control characters, something to see. Raises Refused."""
    if len(text) > BODY_TYPED:
        raise _too_long(text, text)
    body = text.replace("\r\n", "\n").replace("\r", "\n")
    body = CONTROLS.sub("", body)
    body = body.strip("\n").rstrip()
    if len(body.encode()) > BODY_BYTES:
        raise _too_long(body, text)
    if is_blank(body):
        raise Refused("Please write something first.", "body")
    return body


def _too_long(body: str, typed: str) -> Refused:
    excess = len(body.encode(errors="replace")) - BODY_BYTES
    text = (
        f"This is too long by {excess:,} byte{'s' if excess > 1 else ''}: "
        f"at most {BODY_BYTES // 1024} KiB of text fit in one message."
    )
    units = len(typed.replace("\r\n", "\n").encode("utf-16-le", errors="surrogatepass")) // 2
    if units >= BODY_FIELD - 1:  # a browser does not cut a pair in two
        text += f" The field holds {BODY_FIELD:,} characters; the rest of what was pasted is not in it."
    return Refused(text, "body")


def clean_key(text: str) -> str:
    """A one-time key of 1–64 printable characters. Raises Refused."""
    if not 1 <= len(text) <= KEY_LENGTH or not text.isprintable():
        raise Refused("This form is out of date. Please reload the page and send again.", "key")
    return text


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


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted change: already on disk. `message` is its state then; a duplicate wrote nothing."""

    code: str
    message: Message
    position: Position
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive messages, oldest first, and the room's position when they were read."""

    messages: list[Message]
    position: Position
    more: bool  # older ones exist


@dataclass(frozen=True, slots=True)
class Window:
    """What changed after a position: `created` in id order, `changed` are older messages."""

    created: list[Message]
    changed: list[Message]
    position: Position
    head: int
