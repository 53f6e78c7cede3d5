"""One timer for the times of many connections."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from chat.server.timer_wheel import TimerWheel

PERIOD = 0.4  # so a tick is 0.05 s


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_each_member_is_called_at_its_time_or_up_to_a_tick_earlier() -> None:
    called: dict[float, float] = {}
    wheel = TimerWheel(PERIOD, lambda when: called.update({when: _now()}))
    start = _now()
    times = [start + n * 0.03 for n in range(1, 12)]
    for when in times:
        wheel.add(when, when)
    async with asyncio.timeout(5):
        while len(called) < len(times):
            await asyncio.sleep(0.01)
    assert sorted(called, key=lambda when: called[when]) == pytest.approx(times, abs=2 * wheel.tick)
    assert all(called[when] >= when - 2 * wheel.tick for when in times)
    assert (wheel._members, wheel._turns, wheel._timer) == ({}, {}, None), "nothing is left of them"


async def test_who_names_another_time_is_called_again_and_who_is_removed_is_not() -> None:
    calls: Counter[str] = Counter()
    over = asyncio.Event()

    def call(name: str) -> float | None:
        calls[name] += 1
        if calls[name] == 4:
            over.set()
        return _now() + 0.05 if name == "again" and calls[name] < 4 else None

    wheel = TimerWheel(PERIOD, call)
    for name in ("once", "again", "removed"):
        wheel.add(name, _now() + 0.05)
    wheel.remove("removed")
    wheel.remove("removed")
    async with asyncio.timeout(5):
        await over.wait()
    assert calls == {"once": 1, "again": 4}


async def test_a_time_that_has_passed_is_the_next_tick() -> None:
    calls: list[float] = []

    def call(_: object) -> float | None:
        calls.append(_now())
        return _now() - 10 if len(calls) < 3 else None

    wheel = TimerWheel(PERIOD, call)
    wheel.add("late", _now() - 10)
    async with asyncio.timeout(5):
        while len(calls) < 3:
            await asyncio.sleep(0.01)
    # asyncio may call as much too early as its clock is coarse.
    assert calls[2] - calls[0] > wheel.tick / 2, "not again and again in one turn"


async def test_a_member_that_fails_spares_the_others() -> None:
    called: list[int] = []
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def call(number: int) -> None:
        called.append(number)
        if number % 3 == 0:
            raise ValueError

    wheel = TimerWheel(PERIOD, call)
    for number in range(9):
        wheel.add(number, _now() + 0.01)
    async with asyncio.timeout(5):
        while len(called) < 9:
            await asyncio.sleep(0.01)
    assert (sorted(called), len(failed)) == (list(range(9)), 3)
