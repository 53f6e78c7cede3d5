"""The fast path of decision 15: frames that are ready for the wire go straight to a free socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypercorn.protocol import ws_stream
from hypercorn.protocol.h11 import H11Protocol
from wsproto.connection import ConnectionState

from chat.server import bounds


def fast_path(stream: Any) -> Callable[[bytes], bool] | None:
    """A short way for frames that are ready for the wire; None if Hypercorn is not as expected.

    The ordinary way costs 60 µs a frame in Quart, Hypercorn and wsproto. This one writes to the transport
    if the socket is open and nothing waits in it, and says whether it did; all else goes the ordinary way.
    So does what is long: nobody counts what this way leaves in the transport of a peer that does not read.
    """
    protocol = stream.send.__self__
    if not isinstance(protocol, H11Protocol):
        return None
    server: Any = protocol.send.__self__  # type: ignore[attr-defined]
    transport, lock = server.writer.transport, server.send_lock

    def send(frame: bytes) -> bool:
        free = (
            len(frame) <= bounds.FAST_PATH_BYTES
            and stream.state is ws_stream.ASGIWebsocketState.CONNECTED
            and stream.connection.state is ConnectionState.OPEN
            and not (lock.locked() or transport.get_write_buffer_size() or transport.is_closing())
        )
        if free:
            transport.write(frame)
        return free

    return send
