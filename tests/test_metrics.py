"""What an operator of several nodes reads: real servers, and figures that move when something happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import calls
import pytest
from deployments import SECRET, context, within
from faults import Proxy
from people import Person
from postgres import the_server
from prometheus_client.parser import text_string_to_metric_families
from quart import Quart
from redis_server import RedisServer

from chat.cluster import bus as redis_bus
from chat.model.changes import Change
from chat.settings import Settings

COMMIT = b"COMMIT\0"  # as the protocol has it; not the end of READ COMMITTED

Figures = dict[str, float]


@pytest.fixture
async def database() -> AsyncIterator[Proxy]:
    """The way from the nodes to PostgreSQL."""
    async with Proxy(the_server().port) as proxy:
        yield proxy


@pytest.fixture
async def apps(
    ready: None, own: RedisServer, database: Proxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Quart]]:
    """Two nodes, serving."""
    monkeypatch.setattr("people.PATIENCE", 15.0)
    settings = Settings(database.through(the_server().database()), own.url, SECRET)
    async with within(settings, settings) as apps:
        yield apps


@pytest.fixture
def ann(apps: list[Quart]) -> Person:
    return Person(apps[0], "Ann")


@pytest.fixture
async def code(ann: Person, bob: Person) -> str:
    code = await ann.create()
    await bob.join(code)
    return code


async def figures(person: Person) -> Figures:
    """What the node of this person tells."""
    reply = await person.get("/metrics")
    assert reply.status == 200
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


async def told(person: Person, so: Callable[[Figures], bool]) -> Figures:
    """The figures once they are so."""
    async with asyncio.timeout(15):
        while not so(latest := await figures(person)):
            await asyncio.sleep(0.05)
    return latest


async def test_both_nodes_see_each_other_and_their_own_people(ann: Person, bob: Person, code: str) -> None:
    async with ann.in_room(code), bob.in_room(code), ann.in_room(code):
        for person in (ann, bob):
            now = await told(person, lambda f: f["chat_nodes"] == 2)
            assert now["chat_people"] == 1
            assert now["chat_check_age_seconds"] < 6


async def test_hints_are_counted_where_they_are_sent_and_where_they_are_heard(
    ann: Person, bob: Person, code: str
) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        before = await figures(ann), await figures(bob)
        await hers.say("one")
        await his.until(".text", "one")
        after = await figures(ann), await figures(bob)
    assert after[0]["chat_hints_total published"] > before[0]["chat_hints_total published"]
    assert after[1]["chat_hints_total received"] > before[1]["chat_hints_total received"]
    assert after[0]["chat_hints_total dropped"] == 0


async def test_a_node_counts_until_its_lease_runs_out(
    ann: Person, apps: list[Quart], own: RedisServer
) -> None:
    await told(ann, lambda f: f["chat_nodes"] == 2)
    (leases,) = own.ask("KEYS", "chat:0:*{here}:nodes")
    two = own.ask("ZRANGE", leases, 0, -1)
    async with within(context(apps[0]).settings):
        await told(ann, lambda f: f["chat_nodes"] == 3)
    (ended,) = set(own.ask("ZRANGE", leases, 0, -1)) - set(two)
    own.ask("ZADD", leases, "XX", 0, ended)
    await told(ann, lambda f: f["chat_nodes"] == 2)


async def test_without_redis_hints_are_dropped_and_rooms_are_read_from_the_log(
    ann: Person, bob: Person, code: str, own: RedisServer
) -> None:
    async with ann.in_room(code) as hers, bob.in_room(code) as his:
        before = await figures(bob)
        own.kill()
        await hers.say("meanwhile")
        await his.until(".text", "meanwhile")
        await told(ann, lambda f: f["chat_hints_total dropped"] > 0 and f["chat_redis_away"] == 1)
        after = await told(bob, lambda f: f["chat_nodes"] == 0)
        assert after["chat_repairs_total"] > before["chat_repairs_total"]
        assert after["chat_hints_interrupted_total"] == before["chat_hints_interrupted_total"] + 1
        reply = await ann.get("/healthz")
        assert (reply.status, reply.text) == (200, "ok store=os redis=away\n")
        own.start()
        await told(bob, lambda f: f["chat_nodes"] == 2 and f["chat_redis_away"] == 0)


async def test_more_hints_than_can_wait_are_dropped_and_counted(
    ann: Person, code: str, apps: list[Quart]
) -> None:
    await ann.write(code, "told")
    hub = context(apps[0]).hub
    page = await calls.history(hub.store, code)
    change = Change(code, page.messages[0], page.position)
    hub.bus.announce([change] * (redis_bus.WAITING + 7))
    assert (await figures(ann))["chat_hints_total dropped"] == 7


async def test_without_the_database_a_node_says_so_to_balancers_and_in_its_figures(
    ann: Person, bob: Person, code: str, database: Proxy
) -> None:
    assert (await figures(ann))["chat_store_away"] == 0
    async with ann.in_room(code) as hers:
        database.refuse()
        for person in (ann, bob):
            reply = await person.get("/healthz")
            assert (reply.status, reply.text) == (503, "unwell store=away redis=ok\n")
        await hers.say("kept")
        await told(ann, lambda f: f["chat_store_waiting"] > 0)
        await told(ann, lambda f: f["chat_store_away"] == 1)
        database.heal()
        await hers.until(".text", "kept")
    await told(ann, lambda f: f["chat_store_away"] == 0 and f["chat_store_waiting"] == 0)
    assert (await ann.get("/healthz")).status == 200


async def test_the_age_of_the_comparison_with_the_log_rises_while_none_succeeds(
    ann: Person, code: str, database: Proxy, apps: list[Quart]
) -> None:
    hub = context(apps[0]).hub
    hub.repairs._check = 0.1
    hub.repairs.check_soon()
    async with ann.in_room(code):
        await told(ann, lambda f: f["chat_check_age_seconds"] < 0.5)
        database.refuse()
        await told(ann, lambda f: f["chat_check_age_seconds"] > 1)
        database.heal()
        await told(ann, lambda f: f["chat_check_age_seconds"] < 0.5)


async def test_a_write_whose_outcome_is_not_known_is_counted(ann: Person, code: str, database: Proxy) -> None:
    await ann.write(code, "for sure")
    id = (await ann.look(code)).one("#earlier li[data-by]")["id"].removeprefix("message-")
    before = await figures(ann)
    database.lose_reply(COMMIT)
    reply = await ann.post(f"/rooms/{code}/{id}/edit", {"body": "perhaps"})
    assert reply.status == 503
    after = await told(ann, lambda f: f["chat_store_unknown_total"] > 0)
    assert after["chat_store_unknown_total"] == before["chat_store_unknown_total"] + 1
    await ann.post(f"/rooms/{code}/{id}/edit", {"body": "perhaps"})
    assert await ann.texts(code) == ["perhaps"]
