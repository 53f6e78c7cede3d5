"""Answers that are whole: made in one task, and written in one piece (decision 45)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from time import time
from typing import Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState
from hypercorn.utils import build_and_validate_headers, suppress_body
from quart import Response
from quart.asgi import ASGIHTTPConnection, _handle_exception
from quart.utils import cancel_tasks, raise_task_exceptions
from quart.wrappers.response import DataBody

Headers = list[tuple[bytes, bytes]]
Answer = Callable[[int, Headers, bytes], Awaitable[bool]]


def whole_answer(stream: Any) -> Answer | None:
    """Writes a status, headers and a body at once; None if Hypercorn is not as expected.

    It says whether it did. If not, the ordinary way has to be taken: three events, each through five layers
    and two of them written by themselves.
    """
    protocol = stream.send.__self__
    if not isinstance(protocol, H11Protocol):
        return None

    async def answer(status: int, headers: Headers, body: bytes) -> bool:
        connection: Any = protocol.connection
        if stream.closed or stream.state is not ASGIHTTPState.REQUEST:
            return False
        if not isinstance(connection, h11.Connection) or connection.our_state is not h11.SEND_RESPONSE:
            return False
        headers = build_and_validate_headers(headers)
        stream.response = {"type": "http.response.start", "status": status, "headers": headers}
        stream.state = ASGIHTTPState.RESPONSE
        body = b"" if suppress_body(stream.scope["method"], status) else body
        await protocol.send(RawData(_on_the_wire(protocol, connection, status, headers, body)))
        stream.state = ASGIHTTPState.CLOSED
        await stream.config.log.access(stream.scope, stream.response, time() - stream.start_time)
        await stream.send(StreamClosed(stream_id=stream.stream_id))
        return True

    return answer


def _on_the_wire(
    protocol: Any, connection: h11.Connection, status: int, headers: Headers, body: bytes
) -> bytes:
    ours = chain(headers, protocol.config.response_headers("h11"))
    last = protocol.keep_alive_requests >= protocol.config.keep_alive_max_requests
    start = h11.Response(status_code=status, headers=[*ours, *([(b"connection", b"close")] if last else [])])
    parts = [connection.send(start)]
    if body:
        parts.append(connection.send(h11.Data(data=body)))
    parts.append(connection.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part)


class OneTaskRequest(ASGIHTTPConnection):
    """For `app.asgi_http_class`: Quart makes two tasks of each request, and a third to send its answer.

    One is enough once the request has come as a whole. A peer that goes cancels it, as with Quart.
    """

    _task: asyncio.Task[Any] | None = None
    _answered = _left = False

    async def __call__(self, receive: Any, send: Any) -> None:
        request = self._create_request_from_scope(send)
        arrived: asyncio.Queue[Any] | None = self.scope.get("chat.arrived")  # type: ignore[assignment]
        if arrived is None or not _take_body(request, arrived):
            await self._while_it_arrives(request, receive, send)
            return
        task = self._task = asyncio.current_task()
        self.scope["chat.gone"].append(self._leave)  # type: ignore[typeddict-item]
        try:
            await self.handle_request(request, self._noting_the_end(send))
        except asyncio.CancelledError:
            if not self._left or task is None or task.uncancel():
                raise

    def _leave(self) -> None:
        """The peer has gone, or its answer has come to an end."""
        if self._task is not None and not self._answered:
            self._left = True
            self._task.cancel()

    def _noting_the_end(self, send: Any) -> Any:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._answered = True
            await send(message)

        return noting

    async def _while_it_arrives(self, request: Any, receive: Any, send: Any) -> None:
        receiving = asyncio.ensure_future(self.handle_messages(request, receive))
        handling = asyncio.ensure_future(self.handle_request(request, send))
        done, pending = await asyncio.wait([handling, receiving], return_when=asyncio.FIRST_COMPLETED)
        await cancel_tasks(pending)
        raise_task_exceptions(done)

    async def handle_request(self, request: Any, send: Any) -> None:
        try:
            response: Any = await self.app.handle_request(request)
        except Exception as error:
            response = await _handle_exception(self.app, error)
        given = getattr(response, "timeout", ...)
        timeout = self.app.config["RESPONSE_TIMEOUT"] if given is ... else given
        try:
            async with asyncio.timeout(timeout):
                await self._send_response(send, response)
        except TimeoutError:
            pass

    async def _send_response(self, send: Any, response: Any) -> None:
        answer: Answer | None = self.scope.get("chat.answer")  # type: ignore[assignment]
        body = response.response if isinstance(response, Response) else None
        if answer is None or not isinstance(body, DataBody):
            await super()._send_response(send, response)
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
        self._answered = True
        if not await answer(response.status_code, headers, body.data[body.begin : body.end]):
            self._answered = False
            await super()._send_response(send, response)


def _take_body(request: Any, arrived: asyncio.Queue[Any]) -> bool:
    """Give the request what has come of its body; whether that is all, and the peer is still there."""
    while not arrived.empty():
        message = arrived.get_nowait()
        if message["type"] != "http.request":
            arrived.put_nowait(message)  # the peer has gone
            return False
        request.body.append(message.get("body", b""))
        if not message.get("more_body", False):
            request.body.set_complete()
            return arrived.empty()  # otherwise the peer has gone meanwhile
    return False
