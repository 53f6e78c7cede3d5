"""A small HTTP and WebSocket client that can also misbehave, for tests and the benchmark."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, Self

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

CUT = 1006  # the connection ended without a close frame


class Refused(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.body[:200]!r}")
        self.response = response


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes = b""


class Wire:
    """One TCP connection; every wait is bounded by the caller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, *, host: str = "127.0.0.1") -> Self:
        return cls(*await asyncio.open_connection(host, port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Response:
        """The status line and headers of a response; its body stays to be read."""
        first, *rest = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        pairs = (line.partition(":") for line in rest if line)
        return Response(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs})

    async def rest(self) -> bytes:
        """Everything until the server hangs up, politely or not."""
        data = b""
        try:
            while chunk := await self.reader.read(65536):
                data += chunk
        except OSError:
            pass
        return data

    def cut(self) -> None:
        """Hang up without a goodbye."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """Hang up with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.cut()


class Socket(Wire):
    """A WebSocket. It answers pings while somebody calls recv(), unless told otherwise."""

    answers_pings = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.protocol = Connection(ConnectionType.CLIENT)
        self.response = Response(0, {})
        self._text = ""
        self._events = self.protocol.events()

    @classmethod
    async def connect(
        cls,
        port: int,
        path: str,
        *,
        host: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> Self:
        """Open a socket. Raises Refused, with the response, if the server does not want it."""
        self = await cls.open(port, host=host)
        try:
            await self.send(handshake(path, host=f"{host}:{port}", headers=headers, cookies=cookies))
            self.response = await self.head()
            if self.response.status != 101:
                length = int(self.response.headers.get("content-length", "0"))
                raise Refused(self.response._replace(body=await self.reader.readexactly(length)))
        except BaseException:
            self.cut()
            raise
        return self

    async def send_text(self, text: str) -> None:
        self.start_text(text)
        await self.writer.drain()

    def start_text(self, text: str) -> None:
        """Send as a browser does, without waiting for the other side to take it."""
        self.writer.write(self.protocol.send(TextMessage(data=text)))

    async def close(self, code: int = 1000) -> None:
        """Send a close frame; recv() then returns the server's answer."""
        await self.send(self.protocol.send(CloseConnection(code=code)))

    async def recv(self) -> str | int:
        """The next text, or the code with which the server closed (CUT if it gave none)."""
        while True:
            for event in self._events:
                if isinstance(event, TextMessage):
                    self._text += event.data
                    if event.message_finished:
                        text, self._text = self._text, ""
                        return text
                elif isinstance(event, BytesMessage):
                    raise AssertionError("the server sent bytes")
                elif isinstance(event, CloseConnection):
                    if self.protocol.state is ConnectionState.REMOTE_CLOSING:
                        self.writer.write(self.protocol.send(event.response()))
                    return event.code
                elif isinstance(event, Ping) and self.answers_pings:
                    self._pong(event)
            try:
                data = await self.reader.read(65536)
            except OSError:
                data = b""
            if not data:
                self.cut()
                return CUT
            self.protocol.receive_data(data)
            self._events = self.protocol.events()

    def _pong(self, ping: Ping) -> None:
        if self.protocol.state is ConnectionState.OPEN:
            self.writer.write(self.protocol.send(ping.response()))


def handshake(
    path: str,
    *,
    host: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a correct handshake; `headers` replace its own, an empty value leaves one out."""
    fields = {
        "Host": host,
        "Origin": f"http://{host}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items()),
        **(headers or {}),
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin1")


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, length: int | None = None, first: int = 0
) -> bytes:
    """A masked frame (mask 0), which may lie about its length; `first` adds reserved bits."""
    size = len(payload) if length is None else length
    start = bytes([opcode | (0x80 if fin else 0) | first])
    if size < 126:
        start += bytes([0x80 | size])
    elif size < 65536:
        start += struct.pack("!BH", 0x80 | 126, size)
    else:
        start += struct.pack("!BQ", 0x80 | 127, size)
    return start + b"\0\0\0\0" + payload
