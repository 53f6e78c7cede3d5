"""What a search found: each message in short, with the words that were looked for marked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import NamedTuple, Protocol

from markupsafe import Markup, escape

from chat.model.formatting import plain_text
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.model.search import LENGTH, WORDS, Query, Term
from chat.model.words import pieces_of
from chat.views.engine import Engine
from chat.views.quotes import HIDDEN
from chat.views.reader import Reader
from chat.views.rooms import name_of

EXCERPT = 300  # characters of a text, about
BEFORE = 60  # of them before the first word that is marked
MARKS = 100  # at most


class Hit(Protocol):
    @property
    def room(self) -> Room: ...

    @property
    def message(self) -> Message: ...

    @property
    def excerpt(self) -> str: ...


class Outcome(NamedTuple):
    """What is shown below the field: hits, and where to go on; or why there are none."""

    query: Query | None = None
    hits: Sequence[Hit] = ()
    more: int = 0
    is_cut: bool = False
    failure: object = None


class SearchPages:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page

    def room(self, room: Room, typed: str, outcome: Outcome, reader: Reader) -> str:
        return self._page("search/room.html", reader, room=room, **_values(typed, outcome))

    def everywhere(self, typed: str, outcome: Outcome, reader: Reader) -> str:
        """Of all rooms that the reader is in."""
        return self._page("search/everywhere.html", reader, **_values(typed, outcome))


def _values(typed: str, outcome: Outcome) -> dict[str, object]:
    return {
        "typed": typed,
        "outcome": outcome,
        "name_of": name_of,
        "length": LENGTH,
    }


def excerpt(text: str, query: Query) -> Markup:
    """The part of a text where the first word is, in which all are marked. What is hidden stays so."""
    body = plain_text(text, hidden=HIDDEN)
    spans = list(islice(_merged(_marked(body, query) if query.terms else ()), MARKS))
    start = spans[0][0] - BEFORE if spans and len(body) > EXCERPT else 0
    start = body.find(" ", start, start + BEFORE) + 1 or start if start > 0 else 0
    end = start + EXCERPT
    shown, place = [Markup("… ") if start else Markup()], start
    for first, last in spans:
        if first >= end:
            break
        shown += escape(body[place:first]), Markup("<mark>{}</mark>").format(body[first:last])
        place = last
    rest = body[place : max(end, place)]
    return Markup("").join([*shown, escape(rest), "…" if place + len(rest) < len(body) else ""])


def _marked(body: str, query: Query) -> Iterator[tuple[int, int]]:
    """Where the terms of a query are, as far as an excerpt can show them."""
    words = _shown(body, query.terms)
    names = [word for word, _, _ in words]
    for term in query.terms:
        for place in term.starts(names):
            yield words[place][1], words[place + len(term.words) - 1][2]


def _shown(body: str, terms: Sequence[Term]) -> Sequence[tuple[str, int, int]]:
    """The words, with their places, from shortly before where the first term ends to shortly after it."""
    last_words = tuple(term.words[-1] for term in terms)
    before: deque[tuple[str, int, int]] = deque(maxlen=WORDS)  # no term has more
    words = ((word, piece.start, piece.end) for piece in pieces_of(body) for word in piece.words)
    for word in words:
        before.append(word)
        if word[0].startswith(last_words) and _has_any(terms, [name for name, _, _ in before]):
            break
    end = before[-1][2] + EXCERPT if before else 0
    return [*before, *takewhile(lambda word: word[1] < end, words)]


def _has_any(terms: Sequence[Term], words: Sequence[str]) -> bool:
    return any(term.is_in(words) for term in terms)


def _merged(spans: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Without overlaps, in order."""
    start = end = -1
    for first, last in sorted(spans):
        if first > end:
            if end >= 0:
                yield start, end
            start = first
        end = max(end, last)
    if end >= 0:
        yield start, end
