"""Searching in the stores, and their index of words: what was deleted is not in it."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import calls
import pytest
from postgres import the_server

from chat.features.search import BUDGET, find
from chat.model.errors import Forbidden
from chat.model.members import Member
from chat.model.messages import Delete, Edit
from chat.model.meta import frozen
from chat.model.search import parse_query
from chat.store import Store, word_index
from chat.store.archive import move
from chat.store.asked import NAMES
from chat.store.postgres.store import PostgresStore
from chat.store.postings import (
    NO_MARKS,
    SEGMENT,
    Key,
    Segment,
    is_marked,
    keys_of,
    marked,
    places,
    toggled,
    without,
)
from chat.store.queries import PARTS_OF_SHARDS, SHARDS
from chat.store.search import FOREVER, READ, search_some, span_of
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Rows, Transaction
from chat.store.word_index import index_rooms
from chat.turns import Turn
from chat.views.look import LOOK
from chat.views.times import start_of

ROOM = "BCDFGHJK"
SECRET = "hunter2xyzzy"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/chat.db" if request.param == "sqlite" else the_server().schema()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made: Store = SQLiteStore(url.removeprefix("sqlite:///")) if "sqlite" in url else PostgresStore(url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def ann(store: Store) -> Member:
    await calls.open_room(store, ROOM)
    return await calls.take_seat(store, ROOM, "ann", "Ann")


async def say(store: Store, member: Member, *texts: str) -> list[int]:
    writes = [
        store.append(member.code, member.number, f"{member.name} {time.monotonic_ns()} {n}", text)
        for n, text in enumerate(texts)
    ]
    return [(await write).message.id for write in writes]


async def found(store: Store, member: Member, text: str, before: int = 0, limit: int = 100) -> list[int]:
    query = parse_query(text)
    assert query
    since = start_of(query.after, LOOK) if query.after else 0
    until = start_of(query.before, LOOK) if query.before else FOREVER
    span = await store.read(span_of, member, since, until)
    span = span._replace(end=before or span.end)
    return [m.id for m in (await find(store, member, query, span, limit, Turn(60))).messages]


async def filled(store: Store, member: Member) -> None:
    """Make the present segment whole, and index it."""
    rev = (await calls.heads(store, [member.code]))[member.code].rev
    await say(store, member, *(f"filler {n}" for n in range(SEGMENT - 1 - rev % SEGMENT)))
    assert await index_rooms(store, rest=0) > 0


async def parts(url: str) -> list[bytes]:
    """Everything that the index holds of words."""
    return [part for shard, part in await _postings(url) if shard < SHARDS]


async def marks(url: str) -> list[bytes]:
    """What it holds of edited texts."""
    return [part for shard, part in await _postings(url) if shard == SHARDS]


async def _postings(url: str) -> list[tuple[int, bytes]]:
    if url.startswith("sqlite"):
        import sqlite3

        with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
            return list(db.execute("SELECT shard, pairs FROM posting"))
    db = await asyncpg.connect(url)
    try:
        return [(shard, bytes(part)) for shard, part in await db.fetch("SELECT shard, pairs FROM posting")]
    finally:
        await db.close()


async def test_what_is_found_does_not_depend_on_what_is_indexed(store: Store, ann: Member, url: str) -> None:
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    texts = [
        "High tide",
        "Ebbe und Flut",
        "日本語のテキスト",
        "本日",
        "see https://example.org",
        "tide table",
        "high",
    ]
    ids = [await say(store, bob if n % 2 else ann, text) for n, text in enumerate(texts)]
    questions = {
        "tide": [5, 0],
        "high ti": [0],
        '"tide high"': [],
        "日本": [2],
        "本日": [3],
        "日": [3, 2],
        "has:link": [4],
        "from:bob": [5, 3, 1],
        "from:bob tide": [5],
        "from:bo": [5, 3, 1],
        "from:me tide": [0],
        "tid hig": [0],
        "fl": [1],
        "flut ebbe": [1],
        "ta": [5],
        "nowhere": [],
        "nowhere tide": [],
    }

    async def check() -> None:
        for text, numbers in questions.items():
            assert await found(store, ann, text) == [ids[n][0] for n in numbers], text

    await check()
    assert not await parts(url)
    await filled(store, ann)
    assert await parts(url)
    await check()
    later = await say(store, bob, "a tide again")
    assert (await found(store, ann, "tide"))[0] == later[0]
    assert await index_rooms(store, rest=0) == 0


async def test_one_s_own_texts_are_found_under_every_name_one_had(store: Store, ann: Member) -> None:
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    (first,) = await say(store, ann, "tide one")
    await say(store, bob, "tide two")
    await calls.end_seat(store, ROOM, "ann")
    anna = await calls.take_seat(store, ROOM, "ann", "Anna")
    (last,) = await say(store, anna, "tide three")
    questions = {"from:me": [last, first], "from:me one": [first], "from:ann tide": [first]}
    for text, ids in questions.items():
        assert await found(store, anna, text) == ids, text
    await filled(store, bob)
    for text, ids in questions.items():
        assert await found(store, anna, text) == ids, text


async def test_mentions_are_found_however_many_others_there_are(store: Store, ann: Member) -> None:
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    (meant,) = await say(store, ann, "hello")
    await calls.amend(store, ROOM, meant, Edit("@Bob", frozen({"mentions": [bob.number]})))
    for id in await say(store, ann, *["others"] * (2 * READ)):
        await calls.amend(store, ROOM, id, Edit("@Cat", frozen({"mentions": [999]})))
    assert await found(store, bob, "mentions:me") == [meant]
    assert await found(store, ann, "mentions:me") == []
    assert await portions(store, bob, "mentions:me") == [meant]


async def test_a_page_ends_where_the_next_one_begins(store: Store, ann: Member) -> None:
    ids = await say(store, ann, *("tide" if n % 3 == 0 else "ebb" for n in range(SEGMENT + 300)))
    wanted = [id for n, id in enumerate(ids) if n % 3 == 0][::-1]
    await index_rooms(store, rest=0)
    pages: list[int] = []
    while some := await found(store, ann, "tide", before=pages[-1] if pages else 0, limit=20):
        pages += some
    assert pages == wanted


async def portions(store: Store, member: Member, text: str) -> list[int]:
    """What is found in portions, each of which has no time."""
    query = parse_query(text)
    assert query
    span = await store.read(span_of, member, 0, FOREVER)
    ids: list[int] = []
    while True:
        some = await store.read(search_some, member, query, span, 100)
        ids += [message.id for message in some.messages]
        if not some.before:
            return ids
        assert some.before < span.end, "a search goes on"
        span = span._replace(end=some.before)


async def test_a_search_goes_on_however_long_it_takes_to_read_the_index(
    store: Store, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await say(store, ann, "tide one", "ebb", "tide two")
    await filled(store, ann)
    ids += await say(store, ann, "tide three")
    monkeypatch.setattr("chat.store.search.PORTION", 0.0)
    assert await portions(store, ann, "tide") == [ids[3], ids[2], ids[0]]
    assert await portions(store, ann, "nowhere") == []


async def test_a_search_goes_on_where_many_changes_are_no_messages(
    store: Store, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = await say(store, ann, "tide")
    for n in range(2 * READ + 10):
        await calls.amend(store, ROOM, id, Edit(f"tide {n}"))
    monkeypatch.setattr("chat.store.search.PORTION", 0.0)
    assert await portions(store, ann, "tide") == [id]


class Counted:
    """A transaction, and what it asks the database."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.dialect = tx.dialect
        self.asked: list[str] = []

    async def fetch(self, sql: str, *values: Any) -> Rows:
        self.asked.append(sql)
        return await self._tx.fetch(sql, *values)


