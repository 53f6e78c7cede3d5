"""How much people may store: by person, by address, and in all; and what goes on when nothing more fits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import calls
import pytest
from store_model import Clock
from test_store import BACKENDS, Place

from chat import limits
from chat.limits import OwnLimits
from chat.model.errors import Refused
from chat.model.messages import BODY_BYTES
from chat.settings import Misconfigured, Settings
from chat.store import Store, Unavailable, quota
from chat.store.quota import DISK_RESERVE, Quota
from chat.store.sqlite.store import SQLiteStore
from chat.store.write_probe import WriteProbe

ROOM = "BCDFGHJK"


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    store = place(clock=Clock())
    await store.open()
    await calls.open_room(store, ROOM)
    yield store
    await store.close()


class Disk:
    """A store that says how full it is."""

    def __init__(self, used: int = 0, free: int | None = None) -> None:
        self.figures: tuple[int, int | None] = (used, free)

    async def used(self) -> int:
        return self.figures[0]

    async def free(self) -> int | None:
        return self.figures[1]


def stored(disk: Disk, cap: int = 0) -> Quota:
    return Quota(cast(Store, disk), cap)


# Rates


async def test_an_address_writes_less_than_10_mb_in_any_minute() -> None:
    now = [0.0]
    rates = OwnLimits(now=lambda: now[0])
    size = quota.cost("x" * BODY_BYTES)
    accepted: list[float] = []
    while now[0] < 180:
        for person in range(20):
            person_rate = limits.BYTES, f"p{person}"
            address_rate = limits.BYTES_OF_ADDRESS, "one"
            if not rates.take_both(person_rate, address_rate, count=size):
                accepted.append(now[0])
        now[0] += 0.1
    most = max(sum(start <= at < start + 60 for at in accepted) for start in range(120))
    assert 2_000_000 < most * size < 10_000_000


async def test_a_school_behind_one_address_talks() -> None:
    now = [0.0]
    rates = OwnLimits(now=lambda: now[0])
    size = quota.cost("Has anybody done exercise 4? I do not get it. " * 2)
    for turn in range(30):  # every ten seconds each of 900 writes
        for person in range(900):
            person_rate = limits.BYTES, f"p{person}"
            assert not rates.take_both(person_rate, (limits.BYTES_OF_ADDRESS, "school"), count=size), (
                turn,
                person,
            )
        now[0] += 10


@pytest.mark.parametrize("length", [1, 100, BODY_BYTES])
async def test_a_message_takes_no_more_disk_than_is_counted(store: Store, length: int) -> None:
    member = await calls.take_seat(store, ROOM, "ann", "Ann")
    body = "x" * length
    before = await store.used()
    for start in range(0, 2000, 100):
        keys = (f"{n:032}" for n in range(start, start + 100))
        await asyncio.gather(*(store.append(ROOM, member.number, key, body) for key in keys))
    grown = await store.used() - before
    if isinstance(store, SQLiteStore):
        grown -= 5 * 2**20  # the write-ahead log, which is used again and again
    assert grown <= 2000 * quota.cost(body)


# The cap


async def test_what_is_used_is_measured(store: Store) -> None:
    before = await store.used()
    member = await calls.take_seat(store, ROOM, "ann", "Ann")
    texts = (os.urandom(3000).hex() for _ in range(100))
    await asyncio.gather(*(store.append(ROOM, member.number, f"{n}", t) for n, t in enumerate(texts)))
    assert await store.used() >= before + 250_000


async def test_free_is_what_the_disk_has_left(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "chat.db"))
    await store.open()
    disk = os.statvfs(tmp_path)
    assert abs((await store.free() or 0) - disk.f_bavail * disk.f_frsize) < 2**30
    await store.close()


async def test_at_the_cap_nothing_new_is_taken_until_there_is_space_again() -> None:
    disk = Disk(used=100_000_000)
    space = stored(disk, cap=100_000_000)
    await space.measure()
    assert space.full == "cap"
    with pytest.raises(Refused, match="no space left") as refused:
        space.take(1000, "body")
    assert refused.value.field == "body"
    disk.figures = (50_000_000, None)
    await space.measure()
    space.take(1000, "body")


async def test_a_part_of_the_cap_is_kept_for_leaving_and_deleting() -> None:
    space = stored(Disk(used=0), cap=100_000_000)
    await space.measure()
    taken = 0
    while not space.full:
        space.take(1_000_000, "body")
        taken += 1_000_000
    assert taken == 95_000_000, "also what came since the last look counts"


async def test_some_of_the_disk_stays_free() -> None:
    space = stored(Disk(free=DISK_RESERVE + 2000))
    await space.measure()
    space.take(2000, "body")
    assert space.full == "disk"


async def test_a_look_that_fails_changes_nothing() -> None:
    disk = Disk(used=100_000_000)
    space = stored(disk, cap=100_000_000)
    await space.measure()

    async def away() -> int:
        raise Unavailable("away")

    disk.used = away  # type: ignore[method-assign]
    await space.measure()
    assert space.full == "cap"


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("0", 0), ("20G", 20 * 2**30), ("500m", 500 * 2**20), ("1T", 2**40), ("50000000", 50_000_000)],
)
def test_a_cap_is_written_as_people_write_sizes(text: str, size: int) -> None:
    assert Settings.from_env({"CHAT_MAX_BYTES": text}).max_bytes == size


@pytest.mark.parametrize("text", ["much", "-1", "1.5G", "5", "9M", "٣G", "1" * 99])
def test_another_cap_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"CHAT_MAX_BYTES is .* such as 20G"):
        Settings.from_env({"CHAT_MAX_BYTES": text})


# Whether writes get through


async def test_a_write_gets_through(store: Store) -> None:
    assert await WriteProbe(store).problem() == ""


async def test_however_many_ask_there_is_one_write() -> None:
    class Counting:
        probes = 0

        async def write(self, *asked: Any) -> None:
            self.probes += 1
            await asyncio.sleep(0)

    counting = Counting()
    probe = WriteProbe(cast(Store, counting))
    assert set(await asyncio.gather(*(probe.problem() for _ in range(500)))) == {""}
    assert await probe.problem() == ""
    assert counting.probes == 1


async def test_a_write_that_hangs_keeps_nobody_waiting_for_long() -> None:
    class Hanging:
        probes = 0

        async def write(self, *asked: Any) -> None:
            self.probes += 1
            await asyncio.Event().wait()

    hanging = Hanging()
    probe = WriteProbe(cast(Store, hanging), every=0, wait=0.01)
    assert set(await asyncio.gather(*(probe.problem() for _ in range(50)))) == {"waiting"}
    assert await probe.problem() == "waiting"
    assert hanging.probes == 1


async def test_another_process_that_holds_the_write_lock_is_seen(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "chat.db"))
    await store.open()
    probe = WriteProbe(store, every=0)
    with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await probe.problem() == "waiting"
        await store.ping()  # reading goes on
        while (problem := await probe.problem()) == "waiting":
            pass
        assert problem == "locked"
        other.execute("ROLLBACK")
    while await probe.problem():
        pass
    await store.close()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("The store cannot write: database or disk is full", "full"),
        ("The store cannot write: database is locked", "locked"),
        ("PostgreSQL cannot write: cannot execute INSERT in a read-only transaction", "read-only"),
        ("PostgreSQL did not take the write in time.", "failing"),
    ],
)
async def test_the_reason_is_a_word(error: str, word: str) -> None:
    class Failing:
        async def write(self, *asked: Any) -> None:
            raise Unavailable(error)

    assert await WriteProbe(cast(Store, Failing())).problem() == word
