"""A small application behind chat.server, with time-outs short enough for tests."""

from __future__ import annotations

import asyncio
import gc
import os
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from hypercorn.protocol.h11 import H11Protocol
from quart import Quart, make_response, request, websocket

from chat import server
from chat.server import bounds, guards

bounds.CEILINGS["read_timeout"] = 1.0
bounds.CEILINGS["websocket_ping_interval"] = 0.8
bounds.PEER_TIMEOUT = 1.0
bounds.LINGER = 0.3
bounds.MESSAGE_TIMEOUT = 1.5
bounds.HANDSHAKE_TIMEOUT = 1.5
bounds.REST_TIMEOUT = 0.3
# To see that each guard is missed: run the tests with one left out.
guards.GUARDS[:] = [guard for guard in guards.GUARDS if guard[2].__name__ != os.environ.get("WITHOUT")]


def _stumble(original: Any, self: Any, event: Any) -> Any:
    """A fault in Hypercorn that we do not know yet."""
    if event.target == b"/stumble":
        raise RuntimeError("stumbled")
    return original(self, event)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _counted_writes() -> Counter[str]:
    """Counts what Hypercorn hands to its transports."""
    writes: Counter[str] = Counter()
    write = asyncio.StreamWriter.write

    def counted(self: asyncio.StreamWriter, data: Any) -> None:
        writes["all"] += 1
        write(self, data)

    asyncio.StreamWriter.write = counted  # type: ignore[method-assign]
    return writes


def create_app() -> Quart:
    server.install()
    server.install()
    stumble = partial(_stumble, H11Protocol._check_protocol)
    H11Protocol._check_protocol = lambda self, event: stumble(self, event)  # type: ignore[method-assign]
    app = Quart(__name__)
    if os.environ.get("WITHOUT") != "OneTaskRequest":
        app.asgi_http_class = server.OneTaskRequest
    if os.environ.get("WITHOUT") != "BoundedWebsocket":
        app.asgi_websocket_class = server.BoundedWebsocket
    here: Counter[str] = Counter()
    sockets: set[Any] = set()
    over = asyncio.Event()

    @contextmanager
    def inside(path: str) -> Iterator[None]:
        """Counts who is inside, so that a test sees when a peer has been let go."""
        here[path] += 1
        try:
            yield
        finally:
            here[path] -= 1

    async def terminating() -> None:
        over.set()
        await asyncio.gather(*(socket.close(1012) for socket in sockets), return_exceptions=True)

    app.extensions["terminating"] = terminating
    writes = _counted_writes()

    @app.get("/")
    async def index() -> dict[str, Any]:
        tasks, frozen = len(asyncio.all_tasks()), gc.get_freeze_count()
        return {
            **taken,
            "writes": writes.total(),
            "here": +here,
            "tasks": tasks,
            "pid": os.getpid(),
            "frozen": frozen,
        }

    @app.get("/undecided")
    async def undecided() -> str:
        """Never answers."""
        with inside("/undecided"):
            await asyncio.Event().wait()
        return ""

    @app.post("/form")
    async def form() -> str:
        with inside("/form"):
            return str(len(await request.get_data()))

    @app.get("/live")
    async def live() -> Any:
        """A page that never ends while the server lives."""

        async def beats() -> AsyncIterator[str]:
            with inside("/live"):
                while not over.is_set():
                    yield "beat"
                    try:
                        await asyncio.wait_for(over.wait(), 0.1)
                    except TimeoutError:
                        pass

        response: Any = await make_response(beats())
        response.timeout = None
        return response

    @app.get("/stubborn")
    async def stubborn() -> Any:
        """Goes on when the server should end."""

        async def beats() -> AsyncIterator[str]:
            with inside("/stubborn"):
                while True:
                    yield "beat"
                    await asyncio.sleep(0.1)

        response: Any = await make_response(beats())
        response.timeout = None
        return response

    @app.get("/torrent")
    async def torrent() -> Any:
        """More than anybody reads, whatever happens."""

        async def water() -> AsyncIterator[bytes]:
            with inside("/torrent"):
                while True:
                    yield b"x" * 65536

        response: Any = await make_response(water())
        response.timeout = None
        return response

    taken: dict[str, Any] = {"fast_path": "", "unread": 0}

    @app.websocket("/fast-path")
    async def fast_path() -> None:
        await websocket.accept()
        send: Any = websocket.scope["chat.fast_path"]  # type: ignore[typeddict-item]
        await websocket.send("taken" if send(b"\x81\x05short") else "refused")
        await websocket.receive()
        await websocket.close(1000)
        taken["fast_path"] = "taken" if send(b"\x81\x05short") else "refused"

    @app.websocket("/unread")
    async def unread() -> None:
        """Counts the bytes that the fast path takes until it refuses for a while."""
        await websocket.accept()
        send: Any = websocket.scope["chat.fast_path"]  # type: ignore[typeddict-item]
        frame, count, refused = b"\x81\x7e" + struct.pack("!H", 8000) + b"x" * 8000, 0, 0
        while refused < 20:
            if send(frame):
                count, refused = count + len(frame), 0
            else:
                refused += 1
                await asyncio.sleep(0.01)
        taken["unread"] = count
        await asyncio.Event().wait()

    @app.websocket("/echo")
    async def echo() -> None:
        with inside("/echo"):
            await websocket.accept()
            sockets.add(socket := websocket._get_current_object())  # type: ignore[attr-defined]
            try:
                while True:
                    await websocket.send(str(await websocket.receive()))
            finally:
                sockets.discard(socket)

    @app.websocket("/whose")
    async def whose() -> None:
        """Echoes for the person that the cookie names."""
        with inside("/whose"):
            frames: Any = websocket.scope["chat.frames"]  # type: ignore[typeddict-item]
            frames.belongs_to(websocket.cookies["person"], "192.0.2.1")
            await websocket.accept()
            while True:
                await websocket.send(str(await websocket.receive()))

    @app.websocket("/texts")
    async def texts() -> None:
        """Says of each text which way it came. It declines "slow …" and has enough after "hold …"."""
        with inside("/texts"):
            await websocket.accept()
            scope: Any = websocket.scope
            reader, inbox = scope["chat.text_reader"], scope["chat.inbox"]
            answers: asyncio.Queue[str] = asyncio.Queue()
            idle = [False]

            def take(data: bytes) -> bool:
                if data.startswith(b"slow") or not _is_utf8(data):
                    return False
                if data.startswith(b"hold"):
                    reader.hold()
                    asyncio.get_running_loop().call_later(0.5, reader.release)
                answers.put_nowait(f"fast {data.decode()}")
                return True

            async def answer() -> None:
                while True:
                    await websocket.send(await answers.get())

            reader.attach(SimpleNamespace(take_at_once=take, is_idle=lambda: idle[0] and inbox.empty()))
            answering = asyncio.create_task(answer())
            try:
                while True:
                    idle[0] = True
                    text = await inbox.take()
                    idle[0] = False
                    text = text.decode() if isinstance(text, bytes) else text
                    answers.put_nowait(f"slow {text}")
            finally:
                reader.detach()
                answering.cancel()

    @app.websocket("/flood")
    async def flood() -> None:
        with inside("/flood"):
            await websocket.accept()
            while True:
                await websocket.send("x" * 65536)

    @app.websocket("/busy")
    async def busy() -> None:
        """Has no time for anything that arrives."""
        with inside("/busy"):
            await websocket.accept()
            await asyncio.Event().wait()

    @app.websocket("/brief")
    async def brief() -> None:
        """Ends while frames still arrive."""
        with inside("/brief"):
            await websocket.accept()
            await websocket.receive()

    return app