async def asked_by(store: Store, member: Member, text: str) -> list[str]:
    """What one search asks the database."""
    query = parse_query(text)
    assert query

    async def searched(tx: Transaction) -> list[str]:
        counted = Counted(tx)
        span = await span_of(counted, member, 0, FOREVER)  # type: ignore[arg-type]
        await search_some(counted, member, query, span, 20)  # type: ignore[arg-type]
        return counted.asked

    return await store.read(searched)


async def test_a_search_asks_the_database_few_times(
    store: Store, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question takes a way to the server and back, and often longer than the answer."""
    monkeypatch.setattr("chat.store.search.PORTION", 60.0)
    await filled(store, ann)
    await say(store, ann, *["ebb"] * 600)
    assert len(await asked_by(store, ann, '"low tide" wave')) <= 7


async def named(store: Store, names: Sequence[str]) -> Member:
    """Somebody who has written under each of these names."""
    for name in names:
        await calls.end_seat(store, ROOM, "me")
        me = await calls.take_seat(store, ROOM, "me", name)
        await say(store, me, f"tide of {name}")
    return me


async def test_one_s_own_texts_are_found_by_the_first_words_of_the_names_one_had(
    store: Store, ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each character of a script without spaces is a word, and each word is one more part of the index."""
    monkeypatch.setattr("chat.store.search.PORTION", 60.0)
    names = ["".join(chr(0x4E00 + 50 * n + k) for k in range(32)) for n in range(NAMES)]
    me = await named(store, names)
    await filled(store, ann)
    assert len(await found(store, me, "tide from:me")) == NAMES
    shards = [sql for sql in await asked_by(store, me, "tide from:me") if sql == PARTS_OF_SHARDS]
    assert len(shards) <= 1 + NAMES


@pytest.mark.parametrize(
    "names", [["***"], ["Bob", "***"], [f"Bob Bobson the {n}th" for n in range(NAMES + 1)]]
)
async def test_the_index_is_not_asked_for_names_without_words_nor_for_very_many(
    store: Store, ann: Member, names: Sequence[str]
) -> None:
    me = await named(store, names)
    await filled(store, ann)
    assert len(await found(store, me, "from:me")) == len(await found(store, me, "tide from:me")) == len(names)
    assert PARTS_OF_SHARDS not in await asked_by(store, me, "from:me")


async def test_days_bound_a_search(store: Store, ann: Member) -> None:
    today = date.today().isoformat()
    ids = await say(store, ann, "tide")
    assert await found(store, ann, f"after:{today}") == ids
    assert await found(store, ann, f"tide after:{today}") == ids
    assert await found(store, ann, f"before:{today}") == []
    assert await found(store, ann, "after:2999-01-01") == []
    assert await found(store, ann, "before:2999-01-01 after:0001-01-01") == ids
    assert await found(store, ann, "before:0001-01-01") == []


async def test_a_deleted_or_edited_text_is_in_no_part_of_the_index(
    store: Store, ann: Member, url: str
) -> None:
    gone, changed, kept = await say(store, ann, f"{SECRET} gone", f"{SECRET} changed", "other words")
    await filled(store, ann)
    assert await found(store, ann, SECRET) == [changed, gone]
    before = await parts(url)
    assert any(_speaks_of(part, gone) for part in before)
    await calls.amend(store, ROOM, gone, Delete())
    await calls.amend(store, ROOM, changed, Edit("harmless now"))
    after = await parts(url)
    assert not any(_speaks_of(part, gone) for part in after)
    assert await found(store, ann, SECRET) == []
    assert await found(store, ann, "harmless") == [changed]
    query = parse_query(f'"{SECRET}"')
    assert query
    (key,) = keys_of(query)
    assert not any(place == changed % SEGMENT for part in after for place in places(part, key))
    assert sorted(map(len, before)) == sorted(map(len, after))[-len(before) :], "what was there has its size"
    assert await found(store, ann, "other") == [kept]
    await calls.amend(store, ROOM, changed, Edit(f"{SECRET} is back"))
    assert await found(store, ann, SECRET) == [changed]


def _speaks_of(part: bytes, id: int) -> bool:
    return id % SEGMENT in places(part, Key(0, 0, 2**22))


async def test_edits_do_not_make_the_index_longer(
    store: Store, ann: Member, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    often, once, kept = await say(store, ann, "tide one", "tide two", "tide three")
    await filled(store, ann)
    before = await parts(url)
    assert await marks(url) == []
    looked: list[int] = []

    def count(part: bytes, id: int) -> bytes:
        looked.append(id)
        return without(part, id)

    monkeypatch.setattr(word_index, "without", count)
    for n in range(20):
        await calls.amend(store, ROOM, often, Edit(f"surge w{n} https://example.org"))
    await calls.amend(store, ROOM, once, Edit("ebb"))
    assert [len(part) for part in await marks(url)] == [SEGMENT // 8]
    assert sorted(map(len, await parts(url))) == sorted(map(len, before))
    assert looked.count(often) == len(before), "only the first edit looks for the words"
    for text, ids in {
        "tide": [kept],
        "surge": [often],
        "w19": [often],
        "w3": [],
        "ebb": [once],
        "has:link": [often],
        "from:ann surge": [often],
    }.items():
        assert await found(store, ann, text) == ids, text
    await calls.amend(store, ROOM, often, Delete())
    assert await found(store, ann, "surge") == []
    await calls.amend(store, ROOM, once, Delete())
    assert await marks(url) == [bytes(SEGMENT // 8)]
    assert len(await parts(url)) == len(before)


async def test_no_word_is_in_the_files_even_while_it_is_indexed(tmp_path: Path) -> None:
    """Only the text itself is; once that is deleted, its words are nowhere."""
    path = tmp_path / "chat.db"
    store = SQLiteStore(str(path))
    await store.open()
    await calls.open_room(store, ROOM)
    ann = await calls.take_seat(store, ROOM, "ann", "Ann")
    secrets = [f"{SECRET}{n}" for n in range(40)]
    ids = await say(store, ann, *secrets, *("filler" for _ in range(SEGMENT)))
    assert await index_rooms(store, rest=0) == 1
    for n, id in enumerate(ids[: len(secrets)]):
        if n % 2:
            await calls.amend(store, ROOM, id, Edit("harmless"))
        await calls.amend(store, ROOM, id, Delete())
    for file in (path, path.with_name("chat.db-wal")):
        async with asyncio.timeout(10):
            while SECRET.encode() in file.read_bytes():  # the WAL is emptied a second later
                await asyncio.sleep(0.1)
    await store.close()
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_text_that_changes_while_its_segment_is_read_waits_for_the_next_time(
    store: Store, ann: Member, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = await say(store, ann, SECRET)
    await say(store, ann, *("filler" for _ in range(SEGMENT)))
    seal = word_index._seal

    async def delete_first(call: object, *arguments: object) -> object:
        monkeypatch.undo()
        await calls.amend(store, ROOM, id, Delete())
        return await store.write(ROOM, seal, *arguments)  # type: ignore[arg-type]

    calls.intercept(monkeypatch, store, seal, delete_first)
    assert await index_rooms(store, rest=0) == 0
    assert await parts(url) == []
    assert await index_rooms(store, rest=0) == 1
    assert await found(store, ann, SECRET) == []


CLOSE = ["UPDATE room SET expires = 0"]
REMOVE = [f"DELETE FROM {table}" for table in ("message", "read_position", "idempotency_key", "seat", "room")]


@pytest.mark.parametrize("changes", [CLOSE, REMOVE], ids=["closed", "removed"])
async def test_a_room_that_is_removed_while_it_is_indexed_has_no_index(
    store: Store, ann: Member, url: str, monkeypatch: pytest.MonkeyPatch, changes: list[str]
) -> None:
    await say(store, ann, *("tide" for _ in range(SEGMENT)))
    seal = word_index._seal

    async def remove_first(call: object, *arguments: object) -> object:
        monkeypatch.undo()
        await store.write(ROOM, _run_all, changes)
        return await store.write(ROOM, seal, *arguments)  # type: ignore[arg-type]

    calls.intercept(monkeypatch, store, seal, remove_first)
    assert await index_rooms(store, rest=0) == 0
    assert await parts(url) == []
    calls.intercept(monkeypatch, store, seal, AsyncMock(side_effect=AssertionError("is indexed again")))
    assert await index_rooms(store, rest=0) == 0


async def _run_all(tx: Transaction, statements: Sequence[str]) -> None:
    for statement in statements:
        await tx.fetch(statement)


async def test_two_nodes_index_a_segment_once(store: Store, ann: Member, url: str) -> None:
    await say(store, ann, *("tide" for _ in range(SEGMENT)))
    done = await asyncio.gather(*(index_rooms(store, rest=0) for _ in range(3)))
    assert sum(done) == 1
    assert len(await found(store, ann, "tide", limit=2000)) == SEGMENT
    assert len(await parts(url)) <= SHARDS


async def test_nobody_finds_anything_in_a_room_that_they_left(store: Store, ann: Member) -> None:
    await say(store, ann, "tide")
    await calls.end_seat(store, ROOM, "ann")
    with pytest.raises(Forbidden):
        await found(store, ann, "tide")


async def test_a_copied_store_is_indexed_anew(store: Store, ann: Member, url: str, tmp_path: Path) -> None:
    ids = await say(store, ann, *("tide" if n == 7 else "ebb" for n in range(SEGMENT)))
    await index_rooms(store, rest=0)
    await store.close()
    copied = f"sqlite:///{tmp_path}/copy.db"
    await move(url, copied, lambda line: None)
    await store.open()
    copy = SQLiteStore(copied.removeprefix("sqlite:///"))
    await copy.open()
    assert await found(copy, ann, "tide") == [ids[7]]
    assert await index_rooms(copy, rest=0) == 1
    assert await found(copy, ann, "tide") == [ids[7]]
    await copy.close()


def test_words_that_begin_alike_are_found_by_their_beginning() -> None:
    words = ["ti", "tid", "tide", "tides", "tidewater", "time", "to", "ünter"]
    segment = Segment()
    segment.add([(n, "Ann", word) for n, word in enumerate(words)])
    named = dict(segment.parts())
    for typed, least in (("ti", {0, 1, 2, 3, 4, 5}), ("tide", {2, 3, 4}), ("tidew", {4}), ("unte", {7})):
        query = parse_query(typed)
        assert query
        (key,) = keys_of(query)
        assert least <= places(named[key.shard], key)
        assert 6 not in places(named[key.shard], key)


async def test_a_text_of_very_many_words_is_always_read(store: Store, ann: Member, url: str) -> None:
    """Else few texts could make the index as large as themselves."""
    words = [f"w{n}" for n in range(1300)]
    (long,) = await say(store, ann, " ".join(words))
    (short,) = await say(store, ann, "w7 alone")
    await filled(store, ann)
    assert max(map(len, await parts(url))) < 4 * 2 * SEGMENT
    assert await found(store, ann, '"w7"') == [short, long]
    assert await found(store, ann, "w1299") == [long]
    assert await found(store, ann, "nowhere") == []
    await calls.amend(store, ROOM, long, Delete())
    assert not any(_speaks_of(part, long) for part in await parts(url))


def test_a_part_without_a_message_has_its_size() -> None:
    segment = Segment()
    segment.add([(1, "", "one two three"), (2, "", "one")])
    parts = [part for _, part in segment.parts()]
    rest = [without(part, 1) for part in parts]
    assert [*map(len, rest)] == [*map(len, parts)]
    assert [_speaks_of(part, 2) for part in rest] == [_speaks_of(part, 2) for part in parts]
    assert not any(_speaks_of(part, 1) for part in rest)


def test_a_deleted_text_changes_little_of_a_long_index() -> None:
    segment = Segment()
    words = [f"tide{n}" for n in range(590)]
    segment.add([(id, "", " ".join(words)) for id in range(SEGMENT)])
    parts = [part for _, part in segment.parts()]
    assert max(map(len, parts)) <= 64 * 1024
    for id in (0, 511, 512, SEGMENT - 1):
        changed = [(part, rest) for part in parts if (rest := without(part, id)) is not part]
        assert 0 < len(changed) <= 3
        assert sum(len(part) for part, rest in changed) <= 3 * 64 * 1024
        assert all(len(rest) == len(part) and not _speaks_of(rest, id) for part, rest in changed)
    query = parse_query('"tide7"')
    assert query
    (key,) = keys_of(query)
    named = [places(part, key) for shard, part in segment.parts() if shard == key.shard]
    assert set[int]().union(*named) == set(range(SEGMENT))


def test_edited_messages_are_marked_one_by_one() -> None:
    bits, ids = NO_MARKS, [0, 7, 8, 513, SEGMENT - 1]
    for id in ids:
        bits = toggled(bits, id + 3 * SEGMENT)
    assert marked(bits) == set(ids)
    assert [id for id in range(SEGMENT) if is_marked(bits, id)] == ids
    assert marked(toggled(bits, 8)) == set(ids) - {8}


def test_what_is_taken_out_is_what_each_pair_says() -> None:
    pairs = sorted(number * SEGMENT + place for number in range(1, 40) for place in range(number, SEGMENT, 7))
    part = array("I", pairs).tobytes()
    for id in (0, 1, 255, 256, 257, 511, 768, SEGMENT - 1, SEGMENT + 5):
        kept = [pair for pair in pairs if pair % SEGMENT != id % SEGMENT]
        assert array("I", without(part, id)).tolist() == kept + kept[-1:] * (len(pairs) - len(kept))


def test_a_search_has_little_time() -> None:
    assert BUDGET <= 2
