"""What sockets send is held in bounded memory: counted in bytes, for each socket and for all."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server
from wire import Socket, Wire, frame

from chat.server import bounds
from chat.server.inbox import Holding, Inbox, Pool, Utf8

MIB = 1024 * 1024
TEXT, CONTINUATION, PONG = 1, 0, 10
BIG = {
    "letters": b"x" * 262144,
    "an emoji among letters": "🩷".encode() + b"x" * 262140,
    "emoji": "🩷".encode() * 65536,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = tmp_path_factory.mktemp("server") / "hypercorn.toml"
    config.write_text("")
    with Server("tests.guarded_app:create_app()", config=config) as server:
        yield server


@pytest.mark.parametrize("kind", BIG)
async def test_sockets_whose_handler_is_busy_cost_less_than_a_mebibyte_each(
    server: Server, kind: str
) -> None:
    async with asyncio.timeout(30):
        sockets = [await Socket.connect(server.port, "/busy") for _ in range(20)]
        memory = server.rss()
        for socket in sockets:
            socket.writer.write(frame(TEXT, BIG[kind]) * 40)
        held = 0
        for _ in range(20):
            await asyncio.sleep(0.1)
            held = max(held, server.rss() - memory)
        assert held < 20 * MIB
        for socket in sockets:
            socket.cut()


async def test_a_long_text_with_an_emoji_arrives_as_it_was_sent(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        for text in ("🩷" + "x" * 262140, "é" * 131072):
            await socket.send_text(text)
            assert await socket.recv() == text


async def test_a_message_is_measured_in_bytes_and_not_in_characters(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        await socket.send_text("é" * 131073)
        assert await socket.recv() == 1009


async def test_a_message_that_never_ends_is_not_waited_for(server: Server) -> None:
    async with asyncio.timeout(20), await Socket.connect(server.port, "/echo") as socket:
        socket.answers_pings = False
        await socket.send(frame(TEXT, b"x" * 1000, fin=False))
        while not socket.reader.at_eof():
            try:
                await asyncio.wait_for(asyncio.shield(receiving := asyncio.ensure_future(socket.recv())), 0.1)
            except TimeoutError:
                await socket.send(frame(PONG))
                receiving.cancel()
                continue
            break
        assert receiving.result() == 1008


# --- The chat itself ---

EMOJI = "🩷"
BESIDE = {  # what the chat makes of a frame of 255 kB
    "letters": {"k": "x", "body": "x" * 255_000},
    "letters and an emoji": {"k": "x", "body": EMOJI + "x" * 255_000},
    "a text with an emoji, given back": {"key": "k", "body": EMOJI + "x" * 255_000},
    "quotes, which HTML writes longer": {"key": "k", "body": EMOJI + '"' * 127_000},
    "a field that nobody knows": {"k": "x", "z": EMOJI + "x" * 255_000},
    "many fields": {"k": "x"} | {f"{number}": EMOJI for number in range(15_000)},
    "many texts": {"key": "k", "body": ["ab"] * 40_000},
    "texts of a page that comes back": {"key": "k", "body": [EMOJI + "x" * 2500] * 100},
    "objects": {"k": "resume", "z": [{}] * 60_000},
}
FRAMES: dict[str, bytes] = {
    **{
        kind: frame(TEXT, json.dumps(value, ensure_ascii=False).encode()) * 32
        for kind, value in BESIDE.items()
    },
    "fragments": frame(TEXT, b'{"body":"', fin=False)
    + (frame(CONTINUATION, EMOJI.encode() + b"x" * 1000, fin=False) * 250),
    "a message that lacks its end": frame(TEXT, EMOJI.encode() + b"x" * 255_000, length=256_000),
    "many small frames": frame(TEXT, b'{"k":"x","body":"x"}') * 200,
}


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Server]:
    """A new one each time: what an old one once held would be no growth."""
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}"}) as server:
        yield server


@pytest.mark.parametrize("kind", FRAMES)
async def test_no_frames_cost_the_chat_more_than_a_mebibyte_of_memory_a_connection(
    chat: Server, kind: str
) -> None:
    """Nor do the answers, which nobody reads."""
    async with asyncio.timeout(60):
        sockets = [await _enter(chat) for _ in range(20)]
        for socket in sockets:
            socket.writer.transport.pause_reading()  # type: ignore[attr-defined]
        memory, most = chat.rss(), 0
        for socket in sockets:
            socket.writer.write(FRAMES[kind])
        for _ in range(60):
            await asyncio.sleep(0.05)
            most = max(most, chat.rss() - memory)
        for socket in sockets:
            socket.cut()
    assert most < 20 * MIB


async def test_what_a_page_of_home_sends_is_not_kept(chat: Server) -> None:
    """Else its reader would wait for ever, and what waits would fill what all sockets share."""
    async with asyncio.timeout(20), await _enter(chat, "/live") as socket:
        for _ in range(2 * bounds.INBOX):
            await socket.send_text("x" * 1000)
        await socket.close()
        while isinstance(said := await socket.recv(), str):
            pass
    assert said == 1000


async def _enter(server: Server, path: str = "") -> Socket:
    """A socket of a new member, in a room of its own, or at another path."""
    body = b"name=Eve&create=1"
    async with await Wire.open(server.port) as wire:
        start = [
            "POST / HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            f"Origin: http://127.0.0.1:{server.port}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
        await wire.send("\r\n".join([*start, "", ""]).encode() + body)
        response = await wire.head()
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    path = path or response.headers["location"] + "/live"
    return await Socket.connect(server.port, path, cookies={name: value})


# --- Counting ---


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    monkeypatch.setattr(bounds, "INBOX_BYTES", 1000)
    monkeypatch.setattr(bounds, "INBOXES_BYTES", 5000)
    monkeypatch.setattr(bounds, "INBOX_FREE", 100)
    return Pool()


@pytest.fixture
def turns() -> Callable[[], Awaitable[None]]:
    async def turn() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    return turn


def _put(inbox: Inbox, holding: Holding, text: str) -> asyncio.Task[None]:
    async def put() -> None:
        message = Utf8(text.encode())
        await holding.admit(sys.getsizeof(message))
        await inbox.put(message)

    return asyncio.create_task(put())


async def test_what_waits_counts_as_bytes_and_what_is_handled_as_characters(pool: Pool, turns: Any) -> None:
    holding = Holding(pool)
    inbox = Inbox(holding)
    text = "🩷" + "x" * 500
    await _put(inbox, holding, text)
    assert holding.total == pool.held == sys.getsizeof(Utf8(text.encode())) < 600
    assert await inbox.get() == text
    assert holding.total == pool.held == sys.getsizeof(text) > 2000
    getting = asyncio.create_task(inbox.get())
    await turns()
    assert pool.held == 0  # the handler asks for the next: it is through with this one
    getting.cancel()


async def test_what_is_taken_together_counts_together_until_more_is_asked_for(pool: Pool) -> None:
    holding = Holding(pool)
    inbox = Inbox(holding)
    for _ in range(2):
        await _put(inbox, holding, "🩷" + "x" * 300)
    one = sys.getsizeof(Utf8("🩷".encode() + b"x" * 300))
    assert await inbox.take() == "🩷".encode() + b"x" * 300
    assert (holding.queued, holding.handled) == (one, one)
    assert inbox.take_nowait() == "🩷".encode() + b"x" * 300
    assert (holding.queued, holding.handled) == (0, 2 * one)


async def test_taken_are_texts_as_they_waited_and_no_bytes() -> None:
    inbox = Inbox(None)
    for message in ("letters", Utf8("🩷".encode()), b"{}"):
        inbox.put_nowait(message)
    assert await inbox.take() == "letters"
    assert await inbox.take() == "🩷".encode()
    assert await inbox.take() is None


async def test_nothing_arrives_beside_a_message_as_big_as_the_bound(pool: Pool, turns: Any) -> None:
    holding = Holding(pool)
    inbox = Inbox(holding)
    holding.set("arriving", 2000)
    assert await holding.breathe()  # alone
    await _put(inbox, holding, "x" * 900)
    holding.set("arriving", 100)
    reading = asyncio.create_task(holding.breathe())
    await inbox.take()
    await turns()
    assert not reading.done()  # it is being handled
    getting = asyncio.create_task(inbox.take())
    assert await reading
    getting.cancel()


async def test_messages_join_the_queue_of_a_socket_while_it_holds_less_than_its_bound(
    pool: Pool, turns: Any
) -> None:
    holding = Holding(pool)
    inbox = Inbox(holding)
    puts = [_put(inbox, holding, "x" * 400) for _ in range(3)]
    await turns()
    assert [put.done() for put in puts] == [True, True, False]
    await inbox.get()
    await turns()
    assert not puts[2].done()  # the one being handled counts as well
    await inbox.get()
    await turns()
    assert puts[2].done()


async def test_one_message_may_be_bigger_than_the_bound(pool: Pool) -> None:
    holding = Holding(pool)
    await _put(Inbox(holding), holding, "x" * 2000)
    assert holding.total > 2000


async def test_sockets_wait_for_each_other_one_after_the_other_but_never_for_a_little(
    pool: Pool, turns: Any
) -> None:
    holders = [Holding(pool) for _ in range(6)]
    for holder in holders:
        holder.set("arriving", 900)
    waits = [asyncio.create_task(holder.breathe()) for holder in holders]
    little = Holding(pool)
    little.set("arriving", 100)
    assert await little.breathe()
    await turns()
    assert not any(wait.done() for wait in waits)
    holders[0].close()
    async with asyncio.timeout(5):
        assert all(await asyncio.gather(*waits))
    assert pool.held == 5 * 900 + 100


async def test_whoever_waits_too_long_for_others_is_asked_to_come_back(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "INBOXES_PATIENCE", 0.01)
    holder, late = Holding(pool), Holding(pool)
    holder.set("arriving", 5000)
    late.set("arriving", 200)
    assert not await late.breathe()
    assert not pool.waiting


async def test_a_socket_that_ends_gives_back_what_it_held(pool: Pool, turns: Any) -> None:
    holding = Holding(pool)
    inbox = Inbox(holding)
    puts = [_put(inbox, holding, "x" * 900) for _ in range(2)]
    await turns()
    holding.close()
    await turns()
    assert pool.held == 0
    assert all(put.done() for put in puts)
    holding.set("arriving", 50)
    assert pool.held == 0
