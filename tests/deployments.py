"""The two ways to run the chat, as an operator would: one process on SQLite, or nodes on PostgreSQL and
Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from people import FakeClock
from postgres import the_server
from quart import Quart
from quart.testing import TestApp
from redis_server import RedisServer
from serving import Server

from chat.app import create_app
from chat.context import Context
from chat.settings import Settings
from chat.store import Store
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore

SECRET = "a secret of sixteen or more"
ONE, TWO = "one process", "two nodes"
BOTH = (ONE, TWO)
ON_BOTH = pytest.mark.parametrize("deployment", BOTH)
CENSUS = "chat:0:{here}"  # the start of its keys in database 0


@contextmanager
def one(folder: Path, **settings: str) -> Iterator[list[Server]]:
    """The README's command on a database of its own."""
    with Server(env={"CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db", **settings}) as server:
        yield [server]


@contextmanager
def several(folder: Path, count: int = 2, **settings: str) -> Iterator[list[Server]]:
    """Nodes over a database and a Redis of their own; `settings` may name others."""
    with ExitStack() as stack:
        settings.setdefault("CHAT_SECRET_KEY", SECRET)
        if "CHAT_DATABASE_URL" not in settings:
            settings["CHAT_DATABASE_URL"] = the_server().database()
        if "CHAT_REDIS_URL" not in settings:
            (folder / "redis").mkdir()
            settings["CHAT_REDIS_URL"] = stack.enter_context(RedisServer(folder / "redis")).url
        yield [stack.enter_context(Server(env=settings)) for _ in range(count)]


def deployed(how: str, folder: Path, settings: Mapping[str, str]) -> AbstractContextManager[list[Server]]:
    """The chat, run in one of the two ways."""
    return one(folder, **settings) if how == ONE else several(folder, 2, **settings)


PATIENCE = 20  # s for a node to start or end, while many tests run at once


@asynccontextmanager
async def within(*nodes: Settings) -> AsyncIterator[list[Quart]]:
    """Nodes in this very process, serving."""
    async with AsyncExitStack() as stack:
        apps = [create_app(settings) for settings in nodes]
        for app in apps:
            await stack.enter_async_context(TestApp(app, PATIENCE, PATIENCE))  # type: ignore[arg-type]
        yield apps


def context(app: Quart) -> Context:
    """What a node that serves works with."""
    found: Context = app.extensions["chat"]
    return found


def store_at(url: str, clock: FakeClock) -> Store:
    """What chat.store.store_for gives, with the test's time."""
    if url.startswith("sqlite:"):
        return SQLiteStore(url.removeprefix("sqlite:///"), clock=clock.wall)
    return PostgresStore(url, clock=clock.wall)


def start_over(redis: RedisServer) -> None:
    """Nothing is known, but nodes were here all the time: soon after a start of all, nobody is missed."""
    redis.ask("FLUSHALL")
    redis.ask(
        "SET", f"{CENSUS}:last", round((time.time() + 60) * 1000)
    )  # however long the test takes to begin
