"""A connection: deadlines, and an end that comes."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import h11
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, RawData
from hypercorn.protocol.ws_stream import WSStream

from chat.server import bounds
from chat.server.addresses import shared_by
from chat.server.guards import Guard, around
from chat.server.requests import is_dropped
from chat.server.text_reader import TextReader
from chat.server.worker import Worker, abort

ASKED = {h11.DONE, h11.MUST_CLOSE}  # a request is complete; the latter after "Connection: close"


@around(TCPServer, "__init__")
def _admit(
    original: Guard,
    self: Any,
    app: Any,
    loop: Any,
    config: Any,
    context: Any,
    state: Any,
    reader: Any,
    writer: Any,
) -> None:
    if not hasattr(context, "worker"):
        context.worker = Worker(app, config, context)
    worker: Worker = context.worker
    worker.writers.add(writer)
    _limit_socket(writer.get_extra_info("socket"))
    writer.transport.set_write_buffer_limits(bounds.WRITE_BUFFER)
    _limit_tls(writer.transport)
    original(self, app, loop, worker.config, context, state, reader, writer)
    self.reader = _Reader(self, reader, worker)
    self.idle_task = _IdleTimer(self, worker)


def _limit_socket(sock: socket.socket) -> None:
    """A peer that never reads would keep its connection for ever: closing waits until it has read."""
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # it has gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, bounds.SEND_BUFFER)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(bounds.PEER_TIMEOUT * 1000))


def _limit_tls(transport: Any) -> None:
    """TLS has buffers of its own below those of a connection: 256 KiB to read, 64 KiB to write.

    uvloop does not show the transport below, so the latter stay there.
    """
    if hasattr(transport, "set_read_buffer_limits"):
        transport.set_read_buffer_limits(bounds.READ_AT_ONCE)
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is not None:
        below.set_write_buffer_limits(0)


class _IdleTimer:
    """In place of a task, with another one in it: two for each request of a connection."""

    __slots__ = ("_server", "_timer", "_worker")

    def __init__(self, server: TCPServer, worker: Worker) -> None:
        self._server, self._worker = server, worker
        self._timer: asyncio.TimerHandle | None = None

    async def restart(self, *_: Any) -> None:
        """The connection has nothing to do: it ends in a moment, or with the worker."""
        self._forget()
        loop = asyncio.get_running_loop()
        patience = 0.0 if self._worker.ends else self._worker.config.keep_alive_timeout
        self._timer = loop.call_later(patience, self.expire)
        self._worker.idle.add(self)

    async def stop(self) -> None:
        self._forget()

    def expire(self) -> None:
        self._forget()
        self._server.writer.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._worker.idle.discard(self)


class _Reader:
    """The peer's bytes, each with a deadline that fits what is expected of the peer."""

    def __init__(self, server: TCPServer, reader: asyncio.StreamReader, worker: Worker) -> None:
        self.server, self.reader, self.timeout = server, reader, worker.read_timeout
        peer = server.writer.get_extra_info("peername")
        self.turns = worker.turns
        self.address = shared_by(peer, worker.options.trusted_proxies) if worker.options.rate_limit else None
        self.request, self.since = -1, 0.0
        self.waits = False  # all that came before has been handled
        self.near: float | None = None  # the deadline of a peer that has been silent for long

    def at_eof(self) -> bool:
        return self.reader.at_eof()

    async def read(self, size: int) -> bytes:
        deadline = self._deadline()
        self.waits = True
        while True:
            try:
                async with asyncio.timeout_at(deadline) as timer:
                    data = await self.reader.read(size)
                break
            except TimeoutError:
                if not timer.expired():
                    raise  # TCP has given up on the peer
                deadline = self._later()
        self.waits = False
        protocol: Any = self.server.protocol.protocol
        if data and not isinstance(protocol.stream, WSStream):  # whose frames have turns of their own
            await self.turns.wait(self.address)
        return data

    def _later(self) -> float:
        """A new deadline if the peer was heard of by the fast path since. Raises TimeoutError."""
        texts = self._text_reader
        if texts is None or texts.deadline <= asyncio.get_running_loop().time():
            raise TimeoutError
        return texts.deadline

    @property
    def _text_reader(self) -> TextReader | None:
        protocol: Any = self.server.protocol.protocol
        return getattr(protocol.stream, "text_reader", None)

    def may_rest(self) -> bool:
        """Whether all that a peer usually sends is taken at the transport: nobody need wait for more here."""
        if self.near is not None:
            return False  # it is read until its deadline: that is what ends a silent peer
        return self._text_reader is not None and self._text_reader.rest()

    def _deadline(self) -> float | None:
        now = asyncio.get_running_loop().time()
        protocol: Any = self.server.protocol.protocol
        if isinstance(protocol.stream, WSStream):  # it answers pings, at least
            near, self.near = self.near, None
            return now + self.timeout if near is None else near
        if protocol.stream is not None and protocol.connection.their_state in ASKED:
            return None  # it has asked and now it listens, for hours if it likes
        if self.request != protocol.keep_alive_requests:
            self.request, self.since = protocol.keep_alive_requests, now
        return self.since + self.timeout  # for the request as a whole: a byte now and then does not extend it


@around(TCPServer, "_read_data")
async def _read_to_the_end(original: Guard, self: Any) -> None:
    """Hypercorn would keep what it read last until more comes, and wait for another request after the end."""
    try:
        while not self.reader.at_eof():
            if self.reader.may_rest():
                return
            await self.protocol.handle(RawData(await self.reader.read(bounds.READ_AT_ONCE)))
            if is_dropped(self.protocol.protocol):
                await self.context.worker.drops.wait()
    except OSError:  # also a deadline
        pass
    await self.protocol.handle(Closed())
    await self.idle_task.stop()


@around(TCPServer, "protocol_send")
async def _send(original: Guard, self: Any, event: Any) -> None:
    """Hypercorn goes on writing to who has gone, and is not prepared for a peer that "timed out"."""
    try:
        if isinstance(event, RawData) and self.writer.transport.is_closing():
            await asyncio.sleep(0)  # an endless response must give way to the news
            raise ConnectionResetError
        await original(self, event)
        if isinstance(event, RawData) and self.writer.get_extra_info("sslcontext") is not None:
            await asyncio.sleep(0)  # TLS is not closing before the next turn, whatever happened below it
    except OSError:
        await self.protocol.handle(Closed())


@around(TCPServer, "_close")
async def _close(original: Guard, self: Any) -> None:
    """Closing waits until the peer has read everything. Not for ever."""
    transport = self.writer.transport
    timer = asyncio.get_running_loop().call_later(bounds.PEER_TIMEOUT, abort, transport)
    try:
        with suppress(OSError):
            await original(self)
    finally:
        timer.cancel()
        abort(transport)  # nothing, unless the wait was cancelled


@around(TCPServer, "run")
async def _run(original: Guard, self: Any) -> None:
    """The last resort: one connection's failure must not spoil the worker's end, which awaits them all."""
    try:
        await original(self)
    except Exception as error:
        await self.config.log.error("A connection failed: %r", error)
