"""What somebody looks for in messages: words, phrases and filters, as they are typed in one field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from chat.model.errors import Refused
from chat.model.messages import Message
from chat.model.sentences import Sentence
from chat.model.words import is_alone, words_of

LENGTH = 200  # characters
WORDS = 16  # of one query
PREFIX = 2  # letters from which the last word may be the start of one

TOO_LONG = Sentence("Please search for at most %(n)s characters.", n=LENGTH)
TOO_MANY = Sentence("Please search for at most %(n)s words.", n=WORDS)
NO_WORDS = "Please type letters or digits to search for."
NO_DATE = "Please write the date as in before:2026-11-22."
NO_NAME = "Please write a name right after from: as in from:ann."
ONLY_LINK = "After has: only the word link is understood, as in has:link."

LINK = re.compile(r"(?:https?://|mailto:|\bwww\.)[^\s.]", re.IGNORECASE)
_PART = re.compile(r'(?:(from|before|after|has):)?(?:"([^"]*)"|(\S*))', re.IGNORECASE)
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


@dataclass(frozen=True, slots=True)
class Query:
    """`before` and `after` are days: the first is not among them, the second is."""

    terms: tuple[Term, ...] = ()
    authors: tuple[Term, ...] = ()
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

    def matches(self, message: Message) -> bool:
        """Whether a message is found, whenever it was written."""
        body = message.body
        if message.kind != "text" or body is None or (self.has_link and not LINK.search(body)):
            return False
        names = words_of(message.name) if self.authors else []
        if not all(author.is_in(names) for author in self.authors):
            return False
        words = words_of(body) if self.terms else []
        return all(term.is_in(words) for term in self.terms)


def parse_query(text: str) -> Query | None:
    """None if nothing was typed. Raises Refused."""
    if len(text) > LENGTH:
        raise Refused(TOO_LONG, "q")
    if not text.strip():
        return None
    terms: list[Term] = []
    filters: dict[str, list[str]] = {"from": [], "before": [], "after": [], "has": []}
    for name, quoted, plain in _PART.findall(text):
        if name:
            filters[name.lower()].append(quoted or plain)
        elif words := tuple(words_of(quoted or plain)):
            terms.append(Term(words))
    if terms and not text.rstrip().endswith('"'):
        terms[-1] = _opened(terms[-1], text)
    query = Query(
        tuple(terms),
        tuple(_author(name) for name in filters["from"]),
        before=min(map(_day, filters["before"]), default=None),
        after=max(map(_day, filters["after"]), default=None),
        has_link=_asks_for_link(filters["has"]),
    )
    _check(query)
    return query


def _opened(term: Term, text: str) -> Term:
    """The last word may go on, if it is what was typed last."""
    last = term.words[-1]
    is_last = words_of(text)[-1:] == [last]
    return Term(term.words, is_last and len(last) >= PREFIX and not is_alone(last))


def _author(name: str) -> Term:
    words = tuple(words_of(name))
    if not words:
        raise Refused(NO_NAME, "q")
    return Term(words)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        raise Refused(NO_DATE, "q") from None


def _asks_for_link(values: Sequence[str]) -> bool:
    if any(value.casefold() not in ("link", "links") for value in values):
        raise Refused(ONLY_LINK, "q")
    return bool(values)


def _check(query: Query) -> None:
    number = sum(len(term.words) for term in (*query.terms, *query.authors))
    if number > WORDS:
        raise Refused(TOO_MANY, "q")
    if not (number or query.before or query.after or query.has_link):
        raise Refused(NO_WORDS, "q")
