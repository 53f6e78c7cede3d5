"""Bounds that Hypercorn 0.18 does not set itself: what a peer may cost, and how a worker ends."""

from __future__ import annotations

import asyncio
import copy
import signal
import socket
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Any
from weakref import WeakSet

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol import ws_stream
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import FrameTooLargeError, Handshake, WebsocketBuffer, WSStream
from quart.asgi import ASGIWebsocketConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection

# The most a configuration may ask for; a lower setting stays as it is. Seconds and bytes.
CEILINGS: dict[str, float] = {
    "websocket_max_message_size": 256 * 1024,
    "websocket_ping_interval": 20,
    "read_timeout": 45,
    "keep_alive_timeout": 45,
    "h11_max_incomplete_size": 64 * 1024,
    "max_app_queue_size": 10,
}
# Better than Hypercorn's defaults. HTTP/2 is for a proxy in front: none of these guards would see it.
DEFAULTS = {"backlog": 2048, "alpn_protocols": ["http/1.1"]}
PEER_TIMEOUT = 30.0  # seconds in which a peer takes nothing of what we send
SEND_BUFFER = 128 * 1024  # bytes that the kernel keeps for one peer (it doubles the figure)
INBOX = 16  # frames of one socket that wait for its handler
LINGER = 1.0  # seconds that a peer cut off has to read why: closing over unread bytes destroys the reason
GRACE = 0.8  # of graceful_timeout: then what is still open is cut, so that the process ends in time

ASKED = {h11.DONE, h11.MUST_CLOSE}  # a request is complete; the latter after "Connection: close"

Guard = Callable[..., Any]
GUARDS: list[tuple[Any, str, Guard]] = []


def install() -> None:
    """Set the bounds for this process; a second call changes nothing. Raises if Hypercorn is another."""
    for owner, name, guard in GUARDS:
        original = getattr(owner, name, None)
        if original is None:
            raise RuntimeError(
                f"Hypercorn {version('hypercorn')} has no {owner.__name__}.{name}, which chat/guards.py wraps"
            )
        if not hasattr(original, "is_guarded"):
            setattr(owner, name, _guarded(original, guard))
    for name, value in DEFAULTS.items():
        setattr(Config, name, value)


def _guarded(original: Guard, guard: Guard) -> Guard:
    def call(*args: Any, **kwargs: Any) -> Any:
        return guard(original, *args, **kwargs)

    call.is_guarded = True  # type: ignore[attr-defined]
    return call


def _around(owner: Any, name: str) -> Callable[[Guard], Guard]:
    """Have the decorated function called in place of `owner.name`, which it gets as its first argument."""

    def register(guard: Guard) -> Guard:
        GUARDS.append((owner, name, guard))
        return guard

    return register


class BoundedWebsocket(ASGIWebsocketConnection):
    """For `app.asgi_websocket_class`: Quart would queue without end what a handler has no time for."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, scope)
        self.queue = asyncio.Queue(maxsize=INBOX)
        # While the queue is full, nobody reads the news that the peer has gone: it makes room for itself.
        scope.get("chat.gone", []).append(partial(_make_room, self.queue))


# --- The worker: its limits and its end ---


class _Worker:
    """What the connections of one worker process share."""

    def __init__(self, app: Any, config: Config, context: WorkerContext) -> None:
        self.config = _bounded(config)
        self.read_timeout: float = self.config.read_timeout  # type: ignore[assignment]
        self.config.read_timeout = None  # Hypercorn's would cut an endless response, too; see _Reader
        self.writers: WeakSet[asyncio.StreamWriter] = WeakSet()
        self.extensions: dict[str, Any] = getattr(app.app, "extensions", {})
        self.ending = asyncio.create_task(self._end(context))

    async def _end(self, context: WorkerContext) -> None:
        """Let the application say goodbye, then cut: on 3.12 Hypercorn waits for ever (its issue 308)."""
        await context.terminated.wait()
        end = asyncio.get_running_loop().time() + self.config.graceful_timeout * GRACE
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._say_goodbye()
                await asyncio.Event().wait()
        for writer in list(self.writers):
            _abort(writer.transport)

    async def _say_goodbye(self) -> None:
        try:
            if hook := self.extensions.get("terminating"):
                await hook()
        except Exception:
            await self.config.log.exception("The application failed to end its connections")


def _bounded(config: Config) -> Config:
    bounded = copy.copy(config)
    bounded._log = config.log
    for name, ceiling in CEILINGS.items():
        value = getattr(config, name)
        setattr(bounded, name, ceiling if value is None else min(value, ceiling))
    return bounded


@_around(WorkerContext, "__init__")
def _hear_sigterm(original: Guard, self: Any, *args: Any) -> None:
    """A service manager sends SIGTERM to every process; a worker would die of it without a goodbye."""
    original(self, *args)

    def terminate() -> None:
        self.terminating = loop.create_task(self.terminate.set())

    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, terminate)


# --- A connection: deadlines, and an end that comes ---


@_around(TCPServer, "__init__")
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
        context.worker = _Worker(app, config, context)
    worker: _Worker = context.worker
    worker.writers.add(writer)
    _limit_socket(writer.get_extra_info("socket"))
    original(self, app, loop, worker.config, context, state, reader, writer)
    self.reader = _Reader(self, reader, worker.read_timeout)


def _limit_socket(sock: socket.socket) -> None:
    """A peer that never reads would keep its connection for ever: closing waits until it has read."""
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # it has gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PEER_TIMEOUT * 1000))


class _Reader:
    """The peer's bytes, each with a deadline that fits what is expected of the peer."""

    def __init__(self, server: TCPServer, reader: asyncio.StreamReader, timeout: float) -> None:
        self.server, self.reader, self.timeout = server, reader, timeout
        self.at_eof = reader.at_eof
        self.request, self.since = -1, 0.0

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout_at(self._deadline()):
            return await self.reader.read(size)

    def _deadline(self) -> float | None:
        now = asyncio.get_running_loop().time()
        protocol: Any = self.server.protocol.protocol
        if isinstance(protocol.stream, WSStream):
            return now + self.timeout  # it answers pings, at least
        if protocol.stream is not None and protocol.connection.their_state in ASKED:
            return None  # it has asked and now it listens, for hours if it likes
        if self.request != protocol.keep_alive_requests:
            self.request, self.since = protocol.keep_alive_requests, now
        return self.since + self.timeout  # for the request as a whole: a byte now and then does not extend it


