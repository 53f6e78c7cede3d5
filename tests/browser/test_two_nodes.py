"""What only two nodes show: people on different ones, one who moves, and the parts they share going away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from deployments import several
from playwright.async_api import expect
from postgres import Postgres, running
from redis_server import RedisServer
from serving import Server

from browser.people import REFUSED, People, Tab

PROMISED = 6_000  # ms until a message is everywhere, whatever happened to its hint
SLACK = 6_000  # ms for a machine with too much to do


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running(fsync="off") as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def nodes(
    postgres: Postgres, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Nodes whose database and Redis the tests may end; they themselves go on through all of it."""
    parts = {"CHAT_DATABASE_URL": postgres.database(), "CHAT_REDIS_URL": redis.url}
    with several(tmp_path_factory.mktemp("nodes"), 2, **parts) as nodes:
        yield nodes


async def shown_here(names: list[str], *tabs: Tab) -> None:
    for tab in tabs:
        await expect(tab.page.locator("#roster li bdi")).to_have_text(names)
        await expect(tab.page.locator("#roster .count")).to_have_text(str(len(names)))


async def move(people: People, tab: Tab, url: str) -> Tab:
    """The same browser reaches another node from now on, as when a proxy sends it there."""
    code = tab.code
    there = await people.another_tab(tab, url)
    await there.page.goto(f"{url}/rooms/{code}")
    await tab.page.close()
    return await there.live()


async def test_two_people_on_two_nodes_are_in_one_conversation(people: People) -> None:
    ann, bob = await people.two()
    assert ann.url != bob.url
    await shown_here(["Ann", "Bob"], ann, bob)
    (entered,) = await ann.both_entered()
    assert await bob.both_entered() == [entered]
    texts = [f"{who} {n}" for n in range(4) for who in ("ann", "bob")]
    for text in texts:
        await (ann if text.startswith("ann") else bob).say(text)
        await bob.sees(text)
        await ann.sees(text)
    for tab in (ann, bob):
        await tab.shows(texts)
    assert await ann.lines() == await bob.lines()
    there = await move(people, ann, bob.url)
    await there.shows(texts)
    assert await there.lines() == await bob.lines()
    assert await there.notices() == [entered]


async def test_what_is_done_to_a_message_on_one_node_is_seen_on_the_other(people: People) -> None:
    ann, bob = await people.two()
    assert ann.url != bob.url
    for text in ("frist", "a slip"):
        await ann.say(text)
        await bob.sees(text)

    await bob.choose(bob.message("frist"), "Thumbs up")
    for tab, pressed in ((bob, True), (ann, False)):
        await expect(tab.page.get_by_role("button", name="👍 1", pressed=pressed)).to_be_visible()
    await ann.page.get_by_role("button", name="👍 1").click()
    for tab in (ann, bob):
        await expect(tab.page.get_by_role("button", name="👍 2", pressed=True)).to_be_visible()
    await ann.choose(ann.message("frist"), "Edit")
    await ann.page.locator("#acting textarea").fill("first")
    await ann.page.locator("#acting").get_by_role("button", name="Save").click()
    await ann.choose(ann.message("a slip"), "Delete")
    await ann.page.locator("#acting").get_by_role("button", name="Delete").click()
    for tab in (ann, bob):
        await tab.shows(["first", None])
        await expect(tab.page.locator(".gone")).to_have_count(1)
        await expect(tab.page.get_by_role("button", name="👍 2", pressed=True)).to_be_visible()


async def test_who_moves_from_node_to_node_neither_leaves_nor_enters(people: People) -> None:
    ann, bob = await people.two()
    cat = await (await people.newcomer()).join_room(ann.code, "Cat")
    await cat.live()
    assert cat.url == ann.url
    await shown_here(["Ann", "Bob", "Cat"], ann, bob, cat)
    await ann.have_told()
    there = await move(people, ann, bob.url)
    await cat.page.close()  # after Ann's tab, and on the same node: who is missed is missed together
    left = there.page.locator(".notice").filter(has_text="went away")
    await expect(left).to_be_attached(timeout=30_000)
    for tab in (there, bob):
        entered, _, *others = await tab.notices()
        assert others == ["Cat went away"]
        assert [entered.count(name) for name in ("Ann", "Bob", "Cat")] == [1, 1, 1]
    await shown_here(["Ann", "Bob"], there, bob)


async def test_without_redis_messages_arrive_and_presence_says_that_it_is_old(
    people: People, redis: RedisServer
) -> None:
    ann, bob = await people.two()
    await shown_here(["Ann", "Bob"], ann, bob)
    await ann.both_entered()
    await ann.have_told()
    notices = await ann.notices()
    heading = [tab.page.locator("#roster h2") for tab in (ann, bob)]
    await ann.say("before")
    await bob.shows(["before"])
    await asyncio.to_thread(redis.kill)
    await ann.say("from ann")
    await bob.shows(["before", "from ann"], PROMISED + SLACK)
    await bob.say("from bob")
    await ann.shows(["before", "from ann", "from bob"], PROMISED + SLACK)
    for one in heading:
        await expect(one).to_contain_text("Here a moment ago")
    await shown_here(["Ann", "Bob"], ann, bob)
    await asyncio.to_thread(redis.start)
    for one in heading:
        await expect(one).not_to_contain_text("Here a moment ago")
    cat = await (await people.newcomer()).join_room(ann.code, "Cat")
    await shown_here(["Ann", "Bob", "Cat"], ann, bob, cat)
    await bob.say("after")
    for tab in (ann, bob, cat):
        await tab.shows(["before", "from ann", "from bob", "after"])
    await expect(ann.page.locator(".notice")).to_have_count(3)
    assert await ann.notices() == [*notices, "Cat is here for the first time"]


async def test_without_postgresql_text_is_kept_its_sender_told_and_it_arrives_once(
    people: People, postgres: Postgres
) -> None:
    ann, bob = await people.two()
    await ann.both_entered()
    await ann.have_told()
    notices = await ann.notices()
    for tab in (ann, bob):
        tab.expect_noise(REFUSED)
        await tab.page.evaluate("() => { window.sameDocument = true }")
    await ann.say("before")
    await bob.shows(["before"])
    await ann.type("half a th")
    await asyncio.to_thread(postgres.stop)
    await bob.type("while it was away\nand more\n")
    for tab in (bob, ann):
        await expect(tab.page.locator("#outage")).to_contain_text("Keep writing")
    await ann.type("ou")
    assert await ann.texts() == await bob.texts() == ["before"]
    await asyncio.to_thread(postgres.start)
    texts = ["before", "while it was away", "and more"]
    for tab in (bob, ann):
        await tab.shows(texts, 30_000)
        await expect(tab.page.get_by_text("Reconnecting…")).not_to_be_attached()
        await expect(tab.page.locator("#outage")).to_have_text("")
    await bob.rest()
    await expect(ann.field).to_have_value("half a thou")
    await ann.type("ght\n")
    for tab in (ann, bob):
        await tab.shows([*texts, "half a thought"], 30_000)
        assert await tab.page.evaluate("window.sameDocument"), "the page was loaded anew"
        assert await tab.notices() == notices, "nobody left or entered"
    await ann.page.reload()
    await ann.shows([*texts, "half a thought"])
