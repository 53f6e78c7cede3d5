"""What somebody looks for in messages: words, phrases and filters, as they are typed in one field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from chat.model.codes import GROUP
from chat.model.errors import Refused
from chat.model.mentions import EVERYBODY
from chat.model.messages import Message
from chat.model.sentences import Sentence
from chat.model.words import words_of

LENGTH = 200  # characters
WORDS = 16  # of one query
PREFIX = 2  # letters from which the last word, or that of a name, may be the start of one
START = 3  # letters from which any other word may be that

TOO_LONG = Sentence("Please search for at most %(n)s characters.", n=LENGTH)
TOO_MANY = Sentence("Please search for at most %(n)s words.", n=WORDS)
NO_WORDS = "Please type letters or digits to search for."
NO_DATE = "Please write the date as in before:2026-11-22."
NO_NAME = "Please write a name right after from: as in from:ann."
NO_ROOM = "Please write the title or the code of a room right after in: as in in:club."
ONLY_LINK = "After has: only the word link is understood, as in has:link."
ONLY_ME = "After mentions: only the word me is understood, as in mentions:me."

LINK = re.compile(r"(?:https?://|mailto:|\bwww\.)[^\s.]", re.IGNORECASE)
FILTERS = "from", "before", "after", "has", "in", "mentions"
_PART = re.compile(rf'(?:({"|".join(FILTERS)}):)?(?:"([^"]*)"|(\S*))', re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Term(NamedTuple):
    """Words that follow one another; if it is open, the last one may be the start of a longer one."""

    words: tuple[str, ...]
    is_open: bool = False

    def starts(self, words: Sequence[str]) -> Iterable[int]:
        """Where it is among the words of a text."""
        *first, last = self.words
        length = len(first)
        for place, word in enumerate(words):
            fits = word == last or (self.is_open and word.startswith(last))
            if fits and place >= length and words[place - length : place] == first:
                yield place - length

    def is_in(self, words: Sequence[str]) -> bool:
        return next(iter(self.starts(words)), None) is not None


class Author(NamedTuple):
    """Whose name is looked for, as typed and as words: it may be the start of that name."""

    name: str
    term: Term

    @property
    def exactly(self) -> Author:
        return self._replace(term=self.term._replace(is_open=False))


class Me(NamedTuple):
    """Who searches, in one room: the seats they have had there, the first since a time in ms since 1970."""

    seats: frozenset[int] = frozenset()
    since: int = 0

    def is_named(self, mentions: Iterable[int], at: int) -> bool:
        """Whether a text of that time mentions them: everybody is who had come by then."""
        return any(seat in self.seats or (seat == EVERYBODY and at >= self.since) for seat in mentions)


@dataclass(frozen=True, slots=True)
class Query:
    """`before` and `after` are days: the first is not among them, the second is.

    Who "me" is differs between rooms: `matches` is told.
    """

    terms: tuple[Term, ...] = ()
    authors: tuple[Author, ...] = ()
    rooms: tuple[Term, ...] = ()  # any of them
    is_from_me: bool = False
    mentions_me: bool = False
    before: date | None = None
    after: date | None = None
    has_link: bool = False
    rarest: str = field(init=False, default="")  # a word that each of the texts has, be it as a start

    def __post_init__(self) -> None:
        words = [word for term in self.terms for word in term.words]
        object.__setattr__(self, "rarest", max(words, key=len, default=""))

    def may_match(self, body: str) -> bool:
        """Whether it is worth a closer look; that takes little time."""
        return not body.isascii() or self.rarest in body.lower()

    @property
    def names_me(self) -> bool:
        return self.is_from_me or self.mentions_me

    def may_be_in(self, title: str, code: str) -> bool:
        """Whether a room is one of those that are looked through."""
        words = words_of(title) if self.rooms else []
        return not self.rooms or any(room.is_in(words) or _begins(code, room) for room in self.rooms)

    def matches(self, message: Message, me: Me) -> bool:
        """Whether a message is found, whenever it was written, by this person."""
        body = message.body
        if message.kind != "text" or body is None or (self.has_link and not LINK.search(body)):
            return False
        if not self._is_about(message, me):
            return False
        names = words_of(message.name) if self.authors else []
        if not all(author.term.is_in(names) for author in self.authors):
            return False
        words = words_of(body) if self.terms else []
        return all(term.is_in(words) for term in self.terms)

    def _is_about(self, message: Message, me: Me) -> bool:
        is_mine = message.author in me.seats
        if self.is_from_me and not is_mine:
            return False
        return not self.mentions_me or (not is_mine and me.is_named(message.mentions, message.at))


def _begins(code: str, room: Term) -> bool:
    typed = "".join(room.words).upper()
    return len(typed) >= GROUP and code.startswith(typed)


def parse_query(text: str) -> Query | None:
    """None if nothing was typed. Raises Refused."""
    if len(text) > LENGTH:
        raise Refused(TOO_LONG, "q")
    if not text.strip():
        return None
    terms: list[Term] = []
    filters: dict[str, list[str]] = {name: [] for name in (*FILTERS, "me")}
    for name, quoted, plain in _PART.findall(text):
        if name:
            is_me = name.lower() == "from" and plain.casefold() == "me"
            filters["me" if is_me else name.lower()].append(quoted or plain)
        elif words := tuple(words_of(quoted or plain)):
            terms.append(Term(words, not quoted and len(words[-1]) >= START))
    if terms and not text.rstrip().endswith('"'):
        terms[-1] = _opened(terms[-1], text)
    query = Query(
        tuple(terms),
        tuple(map(_author, filters["from"])),
        tuple(Term(_words(name, NO_ROOM), is_open=True) for name in filters["in"]),
        is_from_me=bool(filters["me"]),
        mentions_me=_asks_for(filters["mentions"], ("me",), ONLY_ME),
        before=min(map(_day, filters["before"]), default=None),
        after=max(map(_day, filters["after"]), default=None),
        has_link=_asks_for(filters["has"], ("link", "links"), ONLY_LINK),
    )
    _check(query)
    return query


def _opened(term: Term, text: str) -> Term:
    """The last word may go on, if it is what was typed last."""
    last = term.words[-1]
    is_last = words_of(text)[-1:] == [last]
    return term._replace(is_open=term.is_open or (is_last and _may_go_on(last)))


def _may_go_on(word: str) -> bool:
    return len(word) >= PREFIX


def _author(name: str) -> Author:
    words = _words(name, NO_NAME)
    return Author(name, Term(words, _may_go_on(words[-1])))


def _words(name: str, reason: str) -> tuple[str, ...]:
    words = tuple(words_of(name))
    if not words:
        raise Refused(reason, "q")
    return words


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        raise Refused(NO_DATE, "q") from None


def _asks_for(values: Sequence[str], words: Sequence[str], otherwise: str) -> bool:
    if any(value.casefold() not in words for value in values):
        raise Refused(otherwise, "q")
    return bool(values)


def _check(query: Query) -> None:
    terms = *query.terms, *(author.term for author in query.authors), *query.rooms
    number = sum(len(term.words) for term in terms)
    if number > WORDS:
        raise Refused(TOO_MANY, "q")
    if not (number or query.names_me or query.before or query.after or query.has_link):
        raise Refused(NO_WORDS, "q")


def names_rooms(text: str) -> bool:
    """Whether what was typed says in which rooms to look."""
    return len(text) <= LENGTH and any(
        name.lower() == "in" and (quoted or plain) for name, quoted, plain in _PART.findall(text)
    )