@_around(TCPServer, "_read_data")
async def _read_to_the_end(original: Guard, self: Any) -> None:
    """Nothing more comes, so there is no next request to wait for."""
    await original(self)
    await self.idle_task.stop()


@_around(TCPServer, "protocol_send")
async def _send(original: Guard, self: Any, event: Any) -> None:
    """Hypercorn goes on writing to who has gone, and is not prepared for a peer that "timed out"."""
    try:
        if isinstance(event, RawData) and self.writer.transport.is_closing():
            await asyncio.sleep(0)  # an endless response must give way to the news
            raise ConnectionResetError
        await original(self, event)
    except OSError:
        await self.protocol.handle(Closed())


@_around(TCPServer, "_close")
async def _close(original: Guard, self: Any) -> None:
    """Closing waits until the peer has read everything. Not for ever."""
    transport = self.writer.transport
    timer = asyncio.get_running_loop().call_later(PEER_TIMEOUT, _abort, transport)
    try:
        with suppress(OSError):
            await original(self)
    finally:
        timer.cancel()
        _abort(transport)  # nothing, unless the wait was cancelled


def _abort(transport: asyncio.WriteTransport) -> None:
    with suppress(AttributeError):  # a TLS transport of Python 3.11.2 that is closed already
        transport.abort()


@_around(TCPServer, "run")
async def _run(original: Guard, self: Any) -> None:
    """The last resort: one connection's failure must not spoil the worker's end, which awaits them all."""
    try:
        await original(self)
    except Exception as error:
        await self.config.log.error("A connection failed: %r", error)


@_around(TaskGroup, "spawn_app")
async def _spawn_app(original: Guard, self: Any, app: Any, config: Any, scope: Any, send: Any) -> Any:
    """Let no event wait for an application that has ended, and no news of a peer's end wait for anything."""
    gone: list[Callable[[], None]] = []
    scope["chat.gone"] = gone
    if scope["type"] == "websocket":
        scope["chat.lane"] = _lane(send.__self__)
    ended = False

    async def send_or_end(message: Any) -> None:
        nonlocal ended
        if message is None:
            ended = True
            _make_room(queue, always=True)
        await send(message)

    async def put_in_time(event: Any) -> None:
        if ended:
            return
        if event["type"] in {"websocket.disconnect", "http.disconnect"}:
            _make_room(queue)
            for make_room in gone:
                make_room()
            queue.put_nowait(event)
        else:
            await put(event)

    put = await original(self, app, config, scope, send_or_end)
    queue: asyncio.Queue[Any] = put.__self__
    return put_in_time


def _lane(stream: Any) -> Callable[[bytes], bool] | None:
    """A short way for frames that are ready for the wire; None if Hypercorn is not as expected.

    The ordinary way costs 60 µs a frame in Quart, Hypercorn and wsproto. This one writes to the transport
    if the socket is open and nothing waits in it, and says whether it did; all else goes the ordinary way.
    """
    protocol = stream.send.__self__
    if not isinstance(protocol, H11Protocol):
        return None
    server: Any = protocol.send.__self__  # type: ignore[attr-defined]
    transport, lock = server.writer.transport, server.send_lock

    def send(frame: bytes) -> bool:
        free = (
            stream.state is ws_stream.ASGIWebsocketState.CONNECTED
            and stream.connection.state is ConnectionState.OPEN
            and not (lock.locked() or transport.get_write_buffer_size() or transport.is_closing())
        )
        if free:
            transport.write(frame)
        return free

    return send


