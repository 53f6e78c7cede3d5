"""The chat as tests use it: a database of its own, a clock that stands still, and two people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from people import FakeClock, Person
from quart import Quart
from redis_server import RedisCluster, RedisServer

from chat.app import create_app
from chat.assets import Assets, folder
from chat.context import Context
from chat.limits import Limits
from chat.presence import Presence
from chat.render import Render
from chat.settings import Settings
from chat.store.sqlite import SQLiteStore

pytest_plugins = ["ci_plugin"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/chat.db", secret_key="a secret of sixteen or more")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def compiled() -> tuple[Assets, Render]:
    """The same for every app, and made once: compiling the templates takes longer than most tests."""
    assets = Assets(folder("static"))
    return assets, Render(folder("templates"), assets)


@pytest.fixture
async def app(
    settings: Settings, clock: FakeClock, compiled: tuple[Assets, Render], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Quart]:
    """The real application, serving. Only time is the test's: limits, messages and presence go by `clock`,
    and people enter and leave when the test calls `chat.presence.tick()`."""
    monkeypatch.setattr("chat.app.Assets", lambda folder: compiled[0])
    monkeypatch.setattr("chat.app.Render", lambda folder, assets: compiled[1])
    path = settings.database_url.removeprefix("sqlite:///")
    monkeypatch.setattr("chat.app.store_for", lambda url, alone: SQLiteStore(path, clock=clock.wall))
    app = create_app(settings)
    async with app.test_app():
        opened: Context = app.extensions["chat"]
        app.extensions["chat"] = replace(
            opened,
            limits=Limits(settings.rate_limit, clock),
            presence=Presence(opened.store, opened.hub, opened.render.roster, clock),
        )
        yield app


@pytest.fixture
def chat(app: Quart) -> Context:
    context: Context = app.extensions["chat"]
    return context


@pytest.fixture
def client(app: Quart) -> Person:
    """Somebody without any cookie, yet."""
    return Person(app, "Nobody")


@pytest.fixture
def alice(app: Quart) -> Person:
    return Person(app, "Alice")


@pytest.fixture
def bob(app: Quart) -> Person:
    return Person(app, "Bob")


@pytest.fixture
async def code(alice: Person, bob: Person) -> str:
    """A room in which Alice and Bob have seats."""
    code = await alice.create()
    await bob.join(code)
    return code


# Redis, for those who ask for it ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may mistreat."""
    with RedisServer(tmp_path) as server:
        yield server
