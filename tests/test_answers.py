"""A request takes one task, and its answer one write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from serving import Server
from test_server import get, loop_name, post, server, shared, start, state, until, within
from wire import Response, Wire

from chat.server import bounds

__all__ = ["loop_name", "server", "shared", "start"]  # fixtures


async def ask(wire: Wire, request: bytes) -> tuple[Response, bytes]:
    await wire.send(request)
    head = await wire.head()
    return head, await wire.reader.readexactly(int(head.headers["content-length"]))


async def seen(wire: Wire) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await ask(wire, get("/")))[1])
    return found


async def test_an_answer_is_written_at_once(server: Server) -> None:
    async with await Wire.open(server.port) as wire:
        before = (await seen(wire))["writes"]
        assert (await seen(wire))["writes"] == before + 1


async def test_a_request_is_one_task_and_so_is_a_connection_between_two(server: Server) -> None:
    async with await Wire.open(server.port) as wire, AsyncExitStack() as others:
        alone = (await seen(wire))["tasks"]
        for _ in range(3):
            await seen(await others.enter_async_context(await Wire.open(server.port)))
        assert (await seen(wire))["tasks"] == alone + 3
        undecided = await others.enter_async_context(await Wire.open(server.port))
        await undecided.send(get("/undecided"))
        await until(server, lambda now: "/undecided" in now["here"])
        async with asyncio.timeout(5):  # for the connection that has just asked
            while (await seen(wire))["tasks"] != alone + 3 + 2:
                await asyncio.sleep(0.02)


async def test_who_leaves_before_the_answer_ends_the_work_on_it(server: Server) -> None:
    wire = await Wire.open(server.port)
    await wire.send(get("/undecided"))
    await until(server, lambda now: "/undecided" in now["here"])
    wire.cut()
    await until(server, lambda now: not now["here"])


async def test_who_asks_and_leaves_at_once_among_many_ends_the_work_on_it(server: Server) -> None:
    """The news comes before the work has begun: the requests of an address wait for their turns."""
    wires = [await Wire.open(server.port) for _ in range(4 * bounds.STARTS_AT_ONCE)]
    for wire in wires:
        wire.writer.write(get("/live"))
        wire.writer.write_eof()
    await until(server, lambda now: not now["here"])
    for wire in wires:
        wire.cut()


async def test_peers_that_go_while_their_address_has_no_place_keep_none(server: Server) -> None:
    """Some have gone when their request is read: nobody will say so any more."""
    for _ in range(3):
        wires = [await Wire.open(server.port) for _ in range(3 * bounds.STARTS_AT_ONCE)]
        for wire in wires:
            wire.writer.write(get("/undecided"))
            wire.reset()
        await until(server, lambda now: not now["here"])
    assert "A connection failed" not in server.log


@pytest.mark.parametrize("cut_at", [0, 1, 2500])
async def test_a_body_counts_whole_however_it_arrives(server: Server, cut_at: int) -> None:
    body = b"x" * 5000
    async with await Wire.open(server.port) as wire:
        for _ in range(2):
            await wire.send(post("Content-Length: 5000") + body[:cut_at])
            if cut_at:
                await until(server, lambda now: "/form" in now["here"])
            _, answer = await ask(wire, body[cut_at:])
            assert answer == b"5000"


async def test_questions_sent_together_are_answered_in_their_order(server: Server) -> None:
    form = post("Content-Length: 3") + b"abc"
    async with await Wire.open(server.port) as wire:
        head = b"HEAD" + get("/").removeprefix(b"GET")
        await wire.send(get("/") + form + head + get("/nowhere") + form)
        answers = [await ask(wire, b"") for _ in range(2)]
        assert (await wire.head()).status == 200  # to HEAD: no body
        answers += [await ask(wire, b"") for _ in range(2)]
    assert [answer.status for answer, _ in answers] == [200, 200, 404, 200]
    assert [body for _, body in answers][1::2] == [b"3", b"3"]


async def test_who_goes_while_the_answer_is_on_its_way_leaves_no_trace(server: Server) -> None:
    for _ in range(20):
        wire = await Wire.open(server.port)
        await wire.send(get("/") * 3)
        wire.reset()


async def test_a_connection_between_two_requests_ends_in_time(
    start: Callable[..., Server],
) -> None:
    with start("--keep-alive", "1") as server:
        async with await Wire.open(server.port) as wire:
            await ask(wire, get("/"))
            await asyncio.sleep(0.6)
            await ask(wire, get("/"))  # which begins the second anew
            await asyncio.sleep(0.6)
            await ask(wire, get("/"))
            async with within(3):
                assert await wire.rest() == b""
        assert not (await state(server))["here"]
