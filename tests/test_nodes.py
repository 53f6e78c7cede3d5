"""Two applications over one PostgreSQL and one Redis: people on different nodes are in one room."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from deployments import SECRET, context, within
from dom import Element, parse
from people import Live, Person, notices, until
from postgres import the_server
from quart import Quart
from redis_server import RedisServer

from chat import limits
from chat.live.connection import POLICY
from chat.live.connections import SOCKETS
from chat.settings import Settings
from chat.views.assets import Assets
from chat.views.look import LOOK
from chat.views.renderer import Renderer


@pytest.fixture
async def apps(ready: None, own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Quart]]:
    """Two nodes, serving; nothing waits for the test, and Redis is the test's to end."""
    monkeypatch.setattr("people.PATIENCE", 10.0)  # without Redis a message may take 6 s
    settings = Settings(database_url=the_server().schema(), redis_url=own.url, secret_key=SECRET)
    async with within(settings, settings) as apps:
        yield apps


@pytest.fixture
async def code(apps: list[Quart], ann: Person, bob: Person) -> str:
    code = await ann.create()
    await bob.join(code)
    return code


@pytest.fixture
def ann(apps: list[Quart]) -> Person:
    return Person(apps[0], "Ann")


async def test_two_people_on_two_nodes_talk(ann: Person, bob: Person, code: str) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        await hers.say("hello")
        await his.until(".text", "hello")
        await his.say("hi", key="his")
        await hers.until(".text", "hi")
        await bob.write(code, "by the form")
        await hers.until(".text", "by the form")
        assert hers.texts == ["hello", "hi", "by the form"]


def _roster(live: Live) -> Element | None:
    """The newest one that was pushed here."""
    rosters = [roster for frame in live.frames for roster in frame.all("hx-partial[hx-target=#roster]")]
    return rosters[-1] if rosters else None


def _rostered(live: Live) -> list[str]:
    roster = _roster(live)
    return [person.text for person in roster.all("li bdi")] if roster else []


async def _headed(live: Live, heading: str) -> None:
    """Wait until the roster has it."""
    while not (roster := _roster(live)) or roster.one("h2").words != heading:
        await live.frame()


async def test_both_are_in_both_rosters_and_entered_once(
    ann: Person, bob: Person, code: str, apps: list[Quart]
) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        for live in (hers, his):
            while _rostered(live) != ["Ann", "Bob"]:
                await live.frame()
        page = await ann.at(apps[1]).look(code)
        assert [line.text for line in page.all("#roster bdi")] == ["Ann", "Bob"]
        await until(lambda: context(apps[0]).presence.people(code) == context(apps[1]).presence.people(code))
    told = " ".join(notices(await ann.look(code)))
    assert told.count("Ann") == told.count("Bob") == 1


async def test_leaving_on_one_node_ends_the_sockets_on_the_other(
    ann: Person, code: str, apps: list[Quart]
) -> None:
    async with ann.at(apps[1]).in_room(code) as far:
        assert (await ann.post(f"/rooms/{code}/leave")).status == 303
        assert await far.ended() == POLICY
        assert "You left this room." in far.raw[-1]
        await until(lambda: not context(apps[1]).presence.people(code))


async def test_an_eleventh_socket_ends_the_oldest_on_whichever_node(
    ann: Person, code: str, apps: list[Quart], own: RedisServer
) -> None:
    async with AsyncExitStack() as stack:
        oldest: Live = await stack.enter_async_context(ann.live(code))
        await oldest.resume()
        await until(lambda: own.ask("KEYS", "*:person:*"))
        far = ann.at(apps[1])
        for _ in range(SOCKETS):
            newer: Live = await stack.enter_async_context(far.live(code))
            await newer.resume()
        assert await oldest.ended() == POLICY
        assert "more than 10 tabs" in oldest.raw[-1]


async def test_wrong_codes_are_counted_over_both_nodes(apps: list[Quart]) -> None:
    address = f"192.0.2.{secrets.randbelow(200)}"
    people = [Person(app, "Eve", address) for app in apps]
    for n in range(limits.WRONG_CODES.burst):
        assert (await people[n % 2].get("/rooms/BCDFGHJK")).status == 404
    for person in people:
        assert (await person.get("/rooms/BCDFGHJK")).status == 429


async def test_the_rate_of_messages_is_counted_over_both_nodes(
    ann: Person, code: str, apps: list[Quart], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(limits.MESSAGES, every=60.0)
    monkeypatch.setattr(limits, "MESSAGES", slow)
    nodes = [ann, ann.at(apps[1])]
    statuses = [
        (await nodes[n % 2].post(f"/rooms/{code}/messages", {"body": f"m{n}", "key": f"k{n}"})).status
        for n in range(2 * slow.burst)  # as many as nodes would let pass that count for themselves
    ]
    assert statuses == [303] * slow.burst + [429] * slow.burst


async def test_with_redis_away_everything_is_still_accepted_and_shown_everywhere(
    ann: Person, bob: Person, code: str, own: RedisServer, apps: list[Quart]
) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        await hers.say("before")
        await his.until(".text", "before")
        for live in (hers, his):
            await _headed(live, "Here now 2")
        own.kill()
        await hers.say("meanwhile", key="k2")
        await his.until(".text", "meanwhile")
        for live in (hers, his):  # each node finds out by itself
            await _headed(live, "Here a moment ago 2")
        assert "Here a moment ago" in (await bob.look(code)).one("#roster").text
        own.start()
        for live in (hers, his):
            await _headed(live, "Here now 2")
        await hers.say("after", key="k3")
        await his.until(".text", "after")
        assert his.texts == ["before", "meanwhile", "after"]
    assert "redis=ok" in (await ann.get("/healthz")).text


# What is shown ------------------------------------------------------------------------------------------


def test_no_password_is_shown_with_the_other_settings() -> None:
    assert "hush" not in repr(Settings("postgresql://chat:hush@host/chat", "redis://:hush@host"))


def test_rosters_say_when_they_are_old(compiled: tuple[Assets, Renderer]) -> None:
    roster = parse(compiled[1].people.roster([], frozen=True, look=LOOK))
    assert roster.one("h2").words.startswith("Here a moment ago")
