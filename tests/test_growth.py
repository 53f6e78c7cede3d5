"""What a store keeps, and for how long: rooms nobody used go, and a room of many seats costs no more than a
small one."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import asyncpg
import calls
import pytest
from store_model import Clock
from test_store import BACKENDS, Place

from chat.model.errors import Refused
from chat.model.lookalikes import skeleton
from chat.store import AlreadyExists, NotFound, OutcomeUnknown, Store, Unavailable, members, queries, rooms
from chat.store.postgres.hosts import SESSION
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore
from chat.store.sqlite.transaction import execute
from chat.upkeep import remove_expired_rooms

ROOM = "BCDFGHJK"
DAY, HOUR = 86400, 3600


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(place: Place, clock: Clock) -> AsyncIterator[Store]:
    store = place(clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    yield store
    await store.close()


async def swept(store: Store) -> list[int]:
    """The rows of each portion, until nothing is left to do."""
    portions = []
    while rows := await calls.expire(store):
        portions.append(rows)
        assert len(portions) < 100
    return portions


async def crowd(store: Store, people: int, prefix: str = "p", name: str = "") -> None:
    for start in range(0, people, 100):  # what waits too long is refused
        numbers = range(start, min(start + 100, people))
        await asyncio.gather(
            *(calls.take_seat(store, ROOM, f"{prefix}{n}", name or f"Name {n}") for n in numbers)
        )


async def come_and_go(store: Store, person: str) -> None:
    member = await calls.take_seat(store, ROOM, person, person)
    await calls.announce(store, ROOM, "entered", [member.number])
    await calls.announce(store, ROOM, "away", [member.number])


# Rooms nobody used


async def test_a_room_in_which_nothing_was_said_is_gone_after_a_day(store: Store, clock: Clock) -> None:
    await come_and_go(store, "Ann")
    clock.now += DAY - 1
    assert await swept(store) == []
    assert await calls.find_room(store, ROOM)
    clock.now += 1
    assert await swept(store)
    assert await calls.find_room(store, ROOM) is None
    assert await calls.find_seat(store, ROOM, "Ann") is None
    with pytest.raises(NotFound):
        await calls.history(store, ROOM)
    await calls.open_room(store, ROOM)  # the code is free again, and the room knows nobody
    assert await calls.seats_of(store, ROOM, "Ann") == []
    assert (await calls.history(store, ROOM)).messages == []


async def test_a_room_in_which_something_was_said_stays(store: Store, clock: Clock) -> None:
    ann = await calls.take_seat(store, ROOM, "ann", "Ann")
    await store.append(ROOM, ann.number, "key", "hello")
    await calls.end_seat(store, ROOM, "ann")
    clock.now += 400 * DAY
    assert await swept(store) == []
    assert [m.body for m in (await calls.history(store, ROOM)).messages if m.kind == "text"] == ["hello"]
    with pytest.raises(AlreadyExists):
        await calls.open_room(store, ROOM)


async def test_an_empty_room_stays_while_somebody_is_there(store: Store, clock: Clock) -> None:
    ann = await calls.take_seat(store, ROOM, "ann", "Ann")
    await calls.announce(store, ROOM, "entered", [ann.number])
    clock.now += 3 * DAY
    await swept(store)
    assert await calls.present(store, ROOM) == [ann]
    await calls.announce(store, ROOM, "away", [ann.number])
    clock.now += HOUR
    await swept(store)
    assert await calls.find_room(store, ROOM) is None


async def test_a_room_is_not_taken_from_under_who_just_came_in(store: Store, clock: Clock) -> None:
    await calls.take_seat(store, ROOM, "ann", "Ann")
    await calls.end_seat(store, ROOM, "ann")
    clock.now += DAY
    for person in ("ann", "bob"):  # a seat taken up again, and a new one; their pages are still loading
        member = await calls.take_seat(store, ROOM, person, person.title())
        clock.now += HOUR - 1
        await swept(store)
        assert await calls.find_seat(store, ROOM, person) == member


async def test_a_large_room_is_removed_in_portions(store: Store, clock: Clock) -> None:
    await crowd(store, 1200)
    clock.now += DAY
    portions = await swept(store)
    assert sum(portions) >= 1200
    assert max(portions) <= rooms.REMOVED + 1
    assert len(portions) >= 3


async def test_rooms_that_expire_leave_the_others_alone(store: Store, clock: Clock) -> None:
    await calls.open_room(store, "22222222")
    ann = await calls.take_seat(store, "22222222", "ann", "Ann")
    await store.append("22222222", ann.number, "key", "hello")
    await calls.take_seat(store, ROOM, "ann", "Ann")
    clock.now += DAY
    await swept(store)
    assert await calls.find_room(store, ROOM) is None
    assert await calls.find_seat(store, "22222222", "ann") == ann


async def test_a_room_somebody_wrote_in_on_a_node_of_a_former_release_stays(
    place: Place, store: Store, clock: Clock
) -> None:
    """Its append leaves the expiry as it was."""
    ann = await calls.take_seat(store, ROOM, "ann", "Ann")
    await store.append(ROOM, ann.number, "key", "hello")
    await _as_a_former_release_left_it(store, f"UPDATE room SET expires = 1 WHERE code = '{ROOM}'")
    clock.now += DAY
    await swept(store)
    clock.now += DAY
    await swept(store)
    assert [message.body for message in (await calls.history(store, ROOM)).messages] == ["hello"]


async def _as_a_former_release_left_it(store: Store, sql: str) -> None:
    if isinstance(store, PostgresStore):
        db = await asyncpg.connect(store._server.hosts.urls[0], server_settings=SESSION)
        await db.execute(sql)
        await db.close()
    else:
        with closing(sqlite3.connect(cast(SQLiteStore, store)._path)) as file, file:
            file.execute(sql)


async def test_several_may_sweep_at_the_same_time(place: Place, store: Store, clock: Clock) -> None:
    """On PostgreSQL two nodes, on SQLite the one process there may be."""
    alone = isinstance(store, SQLiteStore)
    other = store if alone else place(clock=clock)
    if not alone:
        await other.open()
    codes = [f"{n:08}" for n in range(40)]
    await asyncio.gather(*(calls.open_room(store, code) for code in codes))
    clock.now += DAY
    await asyncio.gather(swept(store), swept(other), swept(store), swept(other))
    assert [code for code in codes if await calls.find_room(store, code)] == []
    if not alone:
        await other.close()


# A room of many seats


def steps_of_mark(path: Path, person: str, name: str) -> int:
    """How many steps of its machine SQLite takes to answer."""
    with sqlite3.connect(path) as db:
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        db.set_progress_handler(count, 1)
        execute(db, queries.MARK, 1, person, *skeleton(name)).fetchall()
        return taken


async def test_a_mark_costs_the_same_among_many_of_the_same_name(tmp_path: Path, clock: Clock) -> None:
    store = SQLiteStore(str(tmp_path / "chat.db"), clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    costs = []
    for size in (10, 3000):
        await crowd(store, size, f"{size} ", "Ann")
        costs.append(steps_of_mark(tmp_path / "chat.db", "new", "Ann"))
    assert (await calls.take_seat(store, ROOM, "new", "Ann")).mark == 3011
    await store.close()
    assert costs[1] <= costs[0] + 20, costs


async def plan_of(tmp_path: Path, clock: Clock, sql: str, *values: object) -> list[str]:
    """How PostgreSQL answers in a room of many people, all of whom are called Ann."""
    store = BACKENDS["postgres"](tmp_path)(clock=clock)
    assert isinstance(store, PostgresStore)
    await store.open()
    await calls.open_room(store, ROOM)
    await crowd(store, 300, name="Ann")
    await calls.announce(store, ROOM, "entered", range(1, 301))
    db = await asyncpg.connect(store._server.hosts.urls[0], server_settings=SESSION)
    plan = [row[0] for row in await db.fetch(f"EXPLAIN ANALYZE {sql}", *values)]
    await db.close()
    await store.close()
    return plan


async def test_a_mark_is_one_look_into_each_index_of_postgres(tmp_path: Path, clock: Clock) -> None:
    plan = await plan_of(tmp_path, clock, queries.MARK, 1, "new", *skeleton("Ann"))
    scans = [line for line in plan if " using seat_" in line]
    assert len(scans) == 2
    assert all("seat_folded" in line or "seat_shape" in line for line in scans), plan
    assert all("rows=1 " in line.partition("actual")[2] for line in scans), plan
    assert not any("->  Sort" in line for line in plan), "\n".join(plan)


async def test_the_first_people_of_a_room_are_read_without_the_others(tmp_path: Path, clock: Clock) -> None:
    plan = await plan_of(tmp_path, clock, queries.MEMBERS_OF, ROOM, 20)
    (scan,) = [line for line in plan if " using seat_" in line]
    assert "seat_announced" in scan, plan
    assert "rows=20 " in scan.partition("actual")[2], "\n".join(plan)


async def test_a_person_has_only_so_many_names_in_a_room(store: Store) -> None:
    for n in range(members.NAMES):
        await calls.take_seat(store, ROOM, "ann", f"Ann{n}")
        await calls.end_seat(store, ROOM, "ann")
    with pytest.raises(Refused, match="use one of them again") as refused:
        await calls.take_seat(store, ROOM, "ann", "Another")
    assert refused.value.field == "name"
    assert (await calls.take_seat(store, ROOM, "ann", "Ann3")).name == "Ann3"


# The node that removes them


async def test_a_node_removes_what_has_expired_and_goes_on_when_the_store_is_away() -> None:
    answers: list[int | Exception] = [Unavailable("away"), 3, 1, 0, OutcomeUnknown("?"), 0]
    asked = asyncio.Event()

    class Expiring:
        async def time(self) -> float:
            return time.time()

        async def write(self, *work: Any) -> int:
            answer = answers.pop(0)
            if not answers:
                asked.set()
                await asyncio.Event().wait()
            if isinstance(answer, Exception):
                raise answer
            return answer

    task = asyncio.create_task(remove_expired_rooms(cast(Store, Expiring()), every=0))
    await asyncio.wait_for(asked.wait(), 10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not answers
