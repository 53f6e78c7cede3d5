"""HTTP requests: bounds of what comes before the body, and readable answers to what is not HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from typing import Any

import h11
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection

from chat.server import bounds
from chat.server.addresses import behind
from chat.server.guards import Guard, around
from chat.server.rates import Spacing
from chat.server.turns import Busy, Place

# What is split, matched or unquoted by somebody: slow for long values, some of it quadratic.
PARSED = {
    *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"cache-control", b"connection"),
    *(b"content-length", b"content-type", b"expect", b"forwarded", b"host", b"if-match", b"if-none-match"),
    *(b"if-modified-since", b"if-range", b"if-unmodified-since", b"origin", b"pragma", b"range"),
    *(b"sec-fetch-site", b"sec-websocket-extensions", b"sec-websocket-key", b"sec-websocket-protocol"),
    *(b"sec-websocket-version", b"te", b"transfer-encoding", b"upgrade"),
    *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
}
ANSWERED = {h11.DONE, h11.MUST_CLOSE}
OVER = {*ANSWERED, h11.CLOSED, h11.ERROR}
WITHOUT_BODY = {b"GET", b"HEAD", b"OPTIONS", b"TRACE"}
REASONS = {
    400: "The server did not understand this request. Please go back and try again.",
    414: "This address is too long. Please shorten it, or begin at the start page.",
    431: "The headers of this request are too long. Removing this site's cookies may help.",
    503: "Too many requests come from your network just now. Please try again in a moment.",
}


def refusal(request: Any) -> int | None:
    """The status with which a request is refused unread, by its raw lengths and its framing alone."""
    if len(request.target) > bounds.TARGET:
        return HTTPStatus.REQUEST_URI_TOO_LONG
    lengths: Counter[bytes] = Counter()
    for name, value in request.headers:
        lengths[name] += len(value)
    if (
        len(request.headers) > bounds.HEADERS
        or lengths[b"cookie"] > bounds.COOKIES
        or any(lengths[name] > bounds.PARSED_HEADER for name in lengths.keys() & PARSED)
    ):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    chunked = b"transfer-encoding" in lengths
    if chunked and (b"content-length" in lengths or request.http_version < b"1.1"):
        return HTTPStatus.BAD_REQUEST  # a proxy may see its end elsewhere: request smuggling
    if has_body(request) and request.method in WITHOUT_BODY:
        return HTTPStatus.BAD_REQUEST  # nobody would read it
    return None if request.target.startswith(b"/") else HTTPStatus.BAD_REQUEST


def has_body(request: Any) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in request.headers
    )


@around(H11Protocol, "_check_protocol")
async def _stay_with_http_1(original: Guard, self: Any, event: Any) -> None:
    """An offer of HTTP/2 is not taken up, as RFC 9110 allows: none of these guards would see it."""


@around(H11Protocol, "_create_stream")
async def _refuse_what_is_odd(original: Guard, self: Any, request: Any) -> None:
    """Quart fails over a target without a path, Hypercorn over a handshake that is not ASCII."""
    status = refusal(request)
    if status is None:
        self.place = _place(self, request)
        try:
            if self.place is None or await self.place.take():
                await original(self, request)
            else:
                await self.handle(Closed())  # nobody else would say so: no stream has begun
                await self.send(Closed())
            return
        except Busy:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        except UnicodeDecodeError:
            self.stream = None
        finally:
            if self.place is not None and not self.place.used:
                self.place.give_back()
    await self._send_error_response(status or 400)
    if has_body(request):
        await _drop(self.send.__self__.reader.reader, self.context.worker.drops)
    await self.send(Closed())


def is_dropped(protocol: Any) -> bool:
    """Whether the rest of the input can be discarded, since the response was sent."""
    connection = protocol.connection
    rest_of_body = connection.their_state is h11.SEND_BODY and connection.our_state in ANSWERED
    return rest_of_body or hasattr(protocol.stream, "lingers")


def _place(protocol: Any, request: Any) -> Place | None:
    """None if the request waits for nobody: of a proxy itself, or without limits."""
    worker, options = protocol.context.worker, protocol.context.worker.options
    address = behind(protocol.client, request.headers, options.trusted_proxies)
    if address is None or not options.rate_limit:
        return None
    writer = protocol.send.__self__.writer
    return Place(worker.places, address, writer.transport.get_protocol())


async def _drop(reader: Any, drops: Spacing) -> None:
    """Closed with bytes unread, the peer's system would throw away the answer."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(bounds.LINGER):
            while await reader.read(65536):
                await drops.wait()


@around(H11Protocol, "_send_error_response")
async def _say_why(original: Guard, self: Any, status: int) -> None:
    """Hypercorn would send a status and an empty page."""
    if isinstance(self.connection, H11WSConnection):
        await original(self, status)
        return
    phrase = HTTPStatus(status).phrase
    text = f"{status} {phrase}\n\n{REASONS.get(status, REASONS[400])}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),  # how long a cookie may be says how long it is
        (b"connection", b"close"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"%d" % bounds.COME_AGAIN))
    headers = list(chain(headers, self.config.response_headers("h11")))
    await self._send_h11_event(h11.Response(status_code=status, headers=headers))
    with suppress(h11.LocalProtocolError):  # it was HEAD
        await self._send_h11_event(h11.Data(data=text))
    with suppress(h11.LocalProtocolError):
        await self._send_h11_event(h11.EndOfMessage())


@around(H11Protocol, "_send_h11_event")
async def _send_while_it_can_be_heard(original: Guard, self: Any, event: Any) -> None:
    """An application may answer a peer that was refused or has gone meanwhile: not an error."""
    connection = self.connection
    if isinstance(connection, H11WSConnection):
        connection = connection.h11_connection
    if connection.our_state is h11.SEND_BODY and isinstance(event, h11.Response | h11.InformationalResponse):
        return  # another answer has begun: the peer is being refused
    over = connection.our_state in OVER or connection.their_state is h11.ERROR
    try:
        await original(self, event)
    except h11.LocalProtocolError:
        if not over:
            raise


@around(H11Protocol, "_maybe_recycle")
async def _let_the_body_end(original: Guard, self: Any) -> None:
    """An answer may come before the end of a body that is not wanted: it has a moment to be read."""
    for _ in range(int(bounds.LINGER / bounds.LOOK_EVERY)):
        if self.connection.their_state is not h11.SEND_BODY or self.send.__self__.writer.is_closing():
            break
        await asyncio.sleep(bounds.LOOK_EVERY)
    await original(self)


@around(H11Protocol, "handle")
async def _let_go(original: Guard, self: Any, event: Any) -> None:
    """What comes after a request is read when its response has ended: never, if the peer has gone."""
    await original(self, event)
    if isinstance(event, Closed) and isinstance(self.connection, h11.Connection):
        self.connection = H11WSConnection(self.connection)  # whose next event is never "paused"
        await self.can_read.set()
