"""Pages of the past in either store: both ways from any message, and from a day on, whatever clocks did."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import calls
import pytest
from postgres import the_server
from store_model import Clock

from chat.model.messages import Message
from chat.store import NotFound, Store, past, queries
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Transaction
from chat.store.windows import weight

ROOM = "BCDFGHJK"
QUARTER, DAY = 900_000, 86_400_000  # ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    is_sqlite = request.param == "sqlite"
    url = str(tmp_path / "chat.db") if is_sqlite else the_server().schema()
    store: Store = SQLiteStore(url, clock=clock) if is_sqlite else PostgresStore(url, clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    await calls.take_seat(store, ROOM, "person", "Ann")
    yield store
    await store.close()


async def write(store: Store, count: int) -> list[Message]:
    for n in range(count):
        await store.append(ROOM, 1, f"key-{n}", f"text {n}")
    return (await calls.history(store, ROOM, limit=1000)).messages


async def test_later_messages_follow_until_the_newest(store: Store) -> None:
    messages = await write(store, 7)
    page = await store.snapshot(past.later, ROOM, 0, 3)
    assert (page.messages, page.more, page.later) == (messages[:3], False, True)
    page = await store.snapshot(past.later, ROOM, messages[2].id, 4)
    assert (page.messages, page.more, page.later) == (messages[3:], True, False)
    page = await store.snapshot(past.later, ROOM, messages[-1].id, 4)
    assert (page.messages, page.more, page.later) == ([], True, False)


async def test_an_earlier_page_says_whether_there_are_later_ones(store: Store) -> None:
    messages = await write(store, 5)
    for before, later in ((messages[2].id, True), (messages[4].id, True), (messages[4].id + 1, False)):
        page = await store.snapshot(past.earlier, ROOM, before, 2)
        assert page.messages == [m for m in messages if m.id < before][-2:]
        assert (page.more, page.later) == (page.messages[0] != messages[0], later)


async def test_a_message_stands_among_those_around_it(store: Store) -> None:
    messages = await write(store, 9)
    for place, message in enumerate(messages):
        page = await store.snapshot(past.around, ROOM, message.id, 2)
        assert page.messages == messages[max(0, place - 2) : place + 3]
        assert (page.more, page.later) == (place > 2, place < 6)


@pytest.mark.parametrize("id", [-1, 0, 99, 2**63 - 1, 2**63, 2**70, -(2**70)])
async def test_what_is_no_message_stands_nowhere(store: Store, id: int) -> None:
    await write(store, 2)
    with pytest.raises(NotFound):
        await store.snapshot(past.around, ROOM, id, 2)
    page = await store.snapshot(past.later, ROOM, id, 2)
    assert len(page.messages) == (2 if id <= 0 else 0)


async def test_a_page_of_long_texts_is_cut_at_its_end(store: Store) -> None:
    messages = await write(store, 6)
    most = sum(map(weight, messages[1:4]))
    page = await store.snapshot(past.later, ROOM, messages[0].id, 5, most)
    assert (page.messages, page.later) == (messages[1:4], True)
    page = await store.snapshot(past.later, ROOM, messages[0].id, 5, 1)
    assert page.messages == messages[1:2]


async def test_of_a_room_that_is_not_there_nothing_is_read(store: Store) -> None:
    for read in (past.later, past.earlier, past.since):
        with pytest.raises(NotFound):
            await store.snapshot(read, "22222222", 1)


@pytest.mark.parametrize("seed", range(12))
async def test_a_day_is_found_wherever_clocks_jump(store: Store, clock: Clock, seed: int) -> None:
    """What is said first by the clock, but for steps back of less than a quarter of an hour."""
    luck = random.Random(seed)
    steps = [0, 1, 60, 1000, 5000, 90_000, -0.05, -30, -4000, -200_000]
    for n in range(60):
        clock.now += luck.choice(steps)
        await store.append(ROOM, 1, f"key-{n}", "text")
    messages = (await calls.history(store, ROOM, limit=100)).messages
    times = [message.at for message in messages]
    first = min(times) // QUARTER * QUARTER
    for start in range(first - 2 * DAY, max(times) + DAY, luck.choice([29, 93]) * QUARTER):
        page = await store.snapshot(past.since, ROOM, start)
        due = min((at for at in times if at >= start), default=None)
        if due is None:
            assert not page.messages
            continue
        found = page.messages[0]
        assert due <= found.at < (due // QUARTER + 1) * QUARTER
        assert page.messages == [m for m in messages if m.id >= found.id][:50]


async def test_a_day_is_found_by_an_index_that_has_few_messages(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "chat.db"))
    await store.open()
    plan = await store.read(_plan)
    await store.close()
    assert "message_quarter" in plan
    assert "SCAN" not in plan


async def _plan(tx: Transaction) -> str:
    rows = await tx.fetch(f"EXPLAIN QUERY PLAN {queries.FIRST_SINCE}", 1, 1)
    return " ".join(str(row[-1]) for row in rows)
