"""What an open page costs the server while nothing happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from chaos.tab import ask
from serving import Server
from wire import Socket

PAGES = 9  # of a person besides the first
OBJECTS = 120  # of one page that the garbage collector looks at


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Server]:
    env = {"CHAT_DATABASE_URL": f"sqlite:///{tmp_path}/chat.db", "CHAT_RATE_LIMIT": "off"}
    with Server("tests.bench.measured_app:create_app()", env=env) as server:
        yield server


def _objects(server: Server) -> int:
    said = server.log.count("objects=")
    os.kill(server.workers[0], signal.SIGUSR2)
    server.wait_for_log("objects=", count=said + 1)
    return int(server.log.rpartition("objects=")[2].split()[0])


@pytest.mark.parametrize("resume", [{}, {"life": ""}], ids=["a reader", "a page"])
async def test_an_idle_page_holds_few_objects(measured: Server, resume: dict[str, str]) -> None:
    """Each of them makes every full collection of garbage longer (decision 37)."""
    said = json.dumps({"k": "resume", "since": "0", **resume})
    async with AsyncExitStack() as stack:
        sockets: list[Socket] = []

        async def open_pages(count: int, path: str, cookies: dict[str, str]) -> None:
            for _ in range(count):
                socket = await Socket.connect(measured.port, path, cookies=cookies)
                sockets.append(await stack.enter_async_context(socket))
                await socket.send_text(said)
                await socket.recv()

        people = []
        for name in ("Ann", "Bea", "Cem", "Dov"):
            created = await ask(measured.port, "/", form={"name": name, "create": "1"})
            cookie, _, value = created.headers["set-cookie"].partition(";")[0].partition("=")
            people.append((f"{created.headers['location']}/live", {cookie: value}))
            await open_pages(1, *people[-1])
        before = await asyncio.to_thread(_objects, measured)
        for person in people:
            await open_pages(PAGES, *person)
        for _ in range(20):  # the last ones may still be reading their answers
            more = await asyncio.to_thread(_objects, measured) - before
            if more / (PAGES * len(people)) <= OBJECTS:
                break
        assert more / (PAGES * len(people)) <= OBJECTS
