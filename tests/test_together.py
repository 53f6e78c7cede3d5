"""Which processes may work together, and what the others are told at their start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import calls
import pytest
from chaos.tab import Tab, ask
from deployments import SECRET
from faults import Proxy
from people import until
from postgres import the_server
from redis_server import RedisServer
from serving import REPO, Server

from chat.app import create_app
from chat.settings import Misconfigured, Settings
from chat.startup import open_context
from chat.store import Unavailable, store_for
from chat.store.postgres.store import PostgresStore

ROOM = "BCDFGHJK"

Start = Callable[[Settings], Coroutine[Any, Any, None]]


@pytest.fixture
def database() -> str:
    return the_server().database()


@pytest.fixture
def node(database: str, server: RedisServer) -> Settings:
    return Settings(database, server.url, SECRET)


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts an application that serves until the end of the test. Nobody waits for others to end."""
    monkeypatch.setattr("chat.startup.store_for", _impatient)
    async with AsyncExitStack() as stack:

        async def started(settings: Settings) -> None:
            await stack.enter_async_context(create_app(settings).test_app())  # type: ignore[arg-type]

        yield started


def _impatient(url: str, exclusive: bool) -> Any:
    return PostgresStore(url, exclusive=exclusive, wait=0) if url.startswith("postgres") else store_for(url)


async def _refusal(settings: Settings) -> str:
    """What the operator reads: the application ends with it."""
    with pytest.raises(Misconfigured) as refused:
        await open_context(settings)
    return str(refused.value)


async def test_a_start_that_fails_late_leaves_nothing_at_work(
    node: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise Unavailable("just now")

    monkeypatch.setattr("chat.startup.Presence.restore", fail)
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable):
        await open_context(node)
    assert asyncio.all_tasks() == before


# The secret -------------------------------------------------------------------------------------------


async def test_nodes_with_the_same_key_start(start: Start, node: Settings) -> None:
    await start(node)
    await start(node)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_another_key_than_the_database_knows_is_refused_and_nothing_is_lost(
    start: Start, node: Settings, settings: Settings, kind: str
) -> None:
    usual = node if kind == "postgresql" else settings
    await _visit(usual)
    said = await _refusal(replace(usual, secret_key="another secret, also long enough"))
    assert "CHAT_SECRET_KEY (fingerprint " in said
    assert "Set the same on every node" in said
    assert "another secret" not in said
    await start(usual)


async def _visit(settings: Settings) -> None:
    async with create_app(settings).test_app():
        pass


async def test_a_key_that_is_to_be_another_is_forgotten_by_a_command(start: Start, node: Settings) -> None:
    await _visit(node)
    said = await _forget_key(node)
    assert said.returncode == 0, said.stderr
    await start(replace(node, secret_key="another secret, also long enough"))


async def test_the_key_of_a_store_in_use_is_not_forgotten(start: Start, node: Settings) -> None:
    await start(node)
    said = await _forget_key(node)
    assert said.returncode == 1
    assert "Stop every node" in said.stderr


async def _forget_key(settings: Settings) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quart", "--app", "chat.app:create_app()", "forget-key"]
    return await asyncio.to_thread(
        subprocess.run, [*command, settings.database_url], cwd=REPO, capture_output=True, text=True
    )


# One process, or several that hear of each other ------------------------------------------------------


async def test_a_second_process_without_redis_is_refused(start: Start, node: Settings) -> None:
    await start(replace(node, redis_url=""))
    said = await _refusal(replace(node, redis_url=""))
    assert "is in use by another process" in said
    assert "set CHAT_REDIS_URL to the same on each, or run one process only (workers = 0" in said


async def test_a_process_without_redis_is_refused_beside_nodes(start: Start, node: Settings) -> None:
    await start(node)
    assert "CHAT_REDIS_URL is not set" in await _refusal(replace(node, redis_url=""))


async def test_a_node_is_refused_beside_a_process_without_redis(start: Start, node: Settings) -> None:
    await start(replace(node, redis_url=""))
    said = await _refusal(node)
    assert "a process without it is using PostgreSQL" in said
    assert "or stop that process" in said


async def test_a_process_that_ends_makes_room_for_the_next(database: str) -> None:
    for _ in range(2):
        store = PostgresStore(database, exclusive=True, wait=0)
        await store.open()
        await store.close()


async def test_schemas_of_one_database_are_different_stores() -> None:
    stores = [PostgresStore(the_server().schema(), exclusive=True, wait=0) for _ in range(2)]
    for store in stores:
        await store.open()
    for store in stores:
        await store.close()


