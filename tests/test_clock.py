"""A clock that jumps: said once, shown to who looks after the server, and seen in the room as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import calls
import pytest

from chat import logs
from chat.model.messages import Message, Previous
from chat.store import Store, Unavailable
from chat.store.aging import HOLD, Aging
from chat.store.clock import SHOWN, ClockWatch
from chat.store.expiry import Expiry
from chat.store.sqlite.store import SQLiteStore
from chat.views.look import LOOK
from chat.views.times import begins_run

HOUR = 3600 * 1000


class Clocks:
    """The store's clock, and the seconds that pass."""

    def __init__(self) -> None:
        self.wall, self.passed = 1_800_000_000.0, 1000.0
        self.away = False

    async def time(self) -> float:
        if self.away:
            raise Unavailable("away")
        return self.wall

    def go_on(self, seconds: float, jump: float = 0.0) -> None:
        self.passed += seconds
        self.wall += seconds + jump


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(cast(Store, clocks), lambda: clocks.passed)


@pytest.mark.parametrize("jump", [5 * 3600.0, -3600.0, 11.0])
async def test_a_jump_is_logged_once_and_shown_for_a_day(
    clocks: Clocks, watch: ClockWatch, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(logs.log, "warning", lambda line, by: lines.append(by))
    await watch.look()
    assert watch.jumped == ""
    clocks.go_on(5, jump)
    for _ in range(10):
        await watch.look()
        clocks.go_on(60)
    assert lines == [f"{jump:+.0f}s"]
    assert watch.jumped.startswith(f"{jump:+.0f}s,10min")
    clocks.go_on(SHOWN)
    assert watch.jumped == ""


async def test_a_clock_that_is_set_little_by_little_does_not_jump(clocks: Clocks, watch: ClockWatch) -> None:
    for _ in range(1000):
        await watch.look()
        clocks.go_on(5, 0.05)
    assert watch.jumped == ""


async def test_while_the_store_is_away_nothing_is_concluded(clocks: Clocks, watch: ClockWatch) -> None:
    await watch.look()
    clocks.away = True
    clocks.go_on(900)
    await watch.look()
    clocks.away = False
    await watch.look()
    assert watch.jumped == ""


@pytest.mark.parametrize(("hours", "shown"), [(5, True), (-5, True), (0.01, False), (-0.01, False)])
def test_a_message_shows_its_time_where_the_clock_jumped_either_way(hours: float, shown: bool) -> None:
    noon = 1_800_014_400_000
    before = Previous(1, noon)
    message = Message(2, 2, noon + int(hours * HOUR), 1, "Ann", 1, "hello", before=before)
    assert begins_run(message, LOOK) is shown


# What is removed because it is old


@pytest.mark.parametrize("jump", [61.0, 5 * 3600.0, 400 * 86400.0])
def test_after_a_jump_ahead_nothing_is_removed_for_an_hour(jump: float) -> None:
    passed = 1000.0
    aging = Aging(lambda: passed)
    wall = 1_800_000_000.0
    assert aging.trusted(wall)
    passed += 60
    assert not aging.trusted(wall + 60 + jump)
    passed += HOLD - 1
    assert not aging.trusted(wall + 60 + jump + HOLD - 1)
    passed += 1
    assert aging.trusted(wall + 60 + jump + HOLD), "it stays so: then it was right"


def test_a_clock_that_is_set_right_again_is_believed() -> None:
    passed = 1000.0
    aging = Aging(lambda: passed)
    assert aging.trusted(1_800_000_000.0)
    assert not aging.trusted(1_800_018_000.0)
    passed += 60
    assert aging.trusted(1_800_000_060.0)


async def test_keys_and_rooms_outlive_a_clock_that_is_days_ahead_for_a_moment(tmp_path: Path) -> None:
    wall, passed = [1_800_000_000.0], [1000.0]
    store = SQLiteStore(str(tmp_path / "chat.db"), clock=lambda: wall[0])
    await store.open()
    assert store._writer is not None
    store._writer._aging = Aging(lambda: passed[0])
    expiry = Expiry(store, Aging(lambda: passed[0]))
    await calls.open_room(store, "BCDFGHJK")
    await calls.open_room(store, "22222222")
    ann = await calls.take_seat(store, "BCDFGHJK", "ann", "Ann")
    first = await store.append("BCDFGHJK", ann.number, "key", "hello")
    assert await expiry.remove_some() == 0
    wall[0] += 10 * 86400
    assert await expiry.remove_some() == 0
    await store.append("BCDFGHJK", ann.number, "other", "while the clock is wrong")
    await store.append("BCDFGHJK", ann.number, "another", "and once more, after the housekeeping")
    wall[0] -= 10 * 86400
    assert (await store.append("BCDFGHJK", ann.number, "key", "hello")).message.id == first.message.id
    assert await calls.find_room(store, "22222222")
    await store.close()
