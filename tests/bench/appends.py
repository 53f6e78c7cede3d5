"""How many messages a second a store takes, asked directly. A process of its own; prints JSON.

Says "ready" when its senders are seated, and begins with the next line that it is given: several processes
can begin together.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from itertools import count

import calls

from chat.model.members import Member
from chat.store import AlreadyExists, Store, store_for

from .client import BODY

ROOMS = 50


async def main(url: str, seconds: float, senders: int, name: str) -> None:
    store = store_for(url)
    await store.open()
    members = await _seated(store, senders, name)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    took: list[float] = []
    start, used = time.perf_counter(), time.process_time()
    end = start + seconds

    async def write(member: Member) -> None:
        for number in count():
            asked = time.perf_counter()
            if asked >= end:
                return
            await store.append(member.code, member.number, f"{name}{number}", BODY)
            took.append(time.perf_counter() - asked)

    await asyncio.gather(*map(write, members))
    wall, used = time.perf_counter() - start, time.process_time() - used
    await store.close()
    took.sort()
    result = {"rate": len(took) / wall, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}
    print(json.dumps(result | {"cpu": used / len(took), "count": len(took)}))


async def _seated(store: Store, senders: int, name: str) -> list[Member]:
    """People of this run, in rooms that every run shares."""
    codes = [f"{number:08d}" for number in range(min(ROOMS, senders))]
    await asyncio.gather(*(_room(store, code) for code in codes))
    seats = (
        calls.take_seat(store, codes[n % len(codes)], f"{name} {n}", f"{name} {n}") for n in range(senders)
    )
    return await asyncio.gather(*seats)


async def _room(store: Store, code: str) -> None:
    with suppress(AlreadyExists):  # by another run
        await calls.open_room(store, code)


if __name__ == "__main__":
    run = asyncio.run
    if sys.argv[5] == "uvloop":
        from uvloop import run
    run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
