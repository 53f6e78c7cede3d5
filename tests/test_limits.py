"""Rate limits: a burst, then a pace; per subject and per rate."""

from __future__ import annotations

import pytest
from people import FakeClock

from chat import limits
from chat.limits import JOINS, MESSAGES, ROOMS, WRONG_CODES, Limits, Rate, per_minute

SLOW = Rate("slow", every=2.0, burst=3)


@pytest.fixture
def held(clock: FakeClock) -> Limits:
    return Limits(now=clock)


async def test_a_burst_passes_at_once_and_then_one_in_its_time(held: Limits, clock: FakeClock) -> None:
    assert [await held.take(SLOW, "ann") for _ in range(3)] == [0, 0, 0]
    assert await held.take(SLOW, "ann") == pytest.approx(2.0)
    clock.pass_by(2.0)
    assert await held.take(SLOW, "ann") == 0
    assert await held.take(SLOW, "ann") == pytest.approx(2.0)


async def test_a_refused_attempt_costs_nothing(held: Limits, clock: FakeClock) -> None:
    for _ in range(100):
        await held.take(SLOW, "ann")
    clock.pass_by(2.0)
    assert await held.take(SLOW, "ann") == 0


async def test_a_rest_gives_the_burst_back_and_no_more(held: Limits, clock: FakeClock) -> None:
    for _ in range(3):
        await held.take(SLOW, "ann")
    clock.pass_by(10_000)
    assert [await held.take(SLOW, "ann") for _ in range(3)] == [0, 0, 0]
    assert await held.take(SLOW, "ann") > 0


async def test_people_and_rates_are_counted_apart(held: Limits) -> None:
    for _ in range(3):
        await held.take(SLOW, "ann")
    assert await held.take(SLOW, "bob") == 0
    assert await held.take(Rate("other", 2.0, 3), "ann") == 0


async def test_whoever_is_patient_is_told_how_long_to_wait_and_is_counted(held: Limits) -> None:
    waits = [await held.take(SLOW, "ann", patience=5.0) for _ in range(7)]
    assert waits == pytest.approx([0, 0, 0, 2, 4, 6, 6])


async def test_looking_does_not_count(held: Limits, clock: FakeClock) -> None:
    assert [await held.peek(SLOW, "ann") for _ in range(9)] == [0] * 9
    for _ in range(3):
        await held.take(SLOW, "ann")
    assert await held.peek(SLOW, "ann") == pytest.approx(2.0)
    clock.pass_by(2.0)
    assert await held.peek(SLOW, "ann") == 0


async def test_switched_off_everything_passes() -> None:
    off = Limits(enabled=False)
    assert {await off.take(SLOW, "ann") for _ in range(1000)} == {0.0}
    assert await off.peek(SLOW, "ann") == 0


async def test_memory_is_bounded_by_forgetting_those_who_may_do_it_again(
    held: Limits, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SWEEP", 100)
    for _ in range(3):
        await held.take(SLOW, "greedy", patience=100)
    await held.take(Rate("slow", 1000.0, 1), "sinner")
    for n in range(500):
        clock.pass_by(1.5)
        await held.take(SLOW, f"passer-by {n}")
    assert len(held._own._due) <= 110
    assert await held.take(Rate("slow", 1000.0, 1), "sinner") > 0


def test_the_limits_are_those_of_the_readme() -> None:
    assert (MESSAGES.every, MESSAGES.burst) == (0.2, 10)
    assert per_minute("joins", 300) == JOINS
    assert per_minute("wrong-codes", 20) == WRONG_CODES
    assert per_minute("rooms", 30) == ROOMS


async def test_a_hundred_texts_flushed_at_once_wait_20_seconds_at_most(held: Limits) -> None:
    waits = [await held.take(MESSAGES, "ann", patience=20.0) for _ in range(111)]
    assert max(waits[:110]) == pytest.approx(20.0)
    assert waits[110] > 20.0
