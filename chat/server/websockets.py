"""WebSockets: what a frame may cost, and a proper goodbye."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from hypercorn.protocol import ws_stream
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, Handshake, WebsocketBuffer, WSStream
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection

from chat.server import bounds
from chat.server.guards import Guard, around


@around(ws_stream, "server_extensions_handshake")
def _refuse_deflate(original: Guard, *offer: Any) -> None:
    """permessage-deflate costs 120 KB a connection, and inflates 61 KB to 184 MB before any limit."""


@around(ws_stream, "Connection")
class _PoliteConnection(Connection):
    """Says which rule of the protocol was broken before it ends; Hypercorn just hangs up."""

    def __init__(self, original: Guard, *args: Any) -> None:
        super().__init__(*args)

    def events(self) -> Iterator[Any]:  # type: ignore[override]
        for event in super().events():
            if isinstance(event, CloseConnection) and self.state is ConnectionState.OPEN:
                self._state = ConnectionState.REMOTE_CLOSING  # then Hypercorn answers, with the event's code
            yield event


@around(Handshake, "is_valid")
def _check_key(original: Callable[..., bool], self: Any) -> bool:
    try:
        return original(self) and (self.key is None or len(b64decode(self.key, validate=True)) == 16)
    except ValueError:
        return False


@around(WebsocketBuffer, "extend")
def _extend(original: Guard, self: Any, event: Any) -> None:
    """Hypercorn looks at the length when it has kept the bytes, and goes on. Empty fragments count, too."""
    if self.length + len(event.data) > self.max_length:
        raise FrameTooLargeError
    original(self, event)
    self.length += 0 if event.data else 256


@around(WSStream, "_handle_events")
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
        self.task_group.spawn(_hang_up, self, bounds.LINGER)


@around(WSStream, "handle")
async def _handle(original: Callable[..., Awaitable[None]], self: Any, event: Any) -> None:
    """A handshake that Hypercorn refuses would leave the connection open, and perhaps a handler waiting."""
    was_closed = self.closed
    await original(self, event)
    if isinstance(event, StreamClosed):
        _stop_pings(self)
    elif self.closed and not was_closed and not hasattr(self, "lingers"):
        await _tell_application(self, 1006)
        await _hang_up(self, 0)


@around(WSStream, "_send_pings")
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
