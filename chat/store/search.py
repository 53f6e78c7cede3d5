"""Messages of a room that a query finds, the newest first, a little at a time.

The index says which messages may be meant, and the row of each whether it is: a stale index can show nothing
that is not there. What is not indexed yet is read.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from chat.model.members import Member
from chat.model.messages import Message
from chat.model.meta import seats_in
from chat.model.search import Query
from chat.store import queries
from chat.store.asked import Asked, asked_of
from chat.store.members import room_held
from chat.store.postings import SEGMENT, Key, marked, places
from chat.store.queries import SHARDS
from chat.store.records import load_meta, message_of
from chat.store.transaction import Rows, Transaction

BODY = 6  # its place in a row
READ, MOST = 64, 256  # messages that are read at once: at first, and at most
SEGMENTS = 8, 128  # whose index is read at once: at first, and at most
FOREVER = 2**62  # ms
PORTION = 0.01  # s, about, that one `search_some` takes: it may hold the event loop


Places = dict[int, set[int]]  # of messages, by segment


class Span(NamedTuple):
    """Times in ms since 1970 and ids, from the first up to the second."""

    since: int
    until: int
    first: int
    end: int


class Found(NamedTuple):
    """Some messages, and the id before which to go on; 0 if there are no more."""

    messages: list[Message]
    before: int


class _Search:
    """One of a room, and how far back it has come."""

    def __init__(
        self, tx: Transaction, room: int, member: Member, asked: Asked, span: Span, limit: int
    ) -> None:
        self._tx = tx
        self._room = room
        self._ignored = frozenset(member.ignored)
        self._query = asked.query
        self._me = asked.me
        self._span = span
        self._limit = limit
        self._deadline = time.monotonic() + PORTION
        self._is_cut = self._has_asked = False
        self.found: list[Message] = []
        self.before = span.end

    @property
    def is_over(self) -> bool:
        late = self._has_asked and time.monotonic() >= self._deadline
        return late or self._is_cut or len(self.found) >= self._limit

    @property
    def result(self) -> Found:
        return Found(self.found, self.before if self.before > self._span.first else 0)

    def look_at(self, rows: Iterable[Sequence[Any]]) -> None:
        """However long it took to read these, there is time to look at some."""
        deadline = max(self._deadline, time.monotonic() + PORTION / 2)
        for row in rows:
            self.before, body = row[0], row[BODY]
            if body and self._query.may_match(body):  # most do not
                message = message_of(row)
                if self._is_meant(message):
                    self.found.append(message)
            self._is_cut = len(self.found) >= self._limit or time.monotonic() >= deadline
            if self._is_cut:
                return

    def _is_meant(self, message: Message) -> bool:
        is_shown = message.author not in self._ignored and self._span.since <= message.at < self._span.until
        return is_shown and self._query.matches(message, self._me)

    async def read_all(self, first: int) -> None:
        """Look at every message from `first` on."""
        number = READ
        while self.before > first and not self.is_over:
            start = max(first, self.before - number)
            self.look_at(await self._fetch(queries.BETWEEN, start, self.before))
            if self._is_cut:
                return
            self.before, number = start, min(2 * number, MOST)

    async def read_mentions(self, first: int) -> None:
        """Look at those messages from `first` on that mention the member."""
        number = READ
        while self.before > first and not self.is_over:
            rows = await self._fetch(queries.MENTIONING_BETWEEN, first, self.before, number)
            ids = [id for id, at, meta in rows if self._me.is_named(_mentions(meta), at)]
            if not await self._look_at_named(ids):
                return
            self.before = rows[-1][0] if len(rows) == number else first
            number = min(2 * number, MOST)

    async def read_indexed(self, first: int, asked: Asked) -> None:
        """Look at those messages from `first` on that the index names."""
        span, most = SEGMENTS
        while self.before > first and not self.is_over:
            end = -(-self.before // SEGMENT)
            start = max(first // SEGMENT, end - span)
            named = await _Index(self._fetch, asked, start, end).named()
            ids = sorted((id for id in named if first <= id < self.before), reverse=True)
            if not await self._look_at_named(ids):
                return
            self.before = max(first, start * SEGMENT)
            span = min(2 * span, most)

    async def _fetch(self, sql: str, *values: object) -> Rows:
        self._has_asked = True
        return await self._tx.fetch(sql, self._room, *values)

    async def _look_at_named(self, ids: Sequence[int]) -> bool:
        """Whether all were looked at. Some always are, however long it took to read the index."""
        for place in range(0, len(ids), READ):
            if place and self.is_over:
                return False
            asked = list(ids[place : place + READ])
            self.look_at(await self._fetch(self._tx.dialect.asked_messages, asked))
            if self._is_cut:
                return False
            self.before = asked[-1]
        return True


class _Index:
    """What some segments say of what is asked, two shards at once.

    More would be read in vain where the first words name no message.
    """

    def __init__(self, fetch: Callable[..., Awaitable[Rows]], asked: Asked, start: int, end: int) -> None:
        self._fetch = fetch
        self._asked = asked
        self._segments = start, end
        keys = *asked.keys, *(key for name in asked.names for key in name)
        self._shards = [SHARDS, *dict.fromkeys(key.shard for key in keys)]
        self._parts: dict[int, list[tuple[int, bytes]]] = {}

    async def named(self) -> set[int]:
        """Ids of the messages that were edited, or have all keys and those of one of the names."""
        edited = await self._parts_of(SHARDS)
        found = {segment * SEGMENT + place for segment, bits in edited for place in marked(bits)}
        having = await self._having(self._asked.keys, None)
        for keys in self._asked.names or [[]]:
            some = await self._having(keys, having) or {}
            found |= {segment * SEGMENT + place for segment, places in some.items() for place in places}
        return found

    async def _having(self, keys: Iterable[Key], named: Places | None) -> Places | None:
        """Which messages have all keys, of those `named` if that is not None."""
        for key in keys:
            if named is not None and not named:
                break
            named = _having(key, await self._parts_of(key.shard), named)
        return named

    async def _parts_of(self, shard: int) -> list[tuple[int, bytes]]:
        if shard not in self._parts:
            place = self._shards.index(shard)
            first, last = self._shards[place], self._shards[place : place + 2][-1]
            self._parts |= {first: [], last: []}
            for number, segment, part in await self._fetch(
                queries.PARTS_OF_SHARDS, first, last, *self._segments
            ):
                self._parts[number].append((segment, bytes(part)))
        return self._parts[shard]


def _mentions(meta: str) -> Sequence[int]:
    return seats_in(load_meta(meta), "mentions")


def _having(key: Key, parts: Iterable[tuple[int, bytes]], among: Places | None) -> Places:
    """Which messages have a key, of those `among` if that is not None."""
    having: Places = {}
    for segment, part in parts:
        if (among is None or segment in among) and (some := places(part, key)):
            having.setdefault(segment, set()).update(some)
    return having if among is None else {n: kept for n in having if (kept := having[n] & among[n])}


async def span_of(tx: Transaction, member: Member, since: int, until: int) -> Span:
    """What was written in a member's room from one time up to another, both full quarters of an hour.

    If the clock was set back meanwhile, some of it is left out.
    """
    room, rev, _ = await room_held(tx, member)
    first = await _first_since(tx, room, since, rev + 1) if since > 0 else 0
    end = await _first_since(tx, room, until, rev + 1) if until < FOREVER else rev + 1
    return Span(since, until, first, end)


async def _first_since(tx: Transaction, room: int, start: int, otherwise: int) -> int:
    rows = await tx.fetch(queries.FIRST_SINCE, room, start)
    return int(rows[0][0]) if rows else otherwise


async def search_some(tx: Transaction, member: Member, query: Query, span: Span, limit: int) -> Found:
    """The newest messages of a span that a query finds in a member's room; at most `limit`.

    What the member ignores is not among them. It is over after a while, whether or not it found any. Raises
    NotFound, or Forbidden if they have left.
    """
    room, _, indexed = await room_held(tx, member)
    asked = await asked_of(tx, room, member, query)
    search, is_indexed = _Search(tx, room, member, asked, span, limit), bool(asked.keys or asked.names)
    if query.mentions_me:
        await search.read_mentions(span.first)
        return search.result
    await search.read_all(max(span.first, indexed * SEGMENT) if is_indexed else span.first)
    if is_indexed:
        await search.read_indexed(span.first, asked)
    return search.result
