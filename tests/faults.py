"""A TCP proxy between a node and one of its servers, which misbehaves as it is told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from types import TracebackType

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST, without sending what is left


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)
        self.mute = False  # the answers of the server are swallowed
        self.abandoned = False

    def abandon(self) -> None:
        self.abandoned = True
        self._reset(self._ends[:1])

    def reset(self) -> None:
        self._reset(self._ends)

    def _reset(self, ends: Sequence[asyncio.StreamWriter]) -> None:
        for end in ends:
            sock = end.get_extra_info("socket")
            if sock and not end.transport.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.transport.abort()


class Proxy:
    """Listens on a loopback `port` for what is meant for `target` on `host`; by itself an honest proxy.

    latency         seconds that every piece takes, in each direction
    black_hole()    connections stand and are accepted, and nothing goes through; until heal()
    reset()         all connections end by RST
    abandon()       all connections end by RST, of which the server hears nothing
    close()         nobody else is let in, of which the first sets `happened`; until heal()
    refuse()        close() and reset()
    cut_after(n)    the next n bytes to the server get through, then that connection is reset
    lose_reply(p)   the next request that holds the bytes p reaches the server, its answer is swallowed and
                    the connection reset; or, with `hang`, left standing without a word
    mute()          everything reaches the server, every answer is swallowed, and nothing ends; until heal(),
                    which mute connections do not outlive
    happened        is set once the cut or loss asked for has happened
    heal()          from now on it is honest; what a black hole holds arrives late
    """

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self._target = target
        self._host = host
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._refusing = False
        self._left: int | None = None
        self._pattern = b""
        self._hang = False
        self._mute = False
        self.happened = asyncio.Event()
        self.heal()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def through(self, url: str) -> str:
        """The URL of the target, by way of this proxy."""
        return url.replace(f":{self._target}/", f":{self.port}/")

    def heal(self) -> None:
        self._refusing = self._mute = False
        for link in self._links:
            if link.mute:
                link.reset()
        self._left, self._pattern = None, b""
        self.latency = 0.0
        self._open.set()

    def black_hole(self) -> None:
        self._open.clear()

    def reset(self) -> None:
        for link in self._links:
            link.reset()

    def abandon(self) -> None:
        for link in self._links:
            link.abandon()

    def close(self) -> None:
        self._refusing = True
        self.happened.clear()

    def refuse(self) -> None:
        self.close()
        self.reset()

    def cut_after(self, count: int) -> None:
        self._left = count
        self.happened.clear()

    def lose_reply(self, pattern: bytes, hang: bool = False) -> None:
        self._pattern, self._hang = pattern, hang
        self.happened.clear()

    def mute(self) -> None:
        self._hang = self._mute = True
        for link in self._links:
            link.mute = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            if self._refusing:
                Link(writer, writer).reset()
                self.happened.set()
            else:
                await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a server that is away, or the end of the test
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._host, self._target)
        link = Link(writer, server_writer)
        link.mute = self._mute
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    self._pump(link, reader, server_writer, lambda data: self._request(link, data))
                )
                group.create_task(
                    self._pump(link, server_reader, writer, lambda data: self._reply(link, data))
                )
        except* OSError:
            link.reset()
        finally:
            self._links.discard(link)
            server_writer.close()

    async def _pump(
        self,
        link: Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: Callable[[bytes], bytes],
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._open.wait()
            writer.write(change(data))
            await writer.drain()
        if not link.abandoned:
            writer.close()

    def _request(self, link: Link, data: bytes) -> bytes:
        if self._pattern and self._pattern in data:
            self._pattern, link.mute = b"", True
        if self._left is not None:
            data, self._left = data[: self._left], max(0, self._left - len(data))
            if self._left == 0:
                self._left = None
                self.happened.set()
                asyncio.get_running_loop().call_soon(link.reset)  # after what is still let through
        return data

    def _reply(self, link: Link, data: bytes) -> bytes:
        if not link.mute:
            return data
        self.happened.set()
        if not self._hang:
            link.reset()
        return b""
