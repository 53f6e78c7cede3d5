"""HTTP requests: politeness to what is not HTTP."""

from __future__ import annotations

from typing import Any

import h11
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection

from chat.server.guards import Guard, around


@around(H11Protocol, "_check_protocol")
async def _stay_with_http_1(original: Guard, self: Any, event: Any) -> None:
    """An offer of HTTP/2 is not taken up, as RFC 9110 allows: none of these guards would see it."""


@around(H11Protocol, "_create_stream")
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


@around(H11Protocol, "handle")
async def _let_go(original: Guard, self: Any, event: Any) -> None:
    """The reader of a second request waits for the first response to end: for ever, if the peer has gone."""
    await original(self, event)
    if isinstance(event, Closed) and isinstance(self.connection, h11.Connection):
        self.connection = H11WSConnection(self.connection)  # whose next event is never "paused"
        await self.can_read.set()
