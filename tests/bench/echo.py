"""What a frame in and a frame out cost Hypercorn alone, with Quart, and with the guards of chat/server."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from quart import Quart, websocket
from serving import REPO, free_port

from chat import server

from .client import BODY, HOST, Member, Ticket, connect_all, framed, hang_up
from .parts import Row
from .servers import Meter, Options, answers, cpu

PEERS = 100


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """An application without a framework."""
    while True:
        match (await receive())["type"]:
            case "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            case "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return
            case "websocket.connect":
                await send({"type": "websocket.accept"})
            case "websocket.receive":
                await send({"type": "websocket.send", "text": BODY})
            case _:
                return


def quart() -> Quart:
    app = Quart(__name__)

    @app.websocket("/rooms/<code>/live")
    async def echo(code: str) -> None:
        while True:
            await websocket.receive()
            await websocket.send(BODY)

    return app


def guarded() -> Quart:
    server.install()
    app = quart()
    app.asgi_websocket_class = server.BoundedWebsocket
    return app


class Caller(Member):
    """Sends a frame for each that comes."""

    said = framed(BODY.encode())

    def arrived(self, texts: int) -> None:
        self.transport.write(self.said)


@asynccontextmanager
async def _serving(options: Options, app: str) -> AsyncIterator[tuple[int, Callable[[], float]]]:
    port = free_port()
    command = [str(options.python.with_name("hypercorn")), "-w", "0", "-k", options.worker_class]
    words = ["-b", f"{HOST}:{port}", f"tests.bench.echo:{app}"]
    process = subprocess.Popen([*command, *words], cwd=REPO, stderr=subprocess.DEVNULL)
    try:
        await answers(port, process)
        yield port, lambda: cpu(process.pid)
    finally:
        process.kill()
        process.wait()


async def _cost(options: Options, app: str) -> float:
    """µs of CPU for a frame in and a frame out."""
    async with _serving(options, app) as (port, used):
        callers = [Caller(Ticket("ECHO")) for _ in range(PEERS)]
        await connect_all(callers, port)
        for caller in callers:
            caller.transport.write(caller.said)
        await asyncio.sleep(0.5)
        before, meter = sum(caller.texts for caller in callers), Meter(used)
        await asyncio.sleep(options.seconds(4))
        use = meter.read()
        frames = sum(caller.texts for caller in callers) - before
        hang_up(callers)
    return use.cpu / frames * 1e6


async def floor(options: Options) -> list[Row]:
    """q: a frame in and a frame out: Hypercorn, with Quart, with the guards"""
    kinds = {"plain": "Hypercorn", "quart()": "Hypercorn and Quart", "guarded()": "and the guards"}
    costs = {name: await _cost(options, app) for app, name in kinds.items()}
    return [Row(f"q CPU of a frame in and out, {name}", cost, "µs") for name, cost in costs.items()]


PARTS = {"q": floor}
