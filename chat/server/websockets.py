"""WebSockets: what a frame may cost, and a close that says why."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO
from typing import Any

import h11
from hypercorn.asyncio.worker_context import EventWrapper
from hypercorn.protocol import ws_stream
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11WSConnection
from hypercorn.protocol.ws_stream import FrameTooLargeError, Handshake, WebsocketBuffer, WSStream
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason

from chat.server import bounds
from chat.server.guards import Guard, around
from chat.server.inbox import Line, Utf8
from chat.server.rates import FrameCount


@around(ws_stream, "server_extensions_handshake")
def _refuse_deflate(original: Guard, *offer: Any) -> None:
    """permessage-deflate costs 120 KB a connection, and inflates 61 KB to 184 MB before any limit."""


@around(ws_stream, "Connection")
class _PoliteConnection(Connection):
    """Says which rule of the protocol was broken before it ends; Hypercorn just hangs up.

    Its events end after a bounded number of frames though there may be `more`, or when `frames` counts
    too many.
    """

    def __init__(self, original: Guard, *args: Any) -> None:
        self.frames: FrameCount | None = None
        self.more = False
        super().__init__(*args)

    def events(self) -> Iterator[Any]:  # type: ignore[override]
        self.more = False
        for count, event in enumerate(super().events(), 1):
            cost = 1.0 if getattr(event, "frame_finished", True) else bounds.FRAME_PART
            if self.frames is not None and not self.frames.spend(cost):
                return
            if isinstance(event, CloseConnection) and self.state is ConnectionState.OPEN:
                self._state = ConnectionState.REMOTE_CLOSING  # then Hypercorn answers, with the event's code
            yield event
            if count == bounds.FRAMES_AT_ONCE:
                self.more = True
                return


@around(Handshake, "is_valid")
def _check_key(original: Callable[..., bool], self: Any) -> bool:
    try:
        return original(self) and (self.key is None or len(b64decode(self.key, validate=True)) == 16)
    except ValueError:
        return False


@around(WebsocketBuffer, "extend")
def _extend(original: Guard, self: Any, event: Any) -> None:
    """Hypercorn looks at the length when it has kept the bytes, counts characters, and goes on.

    It also keeps a text as characters: one emoji among them makes each of them four bytes.
    """
    data = event.data
    self.is_text = isinstance(event, TextMessage)
    whole = self.value is None and event.message_finished
    if self.is_text and not (whole and data.isascii()):
        data = Utf8(data.encode())
    self.length += len(data)
    if self.length > self.max_length:
        raise FrameTooLargeError
    if self.value is None:
        self.value = data if whole else BytesIO()
        self.began = asyncio.get_running_loop().time()
    if not whole:
        self.value.write(data)
    self.holding.set("arriving", self.length)


@around(WebsocketBuffer, "to_message")
def _to_message(original: Guard, self: Any) -> dict[str, Any]:
    data, self.value = self.value, None
    if isinstance(data, BytesIO):
        data = Utf8(data.getvalue()) if self.is_text else data.getvalue()
    return {
        "type": "websocket.receive",
        "bytes": None if self.is_text else data,
        "text": data if self.is_text else None,
    }


@around(WebsocketBuffer, "clear")
def _clear(original: Guard, self: Any) -> None:
    original(self)
    self.holding.set("arriving", 0)


@around(WSStream, "_handle_events")
async def _handle_some(original: Guard, self: Any) -> None:
    """One read may hold 10,000 frames: after a few of them other connections have a turn."""
    frames: FrameCount | None = getattr(self, "frames", None)
    self.connection.frames = frames
    while True:
        await original(self)
        if frames is not None and frames.over:
            await self._send_wsproto_event(CloseConnection(code=CloseReason.POLICY_VIOLATION))
            await _cut_off(self, CloseReason.POLICY_VIOLATION)
        elif (
            self.state is ws_stream.ASGIWebsocketState.CONNECTED
            and self.connection.state is ConnectionState.LOCAL_CLOSING
        ):
            await _cut_off(self, CloseReason.MESSAGE_TOO_BIG)  # Hypercorn has answered so, but would go on
        pause = 0.0 if self.closed or frames is None else frames.pause()
        if self.connection.more or pause:
            await asyncio.sleep(min(pause, bounds.LONGEST_PAUSE))
        if not self.closed and not await self.buffer.holding.breathe():
            await self._send_wsproto_event(CloseConnection(code=CloseReason.TRY_AGAIN_LATER))
            await _cut_off(self, CloseReason.TRY_AGAIN_LATER)
        if self.closed or not self.connection.more:
            _set_deadline(self)
            return


def _set_deadline(stream: Any) -> None:
    """A message that has begun to arrive has to end in time: until then its bytes are held for it."""
    timer = getattr(stream, "deadline", None)
    if stream.closed or not stream.buffer.length:
        if timer is not None:
            timer.cancel()
        stream.deadline = None
    elif timer is None:
        loop = asyncio.get_running_loop()
        end = max(stream.buffer.began + bounds.MESSAGE_TIMEOUT, loop.time() + 1)
        stream.deadline = loop.call_at(end, _end_message, stream)


def _end_message(stream: Any) -> None:
    stream.deadline = None
    early = stream.buffer.began + bounds.MESSAGE_TIMEOUT > asyncio.get_running_loop().time()
    if early or stream.buffer.holding.is_blocked:  # another message, or we do not read it
        _set_deadline(stream)
    elif not stream.closed and stream.buffer.length:
        stream.task_group.spawn(_give_up_on, stream)


async def _give_up_on(stream: Any) -> None:
    await stream._send_wsproto_event(CloseConnection(code=CloseReason.POLICY_VIOLATION))
    await _cut_off(stream, CloseReason.POLICY_VIOLATION)


async def _cut_off(stream: Any, code: int) -> None:
    """Drop whatever comes now, and hang up when the peer has had time to read why."""
    if not stream.closed:
        stream.closed = stream.lingers = True
        stream.buffer.clear()
        await _tell_application(stream, int(code))
        stream.task_group.spawn(_hang_up, stream, bounds.LINGER)


@around(WSStream, "handle")
async def _handle(original: Callable[..., Awaitable[None]], self: Any, event: Any) -> None:
    """A handshake that Hypercorn refuses would leave the connection open, and perhaps a handler waiting."""
    was_closed = self.closed
    await original(self, event)
    if isinstance(event, StreamClosed):
        _stop_pings(self)
        _set_deadline(self)
    elif self.closed and not was_closed and not hasattr(self, "lingers"):
        await _tell_application(self, 1006)
        await _hang_up(self, 0)


PING = bytes((0x89, 0))  # a whole frame


class _Accepted:
    """In place of the handshake: nothing else is asked of it."""

    accepted = True


_ACCEPTED, _SPENT, _CAN_READ = _Accepted(), h11.Connection(h11.SERVER), EventWrapper()
_SPENT.send_failed()


@around(WSStream, "_accept")
async def _forget_the_handshake(original: Guard, self: Any, message: Any) -> None:
    """A dozen objects that each socket would hold for hours."""
    await original(self, message)
    self.handshake, self.scope = _ACCEPTED, None
    self.connection._events = Line()
    protocol = self.send.__self__
    if isinstance(getattr(protocol, "connection", None), H11WSConnection):
        protocol.connection.h11_connection = _SPENT
        protocol.can_read = _CAN_READ  # only a second request would have to wait for it


@around(WSStream, "_send_pings")
async def _send_pings(original: Guard, self: Any) -> None:
    """The worker's timer has it pinged, in place of a task that sleeps between pings."""
    await _ping(self)
    if not self.closed:
        loop = asyncio.get_running_loop()
        self.context.worker.pings.add(self, loop.time() + self.config.websocket_ping_interval)


async def _ping(stream: Any) -> None:
    stream.pinging = asyncio.current_task()
    if not stream.closed:
        await stream._send_wsproto_event(Ping())
    stream.pinging = None


def ping_again(stream: Any) -> float | None:
    """For the worker's timer: a ping at once if the socket is free, or when it is; the time of the next."""
    if stream.closed:
        return None
    if stream.pinging is None and not (stream.fast_path is not None and stream.fast_path(PING)):
        stream.task_group.spawn(_ping, stream)
    when: float = asyncio.get_running_loop().time() + stream.config.websocket_ping_interval
    return when


def _stop_pings(stream: Any) -> None:
    stream.context.worker.pings.remove(stream)
    if getattr(stream, "pinging", None) is not None:
        stream.pinging.cancel()


async def _tell_application(stream: Any, code: int) -> None:
    _stop_pings(stream)
    if stream.app_put is not None:
        await stream.app_put({"type": "websocket.disconnect", "code": code})


async def _hang_up(stream: Any, delay: float) -> None:
    await asyncio.sleep(delay)
    await stream.send(StreamClosed(stream_id=stream.stream_id))
