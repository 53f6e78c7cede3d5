"""Which words are in which messages, in numbers from which no word can be read.

A segment of a room is a span of ids. What is known of it stands in SHARDS parts, one for all words of like
beginnings. A part is a sorted list of pairs, each the number of a word and a message, in four bytes. Words
share numbers, so a search has to read the messages that it finds. One more part, after the shards, has a
bit for each message of the segment: those that were edited since it was indexed are always read.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from chat.model.search import LINK, Query, Term
from chat.model.words import is_alone, words_of
from chat.store.queries import SHARDS

SEGMENT = 1024  # ids
REMEMBERED = 20_000  # words, while a segment is read
MOST = 600  # words of one message: of one with more, every part says that it is to be read
NOTHING = 2**32 - 1  # as a pair
PAIRS = 16 * 1024  # of one part
LOW = 0 if sys.byteorder == "little" else 3  # the place in a pair of its lowest byte; the next is beside it
NO_MARKS = bytes(SEGMENT // 8)
READ_IT = 0  # in place of the number of a word
AUTHOR, HAS_LINK = "\x01", "\x02"  # in words that no text can have

Text = tuple[int, str, str]  # id, author's name, body


class Key(NamedTuple):
    """Numbers of words, from `first` up to `last`, which is none of them."""

    shard: int
    first: int
    last: int


class Segment:
    """What is known of the texts of one segment, while they are read."""

    def __init__(self) -> None:
        self._shards = [array("I") for _ in range(SHARDS)]
        self._known: dict[str, tuple[int, int]] = {}

    def add(self, texts: Sequence[Text]) -> None:
        for id, name, body in texts:
            place, words = id % SEGMENT, _indexed(name, body)
            if len(words) > MOST:
                for pairs in self._shards:
                    pairs.append(READ_IT * SEGMENT + place)
                continue
            for word in words:
                shard, number = self._known.get(word) or self._number(word)
                self._shards[shard].append(number * SEGMENT + place)

    def _number(self, word: str) -> tuple[int, int]:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[word] = number = _number(word)
        return number

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Several of a shard with many pairs, each about other messages: one that is deleted changes few."""
        for shard, pairs in enumerate(self._shards):
            for start in range(0, len(pairs), PAIRS):
                yield shard, array("I", sorted(pairs[start : start + PAIRS])).tobytes()


def places(part: bytes, key: Key) -> set[int]:
    """Which messages of a segment have one of these words, perhaps."""
    pairs = array("I", part)
    first, last = bisect_left(pairs, key.first * SEGMENT), bisect_left(pairs, key.last * SEGMENT)
    always = bisect_left(pairs, (READ_IT + 1) * SEGMENT)
    return {pair % SEGMENT for pair in pairs[:always] + pairs[first:last]}


def without(part: bytes, id: int) -> bytes:
    """The part without what it says of a message, of the same size."""
    found = list(_pairs_of(part, id % SEGMENT))
    if not found:
        return part
    kept = array("I", part)
    for index in reversed(found):
        del kept[index]
    filler = kept[-1] if kept else NOTHING
    return (kept + array("I", [filler]) * len(found)).tobytes()


def _pairs_of(part: bytes, place: int) -> Iterator[int]:
    """Where its pairs with a message are: they are few, so bytes are compared and not each pair."""
    lows, highs = part[LOW::4], part[LOW ^ 1 :: 4]
    index = lows.find(place & 255)
    while index >= 0:
        if highs[index] % (SEGMENT >> 8) == place >> 8:
            yield index
        index = lows.find(place & 255, index + 1)


def marked(bits: bytes) -> set[int]:
    """Which messages of a segment are always to be read."""
    return {8 * n + bit for n, some in enumerate(bits) if some for bit in range(8) if some >> bit & 1}


def is_marked(bits: bytes, id: int) -> bool:
    place = id % SEGMENT
    return bool(bits[place // 8] >> place % 8 & 1)


def toggled(bits: bytes, id: int) -> bytes:
    place, changed = id % SEGMENT, bytearray(bits)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def keys_of(query: Query) -> list[Key]:
    """What each message that it finds has. None if that can be any."""
    keys = [key for term in query.terms for key in _keys(term)]
    keys += [key for author in query.authors for key in author_keys(author.term)]
    return list(dict.fromkeys([*keys, _key(HAS_LINK)] if query.has_link else keys))


def author_keys(name: Term) -> list[Key]:
    """What each message has whose author's name has these words."""
    *words, last = (AUTHOR + word for word in name.words)
    return [*map(_key, words), _prefix(last) if name.is_open else _key(last)]


def _keys(term: Term) -> Iterator[Key]:
    *words, last = term.words
    yield from map(_key, words)
    yield _prefix(last) if term.is_open else _key(last)
    yield from map(_key, _neighbours(term.words))


def _key(word: str) -> Key:
    shard, number = _number(word)
    return Key(shard, number, number + 1)


def _prefix(word: str) -> Key:
    """Of all words that begin so."""
    shard, number = _number(word)
    free = {2: 18, 3: 13}.get(len(word), 8)  # bits that say more than the letters which are known
    first = number >> free << free
    return Key(shard, first, first + (1 << free))


def _indexed(name: str, body: str) -> set[str]:
    words = words_of(body)
    found = {*words, *(AUTHOR + word for word in words_of(name))}
    if not body.isascii():
        found.update(_neighbours(words))
    if LINK.search(body):
        found.add(HAS_LINK)
    return found


def _neighbours(words: Sequence[str]) -> Iterator[str]:
    """Characters that are words, in pairs: each is in many texts, but few pairs are."""
    alone = [is_alone(word) for word in words]
    for place in range(1, len(words)):
        if alone[place] and alone[place - 1]:
            yield words[place - 1] + words[place]


def _number(word: str) -> tuple[int, int]:
    """The shard, and 22 bits: four and the shard for the first two letters, five for three, five for four,
    eight for the whole word."""
    two, three, four, all = (crc32(word[:length].encode()) for length in (2, 3, 4, len(word)))
    number = (two >> 5 & 15) << 18 | (three >> 9 & 31) << 13 | (four >> 14 & 31) << 8 | all >> 19 & 255
    return two % SHARDS, number
