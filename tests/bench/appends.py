"""Part (g): how many messages a second the store takes, asked directly. A process of its own; prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count
from pathlib import Path

from chat.rooms import Member
from chat.store.sqlite import SQLiteStore

from .client import BODY

ROOMS, SENDERS = 50, 100


async def main(path: Path, seconds: float) -> None:
    store = SQLiteStore(str(path))
    await store.open()
    codes = [f"{number:08d}" for number in range(ROOMS)]
    await asyncio.gather(*map(store.open_room, codes))
    seats = [store.take_seat(codes[n % ROOMS], f"person {n}", f"Name {n}") for n in range(SENDERS)]
    members = await asyncio.gather(*seats)
    took: list[float] = []
    start, used = time.perf_counter(), time.process_time()
    end = start + seconds

    async def write(member: Member) -> None:
        for number in count():
            asked = time.perf_counter()
            if asked >= end:
                return
            await store.append(member.code, member.number, f"{number:032d}", BODY)
            took.append(time.perf_counter() - asked)

    await asyncio.gather(*map(write, members))
    wall, used = time.perf_counter() - start, time.process_time() - used
    await store.close()
    took.sort()
    result = {"rate": len(took) / wall, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}
    print(json.dumps(result | {"cpu": used / len(took)}))


if __name__ == "__main__":
    run = asyncio.run
    if sys.argv[3] == "uvloop":
        from uvloop import run
    run(main(Path(sys.argv[1]), float(sys.argv[2])))
