"""Messages, how they change, and the texts that they may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from chat.model.errors import Refused
from chat.model.invisible import is_blank
from chat.model.mentions import Named, named_in
from chat.model.meta import Meta, no_meta, seats_in
from chat.model.notices import Notice, load_notice
from chat.model.quotes import Quoted, start_of
from chat.model.sentences import Sentence

BODY_BYTES = 8192  # UTF-8
BODY_TYPED = 4 * BODY_BYTES  # characters of a text as typed, with line ends and controls that are taken out
BODY_FIELD = 25_000  # UTF-16 units that the field takes, so that a frame and a form of it stay in bounds
KEY_LENGTH = 64  # characters of a one-time key
RUN_GAP = 5 * 60 * 1000  # ms: a longer silence starts a new group even for the same author
Reactions = Mapping[str, tuple[int, ...]]  # seats by emoji
NO_REACTIONS: Reactions = MappingProxyType({})
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # Unicode's Cc and Cs, but \n and \t


class Previous(NamedTuple):
    """The message just before another one: decides whether the other starts a group or a day."""

    author: int | None
    at: int


class Version(NamedTuple):
    """A text that a message had before: the rev at which it got it, and when, in ms since 1970."""

    rev: int
    at: int
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a room's log at its current state.

    `id` is the rev at which it was created, `rev` the one at which it last changed; `at` is in ms since
    1970, UTC, as the clock said then: only ids have an order. A deleted text has `body` None and keeps its
    place. `kind` is "text", "notice", which has neither an author nor a body, or one that only a newer
    release knows. What else is known of a message is in its `meta`.
    """

    id: int
    rev: int
    at: int
    author: int | None  # seat number
    name: str
    mark: int
    body: str | None
    kind: str = "text"
    meta: Meta = field(default_factory=no_meta, hash=False)
    before: Previous | None = None
    quoted: Quoted | None = None  # what it answers

    @property
    def is_text(self) -> bool:
        """Whether it is a text that was not deleted."""
        return self.kind == "text" and self.body is not None

    @property
    def as_quoted(self) -> Quoted:
        """As those that answer it show it."""
        return Quoted(self.id, self.author, self.name, self.mark, start_of(self.body), self.rev)

    @property
    def edited(self) -> int | None:
        """When its text was last changed, in ms since 1970."""
        return self.meta.get("edited")

    @property
    def text_rev(self) -> int:
        """The rev at which something about it last changed that is no matter of a feature's meta."""
        if not self.is_text:
            return self.rev
        rev: int = self.meta.get("text_rev", self.id)
        return rev

    @property
    def mentions(self) -> tuple[int, ...]:
        """The seats that it names, but for its author's; EVERYBODY is one of them."""
        return seats_in(self.meta, "mentions")

    @property
    def newly_mentioned(self) -> frozenset[int]:
        """Those that it did not name before its last change."""
        return frozenset(self.mentions).difference(self.told) if self.rev == self.text_rev else frozenset()

    @property
    def told(self) -> tuple[int, ...]:
        """Those that an earlier text of it mentioned."""
        return seats_in(self.meta, "told")

    @property
    def reactions(self) -> Reactions:
        """Who gave which emoji, the seats of each in the order of giving."""
        given = self.meta.get("reactions")
        if not isinstance(given, Mapping):
            return NO_REACTIONS
        return {emoji: seats for emoji in given if (seats := seats_in(given, emoji))}

    @property
    def named(self) -> Mapping[str, Named]:
        """Who each name in its text is, as it stands there."""
        return named_in(self.meta)

    @property
    def notice(self) -> Notice | None:
        return load_notice(self.meta.get("notice")) if self.kind == "notice" else None

    @property
    def continues(self) -> bool:
        """The same author goes on writing; whether a day begins in between depends on the reader's zone."""
        before = self.before
        return before is not None and before.author == self.author and abs(self.at - before.at) <= RUN_GAP


@dataclass(frozen=True, slots=True)
class Edit:
    """Another text, and what its message's meta says of it."""

    body: str
    meta: Meta = field(default_factory=no_meta)


@dataclass(frozen=True, slots=True)
class Delete:
    pass


Amendment = Edit | Delete


class TooLong(NamedTuple):
    """What is said of a text that is too long: by how much, and what to do."""

    exactly: tuple[str, str]
    about: tuple[str, str]
    halve: str
    divide: str


NOT_SENT = TooLong(
    ("Not sent: %(n)s character too long.", "Not sent: %(n)s characters too long."),
    ("Not sent: about %(n)s character too long.", "Not sent: about %(n)s characters too long."),
    "Shorten it or send it in two parts.",
    "Shorten it or send it in several parts.",
)
NOT_SAVED = TooLong(
    ("Not saved: %(n)s character too long.", "Not saved: %(n)s characters too long."),
    ("Not saved: about %(n)s character too long.", "Not saved: about %(n)s characters too long."),
    "Shorten it, or send part of it as a new message.",
    "Shorten it, or send parts of it as new messages.",
)
NOT_THEIRS = "Only the person who wrote a message can change it."
EXACT = 100  # characters: a longer excess is rounded to two digits
CUT = "The field takes %(n)s characters, so the end of what you pasted may be missing."


def clean_body(text: str, too_long: TooLong = NOT_SENT) -> str:
    """A message's text: line ends as \\n, no control characters, something to see. Raises Refused."""
    if len(text) > BODY_TYPED:
        raise _refused(text, text, too_long)
    if len(text) <= BODY_BYTES and text.isascii() and text.isprintable():
        body = text.rstrip()  # as most texts; the rest changes nothing about it
        if body:
            return body
    body = without_controls(text).strip("\n").rstrip()
    if len(body.encode()) > BODY_BYTES:
        raise _refused(body, text, too_long)
    if is_blank(body):
        raise Refused("Please write something first.", "body")
    return body


def without_controls(text: str) -> str:
    """A text whose lines end with \\n."""
    return CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _refused(body: str, typed: str, too_long: TooLong) -> Refused:
    size = body.encode(errors="replace")
    excess = len(body) - len(size[:BODY_BYTES].decode(errors="ignore"))
    words = too_long.exactly
    if excess >= EXACT:
        step = 10 ** (len(str(excess)) - 2)
        words, excess = too_long.about, round(excess / step) * step
    units = len(typed.replace("\r\n", "\n").encode("utf-16-le", errors="surrogatepass")) // 2
    is_cut = units >= BODY_FIELD - 1  # a browser does not cut a pair in two
    after = [too_long.halve if len(size) <= 2 * BODY_BYTES else too_long.divide]
    if is_cut:
        after.append(Sentence(CUT, n=BODY_FIELD))
    return Refused(Sentence(*words, tuple(after), n=excess), "body")


def clean_key(text: str) -> str:
    """A one-time key of 1–64 printable characters. Raises Refused."""
    if not 1 <= len(text) <= KEY_LENGTH or not text.isprintable():
        raise Refused("This form is out of date. Please reload the page and send again.", "key")
    return text