def _make_room(queue: asyncio.Queue[Any], always: bool = False) -> None:
    if queue.full() or always:
        while not queue.empty():
            queue.get_nowait()


# --- HTTP: politeness to what is not HTTP ---


@_around(H11Protocol, "_check_protocol")
async def _stay_with_http_1(original: Guard, self: Any, event: Any) -> None:
    """An offer of HTTP/2 is not taken up, as RFC 9110 allows: none of these guards would see it."""


@_around(H11Protocol, "_create_stream")
async def _refuse_what_is_odd(original: Guard, self: Any, request: Any) -> None:
    """Quart fails over a target without a path, Hypercorn over a handshake that is not ASCII."""
    if request.target.startswith(b"/"):
        try:
            await original(self, request)
            return
        except UnicodeDecodeError:
            self.stream = None
    await self._send_error_response(400)
    await self.send(Closed())


@_around(H11Protocol, "handle")
async def _let_go(original: Guard, self: Any, event: Any) -> None:
    """The reader of a second request waits for the first response to end: for ever, if the peer has gone."""
    await original(self, event)
    if isinstance(event, Closed) and isinstance(self.connection, h11.Connection):
        self.connection = H11WSConnection(self.connection)  # whose next event is never "paused"
        await self.can_read.set()


# --- WebSockets: what a frame may cost, and a proper goodbye ---


@_around(ws_stream, "server_extensions_handshake")
def _refuse_deflate(original: Guard, *offer: Any) -> None:
    """permessage-deflate costs 120 KB a connection, and inflates 61 KB to 184 MB before any limit."""


@_around(ws_stream, "Connection")
class _PoliteConnection(Connection):
    """Says which rule of the protocol was broken before it ends; Hypercorn just hangs up."""

    def __init__(self, original: Guard, *args: Any) -> None:
        super().__init__(*args)

    def events(self) -> Iterator[Any]:  # type: ignore[override]
        for event in super().events():
            if isinstance(event, CloseConnection) and self.state is ConnectionState.OPEN:
                self._state = ConnectionState.REMOTE_CLOSING  # then Hypercorn answers, with the event's code
            yield event


@_around(Handshake, "is_valid")
def _check_key(original: Callable[..., bool], self: Any) -> bool:
    try:
        return original(self) and (self.key is None or len(b64decode(self.key, validate=True)) == 16)
    except ValueError:
        return False


@_around(WebsocketBuffer, "extend")
def _extend(original: Guard, self: Any, event: Any) -> None:
    """Hypercorn looks at the length when it has kept the bytes, and goes on. Empty fragments count, too."""
    if self.length + len(event.data) > self.max_length:
        raise FrameTooLargeError
    original(self, event)
    self.length += 0 if event.data else 256


@_around(WSStream, "_handle_events")
async def _cut_off(original: Guard, self: Any) -> None:
    """A message too big has been answered with 1009, but Hypercorn would go on reading it."""
    await original(self)
    if (
        self.state is ws_stream.ASGIWebsocketState.CONNECTED
        and self.connection.state is ConnectionState.LOCAL_CLOSING
    ):
        self.closed = self.lingers = True  # whatever comes now is dropped
        self.buffer.clear()
        await _tell_application(self, 1009)
        self.task_group.spawn(_hang_up, self, LINGER)


@_around(WSStream, "handle")
async def _handle(original: Callable[..., Awaitable[None]], self: Any, event: Any) -> None:
    """A handshake that Hypercorn refuses would leave the connection open, and perhaps a handler waiting."""
    was_closed = self.closed
    await original(self, event)
    if isinstance(event, StreamClosed):
        _stop_pings(self)
    elif self.closed and not was_closed and not hasattr(self, "lingers"):
        await _tell_application(self, 1006)
        await _hang_up(self, 0)


@_around(WSStream, "_send_pings")
async def _send_pings(original: Guard, self: Any) -> None:
    """The task sleeps between pings, and its connection could not end before it woke."""
    self.pings = asyncio.current_task()
    await original(self)


def _stop_pings(stream: Any) -> None:
    if hasattr(stream, "pings"):
        stream.pings.cancel()


async def _tell_application(stream: Any, code: int) -> None:
    _stop_pings(stream)
    if stream.app_put is not None:
        await stream.app_put({"type": "websocket.disconnect", "code": code})


async def _hang_up(stream: Any, delay: float) -> None:
    await asyncio.sleep(delay)
    await stream.send(StreamClosed(stream_id=stream.stream_id))
