"""The least that a fan-out can cost: for each frame, bytes made beforehand to every socket. On uvloop."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

import uvloop

from .client import HOST, MARK

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Connection(asyncio.Protocol):
    everybody: set[asyncio.Transport]
    frame: bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class
        self.buffer = b""
        self.open = False

    def connection_lost(self, error: Exception | None) -> None:
        self.everybody.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            _, end, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.open = True
            self.transport.write(ANSWER)
            self.everybody.add(self.transport)
        for _ in range(self._frames()):
            for transport in self.everybody:
                transport.write(self.frame)

    def _frames(self) -> int:
        """How many whole frames have come; they are dropped."""
        frames = 0
        while len(self.buffer) >= 8:
            length, start = self.buffer[1] & 0x7F, 6
            if length == 126:
                length, start = int.from_bytes(self.buffer[2:4]), 8
            if len(self.buffer) < start + length:
                break
            self.buffer = self.buffer[start + length :]
            frames += 1
        return frames


async def main(port: int, size: int) -> None:
    text = b'<li id="message-1"><p class=text>%s' % MARK
    text = text.ljust(size, b".")
    head = struct.pack("!BB", 0x81, size) if size < 126 else struct.pack("!BBH", 0x81, 126, size)
    Connection.everybody, Connection.frame = set(), head + text
    server = await asyncio.get_running_loop().create_server(Connection, HOST, port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
