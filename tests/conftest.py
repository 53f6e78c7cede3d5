"""The chat as tests use it: a database of its own, a clock that stands still, and two people, who are on
different nodes if there are two."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from deployments import ONE, SECRET, start_over, store_at
from people import Exchange, FakeClock, Person, Turn
from postgres import the_server
from quart import Quart
from redis_server import RedisCluster, RedisServer
from werkzeug.routing import Rule

from chat.app import create_app
from chat.cluster.connection import Redis
from chat.cluster.registry import RedisRegistry
from chat.context import Context
from chat.limits import Limits
from chat.live.presence import Presence
from chat.settings import Settings
from chat.startup import listeners
from chat.views.assets import Assets, folder
from chat.views.renderer import Renderer

pytest_plugins = ["ci_plugin", "parallel_plugin"]

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("chat", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("chat")


@pytest.fixture
def deployment() -> str:
    """How the chat runs; modules and tests that have to hold on both deployments parametrise it with BOTH."""
    return ONE


@pytest.fixture
def settings(tmp_path: Path, deployment: str, request: pytest.FixtureRequest) -> Settings:
    if deployment == ONE:
        return Settings(database_url=f"sqlite:///{tmp_path}/chat.db", secret_key=SECRET)
    redis: RedisServer = request.getfixturevalue("server")
    start_over(redis)
    return Settings(database_url=the_server().schema(), redis_url=redis.url, secret_key=SECRET)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def compiled() -> tuple[Assets, Renderer]:
    """The same for every app, and made once: compiling the templates takes longer than most tests."""
    assets = Assets(folder("static"))
    return assets, Renderer(folder("templates"), assets)


@pytest.fixture(scope="session")
def routes() -> Iterator[None]:
    """What Werkzeug compiles for a route is the same in every app, and most of the work of making one."""
    compiled: dict[Any, Any] = {}

    def once(rule: Any, append_unknown: bool = True, compile: Any = Rule._compile_builder) -> Any:
        key = rule.rule, str(rule._trace), str(rule.defaults), append_unknown
        if key not in compiled:
            compiled[key] = compile(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", once)
        yield


@pytest.fixture
def ready(compiled: tuple[Assets, Renderer], routes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every app that is started uses what is compiled."""
    monkeypatch.setattr("chat.startup.Assets", lambda folder: compiled[0])
    monkeypatch.setattr("chat.startup.Renderer", lambda *settings: compiled[1])


@pytest.fixture
async def apps(
    settings: Settings, deployment: str, clock: FakeClock, ready: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Quart]]:
    """The real application, serving, on each node. Only time is the test's: messages and presence go by
    `clock`, and people enter and leave when the test calls `turn`."""
    monkeypatch.setattr("chat.startup.store_for", lambda url, exclusive: store_at(url, clock))
    monkeypatch.setattr("chat.live.unread.EVERY", 3600.0)  # a test calls `tick`
    async with AsyncExitStack() as stack:
        apps = [create_app(settings) for _ in range(1 if deployment == ONE else 2)]
        for app in apps:
            await stack.enter_async_context(_serving(app, clock))
        yield apps


@asynccontextmanager
async def _serving(app: Quart, clock: FakeClock) -> AsyncIterator[None]:
    async with app.test_app():
        opened: Context = app.extensions["chat"]
        hub = opened.hub
        await hub.registry.close()
        presence = Presence(opened.store, hub, opened.render.people.roster, clock)
        hub.registry.open(listeners(hub, presence))
        await hub.registry.close()  # its beats are the test's, too
        app.extensions["chat"] = replace(opened, presence=presence)
        if opened.redis:
            await _settled(opened.redis)
        else:  # rates over all nodes go by Redis's clock
            limits = Limits(opened.settings.rate_limit, clock)
            app.extensions["chat"] = replace(app.extensions["chat"], limits=limits)
        yield


async def _settled(redis: Redis) -> None:
    """As if nodes had been here for a while: at first no lease counts, for others may have yet to come."""
    await redis._client.set(f"{redis.prefix}:{{here}}:last", int(time.time() * 1000))
    await redis._client.delete(f"{redis.prefix}:{{here}}:pause")


@pytest.fixture
def app(apps: list[Quart]) -> Quart:
    return apps[0]


@pytest.fixture
def chats(apps: list[Quart]) -> list[Context]:
    return [app.extensions["chat"] for app in apps]


@pytest.fixture
def chat(chats: list[Context]) -> Context:
    """Where Alice is."""
    return chats[0]


@pytest.fixture
def exchange(chats: list[Context]) -> Exchange:
    """Have every node say who is with it, and hear who is with the others."""

    async def exchange() -> None:
        for chat in chats * 2:
            if isinstance(chat.hub.registry, RedisRegistry):
                await chat.hub.registry._exchange()

    return exchange


@pytest.fixture
def turn(chats: list[Context], clock: FakeClock, exchange: Exchange) -> Turn:
    """Let time pass, and presence do what is due then."""

    async def turn(seconds: float = 0.0) -> None:
        clock.pass_by(seconds)
        await exchange()
        for chat in chats:
            await chat.presence.tick()

    return turn


@pytest.fixture
def client(app: Quart) -> Person:
    """Somebody without any cookie, yet."""
    return Person(app, "Nobody")


@pytest.fixture
def alice(app: Quart) -> Person:
    return Person(app, "Alice")


@pytest.fixture
def bob(apps: list[Quart]) -> Person:
    """On another node, if there are two."""
    return Person(apps[-1], "Bob")


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
