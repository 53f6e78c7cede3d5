"""A process that writes into a store until it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

from serving import REPO

WRITING = """
import asyncio, itertools, os, sys
from chat.store import members, rooms, store_for

async def sender(store, number, round):
    seat = await store.write(
        "BCDFGHJK", members.take_seat, "BCDFGHJK", f"person-{number}", f"Name {number}"
    )
    for n in itertools.count():
        key = f"{round}-{number}-{n}"
        done = await store.append("BCDFGHJK", seat.number, key, key)
        os.write(1, f"{done.message.id} {key}\\n".encode())

async def main():
    store = store_for(sys.argv[1])
    await store.open()
    if not await store.read(rooms.find_room, "BCDFGHJK"):
        await store.write("BCDFGHJK", rooms.open_room, "BCDFGHJK")
    await asyncio.gather(*(sender(store, n, sys.argv[2]) for n in range(8)))

asyncio.run(main())
"""


def killed_after(url: str, round: int, acknowledgements: int) -> list[tuple[int, str]]:
    """The ids and texts that it acknowledged before kill -9, which follows after so many."""
    command = [sys.executable, "-c", WRITING, url, f"{round}"]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE) as child:
        assert child.stdout
        lines = [child.stdout.readline() for _ in range(acknowledgements)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [(int(id), key) for id, key in (line.decode().split() for line in lines)]
