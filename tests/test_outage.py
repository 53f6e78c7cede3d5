"""What a node says that cannot reach its database, or nothing at all, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from deployments import SECRET, context, within
from faults import Proxy
from people import Live, Person, notices, until
from postgres import the_server
from quart import Quart
from redis_server import RedisServer

from chat.context import Context
from chat.live.presence import GRACE
from chat.settings import Settings

BOUND = 6.0  # s until every page says that its node is cut off
NO_DATABASE = "Messages cannot be loaded or saved just now."
CUT_OFF = "You may not see everything just now."


class Cluster:
    """Two nodes, of which the first reaches PostgreSQL and Redis by way of a proxy each."""

    def __init__(self, apps: list[Quart], postgres: Proxy, redis: Proxy) -> None:
        self.apps = apps
        self.postgres = postgres
        self.redis = redis

    def chat(self, node: int) -> Context:
        return context(self.apps[node])


@pytest.fixture
async def nodes(own: RedisServer, ready: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr("people.PATIENCE", 15.0)
    database = the_server().database()
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(Proxy(the_server().port))
        redis = await stack.enter_async_context(Proxy(own.port))
        far = Settings(postgres.through(database), redis.through(own.url), SECRET)
        apps = await stack.enter_async_context(within(far, Settings(database, own.url, SECRET)))
        yield Cluster(apps, postgres, redis)
        for proxy in (postgres, redis):
            proxy.heal()


@pytest.fixture
def ann(nodes: Cluster) -> Person:
    return Person(nodes.apps[0], "Ann")


@pytest.fixture
def bob(nodes: Cluster) -> Person:
    return Person(nodes.apps[1], "Bob")


@pytest.fixture
async def code(ann: Person, bob: Person) -> str:
    code = await ann.create()
    await bob.join(code)
    return code


async def _said(live: Live, text: str) -> None:
    await live.until("hx-partial[hx-target=#outage]", text)


async def _announced(person: Person, code: str, *names: str) -> None:
    """Return when the room was told of everybody: then nothing else is written."""
    told = ""
    async with asyncio.timeout(15):
        while not all(name in told for name in names):
            await asyncio.sleep(0.05)
            told = " ".join(notices(await person.look(code)))


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
async def test_a_page_says_that_the_database_cannot_be_reached_and_that_it_can_be_again(
    nodes: Cluster, ann: Person, code: str, fault: str
) -> None:
    async with ann.in_room(code) as hers:
        getattr(nodes.postgres, fault)()
        async with asyncio.timeout(BOUND):
            await _said(hers, NO_DATABASE)
        nodes.postgres.heal()
        await hers.until("hx-partial[hx-target=#outage]")
        assert hers.frames[-1].one("hx-partial[hx-target=#outage]").text.strip() == ""


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
async def test_a_page_of_a_node_cut_off_from_everything_says_so(
    nodes: Cluster, ann: Person, code: str, fault: str
) -> None:
    async with ann.in_room(code) as hers:
        for proxy in (nodes.postgres, nodes.redis):
            getattr(proxy, fault)()
        async with asyncio.timeout(BOUND):
            await _said(hers, CUT_OFF)


async def test_who_only_lost_redis_is_not_told_that_the_database_is_away(
    nodes: Cluster, ann: Person, code: str
) -> None:
    async with ann.in_room(code) as hers:
        nodes.redis.refuse()
        await hers.until("hx-partial[hx-target=#roster]", "Here a moment ago")
        assert not any(frame.all("hx-partial[hx-target=#outage]") for frame in hers.frames)


async def test_an_invitation_does_not_say_that_nobody_is_there_while_that_is_not_known(
    nodes: Cluster, bob: Person, code: str
) -> None:
    eve = Person(nodes.apps[0], "Eve")

    async def lead() -> str:
        return (await eve.get(f"/rooms/{code}")).page.one(".lead").words

    assert "nobody is here just now" in await lead()
    async with bob.in_room(code), asyncio.timeout(15):
        while "1 person is here" not in await lead():
            await asyncio.sleep(0.05)
        nodes.redis.refuse()
        while not nodes.chat(0).presence.frozen:
            assert "nobody" not in await lead()
            await asyncio.sleep(0.05)
        assert "here" not in await lead()
        nodes.redis.heal()
        while "1 person is here" not in (words := await lead()):
            assert "nobody" not in words
            await asyncio.sleep(0.05)


async def test_without_the_database_what_others_write_is_still_heard(
    nodes: Cluster, ann: Person, bob: Person, code: str
) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        await _announced(bob, code, "Ann", "Bob")
        nodes.postgres.refuse()
        await _said(hers, NO_DATABASE)
        await his.say("can you hear me?")
        await hers.until(".text", "can you hear me?")


async def test_without_the_database_who_comes_back_goes_on_with_what_is_in_memory(
    nodes: Cluster, ann: Person, bob: Person, code: str
) -> None:
    async with bob.in_room(code) as his:
        page = await ann.look(code)
        async with ann.in_room(code) as hers:
            await _announced(bob, code, "Ann", "Bob")
            nodes.postgres.refuse()
            await _said(hers, NO_DATABASE)
            await hers.say("cannot be stored")
            assert await hers.ended() == 1013
        async with ann.live(code) as hers:
            await hers.resume(page)
            await _said(hers, NO_DATABASE)
            await his.say("still there?")
            await hers.until(".text", "still there?")


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
@pytest.mark.parametrize("said", [NO_DATABASE, CUT_OFF])
async def test_the_live_page_without_javascript_says_it_too(
    nodes: Cluster, ann: Person, code: str, said: str, fault: str
) -> None:
    proxies = [nodes.postgres] if said == NO_DATABASE else [nodes.postgres, nodes.redis]
    async with ann.client.request(f"/rooms/{code}/stream") as stream:
        await stream.send_complete()
        try:
            await _read_until(stream, "<bdi>Ann</bdi> is here")
            for proxy in proxies:
                getattr(proxy, fault)()
            async with asyncio.timeout(BOUND):
                await _read_until(stream, said)
            for proxy in proxies:
                proxy.heal()
            await _read_until(stream, "Everything works again.")
        finally:
            await stream.disconnect()


async def _read_until(stream: object, text: str) -> None:
    said = ""
    async with asyncio.timeout(10):
        while text not in said:
            said += (await stream.receive()).decode()  # type: ignore[attr-defined]


async def test_a_page_that_still_says_so_is_told_that_it_is_over(
    nodes: Cluster, ann: Person, code: str
) -> None:
    """It may have been said on another node, or before this page reconnected."""
    for said in ("store", "all", "write"):
        page = await ann.look(code)
        async with ann.live(code) as hers:
            await hers.resume(page, outage=said)
            over = await hers.until("hx-partial[hx-target=#outage]")
            assert over.text.strip() == ""


async def test_a_text_that_could_not_be_stored_is_stored_once_when_the_database_is_back(
    nodes: Cluster, ann: Person, bob: Person, code: str
) -> None:
    async with bob.in_room(code) as his:
        async with ann.in_room(code) as hers:
            nodes.postgres.refuse()
            await hers.say("kept", key="page")
            await _said(hers, "")
            assert await hers.ended() == 1013
        nodes.postgres.heal()
        await until(lambda: not nodes.chat(0).hub.health.store_down)
        page = await ann.look(code)
        async with ann.live(code) as hers:
            await hers.resume(page, body="kept", key="page", acked="0", outage="write")
            await hers.until("hx-partial[hx-target=#acked]")
        await his.until(".text", "kept")
    assert await bob.texts(code) == ["kept"]


async def test_a_page_asked_for_while_the_database_is_away_asks_again_by_itself(
    nodes: Cluster, ann: Person, code: str
) -> None:
    nodes.postgres.refuse()
    reply = await ann.get(f"/rooms/{code}")
    assert reply.status == 503
    assert reply.headers["Refresh"] == "10"
    assert "This page tries again by itself." in reply.text
    assert "Refresh" not in (await ann.post(f"/rooms/{code}/messages", {"body": "x", "key": "k"})).headers


async def test_a_message_whose_outcome_was_unknown_is_shown_when_the_database_answers_again(
    nodes: Cluster, ann: Person, bob: Person, code: str
) -> None:
    """It was committed and nobody was told: people on the node must not wait for the next comparison."""
    cat = Person(nodes.apps[0], "Cat")
    await cat.join(code)
    hub = nodes.chat(0).hub
    async with ann.in_room(code) as hers, cat.in_room(code) as beside:
        await _announced(bob, code, "Ann", "Cat")
        hub.repairs._check = 3600
        hub.repairs.check_soon()
        nodes.postgres.lose_reply(b"perhaps")
        nodes.postgres.close()  # the writer cannot ask again
        await hers.say("perhaps", key="page")
        assert await hers.ended() == 1013
        nodes.postgres.heal()
        # When Ann is away for longer, her notice tells of the gap, too.
        async with asyncio.timeout(GRACE / 2):
            await beside.until(".text", "perhaps")
