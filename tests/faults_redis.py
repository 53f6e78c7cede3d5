"""A TCP proxy between a node and Redis that can fall silent, refuse, or cut what is open."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Faults:
    """Forwards everything to a port until told otherwise. Use it as an async context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()  # clear: a black hole, bytes wait for ever
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Faults:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()

    def swallow(self) -> None:
        """From now on nothing arrives on either side, and nobody is told."""
        self._open.clear()

    def heal(self) -> None:
        """What was swallowed arrives late."""
        self._open.set()

    def cut(self) -> None:
        """Reset what is open."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(back)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, back))
                    group.create_task(self._pump(there, writer))
            except* OSError:
                pass
            self._writers.discard(back)
            back.close()
        self._writers.discard(writer)
        writer.close()
        self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionError("the other side is gone")
