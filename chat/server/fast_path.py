"""The fast path of decision 15: frames that are ready for the wire go straight to a free socket."""

from __future__ import annotations

from typing import Any

from hypercorn.protocol import ws_stream
from hypercorn.protocol.h11 import H11Protocol
from wsproto.connection import ConnectionState

from chat.server import bounds

CONNECTED, OPEN = ws_stream.ASGIWebsocketState.CONNECTED, ConnectionState.OPEN


class FastPath:
    """A short way for frames that are ready for the wire.

    The ordinary way costs 60 µs a frame in Quart, Hypercorn and wsproto. This one writes to the transport
    if the socket is open and nothing waits in it, and says whether it did; all else goes the ordinary way.
    So does what is long: nobody counts what this way leaves in the transport of a peer that does not read.
    """

    __slots__ = ("_lock", "_stream", "_transport")

    def __init__(self, stream: Any, server: Any) -> None:
        self._stream, self._transport, self._lock = stream, server.writer.transport, server.send_lock

    def __call__(self, frame: bytes) -> bool:
        stream, transport = self._stream, self._transport
        free = (
            len(frame) <= bounds.FAST_PATH_BYTES
            and stream.state is CONNECTED
            and stream.connection.state is OPEN
            and not (self._lock.locked() or transport.get_write_buffer_size() or transport.is_closing())
        )
        if free:
            transport.write(frame)
        return free


def fast_path(stream: Any) -> FastPath | None:
    """One for a stream; None if Hypercorn is not as expected."""
    protocol = stream.send.__self__
    if not isinstance(protocol, H11Protocol):
        return None
    return FastPath(stream, protocol.send.__self__)  # type: ignore[attr-defined]