async def test_who_works_alone_is_not_shut_out_by_a_session_it_lost(database: str) -> None:
    """The server may take a minute to miss a session whose network is gone; we are back at once."""
    async with Proxy(the_server().port) as proxy:
        store = PostgresStore(proxy.through(database), exclusive=True, wait=0)
        await store.open()
        proxy.abandon()
        await calls.open_room(store, ROOM)
        other = PostgresStore(database, exclusive=True, wait=0)
        with pytest.raises(Misconfigured, match="in use by another process"):
            await other.open()
        await store.close()


async def test_workers_with_redis_serve_together(database: str, server: RedisServer) -> None:
    env = {"CHAT_DATABASE_URL": database, "CHAT_SECRET_KEY": SECRET, "CHAT_REDIS_URL": server.url}
    with Server(env=env, options=("--workers", "2")) as workers:
        await asyncio.to_thread(workers.wait_for_log, "started store=", count=2)
        assert len(workers.workers) == 2
        made = await ask(workers.port, "/", form={"name": "Host", "create": "1"})
        code = made.headers["location"].removeprefix("/rooms/")
        async with AsyncExitStack() as stack:
            tabs = [await Tab.seated(f"{n}", code, [workers.port]) for n in (0, 1)]
            for n, tab in enumerate(tabs):
                await stack.enter_async_context(_served_by(n, workers, tab))
            for tab in tabs:
                tab.type(f"by way of {tab.name}")
            await until(lambda: all(tab.seen.keys() == {"by way of 0", "by way of 1"} for tab in tabs))
            assert tabs[0].lines == tabs[1].lines


@asynccontextmanager
async def _served_by(n: int, workers: Server, tab: Tab) -> AsyncIterator[None]:
    """Its socket came to this worker, for the other was asleep, perhaps amid a transaction: nothing is
    written meanwhile."""
    other = workers.workers[1 - n]
    os.kill(other, signal.SIGSTOP)
    try:
        tab.connect()
        await until(lambda: tab.open)
    finally:
        os.kill(other, signal.SIGCONT)
    try:
        yield
    finally:
        await tab.close()


# Redis ------------------------------------------------------------------------------------------------


async def test_two_databases_on_one_redis_are_two_chats(
    start: Start, node: Settings, own: RedisServer
) -> None:
    for database in (node.database_url, the_server().database()):
        await start(replace(node, database_url=database, redis_url=own.url))
    await until(lambda: len(own.ask("KEYS", "*:nodes")) == 2)
    assert [own.ask("ZCARD", key) for key in own.ask("KEYS", "*:nodes")] == [1, 1]


async def test_redis_with_sqlite_is_refused_before_anything_is_made(
    settings: Settings, server: RedisServer, tmp_path: Path
) -> None:
    said = await _refusal(replace(settings, redis_url=server.url))
    assert "set CHAT_DATABASE_URL to a PostgreSQL database, or leave CHAT_REDIS_URL out" in said
    assert list(tmp_path.iterdir()) == []


async def test_nodes_that_were_given_different_servers_are_noticed(
    start: Start,
    node: Settings,
    own: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody is refused: the other may only be cut off from Redis for a while."""
    monkeypatch.setattr("chat.upkeep.COUNT", 0.1)
    await start(node)
    await start(replace(node, redis_url=own.url))
    await until(lambda: "nodes-apart database=2 redis=1" in caplog.text)
    assert "is CHAT_REDIS_URL the same on each node?" in caplog.text


async def test_the_store_knows_how_many_work_on_it(start: Start, node: Settings) -> None:
    store = PostgresStore(node.database_url, wait=0)
    await store.open()
    for others in (1, 2, 3):
        assert await store.processes() == others
        await start(node)
    await store.close()


async def test_a_redis_too_old_is_refused_and_the_store_let_go(
    node: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.cluster.connection.OLDEST", 99)
    assert "use Redis 99 or newer, or Valkey" in await _refusal(node)
    store = PostgresStore(node.database_url, exclusive=True, wait=1)
    await store.open()
    await store.close()


async def test_nodes_on_postgresql_need_a_key_of_their_operators(node: Settings) -> None:
    assert "CHAT_SECRET_KEY is not set" in await _refusal(replace(node, secret_key=""))


async def test_a_node_ends_though_some_of_its_work_swallows_a_cancellation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Python 3.11 redis-py may."""
    swallowed = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("chat.app.work_of", lambda chat: [work()])
    async with asyncio.timeout(20), create_app(settings).test_app():
        pass
    assert swallowed.is_set()
