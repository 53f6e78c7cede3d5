"""How a real server closes a connection: a peer that is still writing hears why, and is not cut off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from chaos.tab import ask
from deployments import one
from serving import Server
from wire import CUT, Socket
from wsproto.events import CloseConnection

from chat.live.connection import RESTART
from chat.web.socket import LINGER


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Server]:
    with one(tmp_path) as (node,):
        yield node


@pytest.fixture
async def socket(node: Server) -> AsyncIterator[Socket]:
    """Of somebody in a room, who has said what their page has."""
    created = await ask(node.port, "/", form={"name": "Ann", "create": "1"})
    name, _, value = created.headers["set-cookie"].partition(";")[0].partition("=")
    path = f"{created.headers['location']}/live"
    async with await Socket.connect(node.port, path, cookies={name: value}) as socket:
        await socket.send_text(json.dumps({"k": "resume", "since": "0"}))
        await socket.recv()
        yield socket


async def test_who_writes_while_the_node_ends_is_not_reset_before_they_have_answered(
    node: Server, socket: Socket
) -> None:
    """A proxy that has yet to pass on the close frame drops it when a write of its own is refused."""
    node.terminate()
    assert await _closed(socket) == RESTART
    for n in range(5):
        await asyncio.sleep(0.05)
        await socket.send(b"\x81\x80\0\0\0\0")  # an empty text, which wsproto would not send any more
        assert not socket.reader.at_eof(), f"hung up before text {n}"
    await socket.send(b"\x88\x82\0\0\0\0\x03\xf4")
    assert await asyncio.wait_for(socket.reader.read(), 1) == b"", "ended in good order, and at once"
    assert await asyncio.to_thread(node.wait, 3) == 0


async def test_who_never_answers_does_not_hold_up_the_end_for_long(node: Server, socket: Socket) -> None:
    started = time.monotonic()
    node.terminate()
    assert await _closed(socket) == RESTART
    assert await asyncio.to_thread(node.wait) == 0
    assert time.monotonic() - started < LINGER + 3


async def _closed(socket: Socket) -> int:
    """The code of the server's close frame, which is not answered; CUT if the server hung up without one."""
    while data := await socket.reader.read(65536):
        socket.protocol.receive_data(data)
        for event in socket.protocol.events():
            if isinstance(event, CloseConnection):
                return event.code
    return CUT
