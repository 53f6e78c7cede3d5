"""What a search means in one room: whose seats are "me", and whose names were typed whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chat.model.lookalikes import skeleton
from chat.model.members import Member
from chat.model.search import Author, Me, Query, Term
from chat.model.words import words_of
from chat.store import queries
from chat.store.postings import Key, author_keys, keys_of
from chat.store.transaction import Transaction

ALIKE = 20  # names of one look that are compared
NAMES = 8  # of one's own, from which the index is asked; with more, it is not asked for them
TOLD = 2  # words of a name by which it is asked


class Asked(NamedTuple):
    """What is found has all `keys`, and if there are `names` those of one."""

    query: Query
    me: Me
    keys: Sequence[Key]
    names: Sequence[Sequence[Key]]


async def asked_of(tx: Transaction, room: int, member: Member, query: Query) -> Asked:
    authors = [await _meant(tx, room, author) for author in query.authors]
    query = replace(query, authors=tuple(authors)) if authors else query
    rows = await tx.fetch(queries.OWN_SEATS, room, member.person) if query.names_me else []
    me = Me(frozenset(number for number, _, _ in rows), min((taken for _, _, taken in rows), default=0))
    names = {tuple(words_of(name)) for _, name, _ in rows} if query.is_from_me else set()
    return Asked(query, me, keys_of(query), _keys_of(names))


async def _meant(tx: Transaction, room: int, author: Author) -> Author:
    """A name that is somebody's is no start of others: as it was typed, or its words.

    One whose accents were left out is not looked for, so it may still be the start of others.
    """
    if not author.term.is_open:
        return author
    for folded in {skeleton(name).folded for name in (author.name, " ".join(author.term.words))}:
        rows = await tx.fetch(queries.NAMES_FOLDED, room, folded, ALIKE)
        if any(tuple(words_of(name)) == author.term.words for (name,) in rows):
            return author.exactly
    return author


def _keys_of(names: set[tuple[str, ...]]) -> list[list[Key]]:
    """The first words of a name tell enough: one in a script without spaces has many."""
    if not all(names) or len(names) > NAMES:
        return []
    return [author_keys(Term(name))[:TOLD] for name in sorted(names)]
