"""Who is mentioned in a room of which no page is open hears it on another page, if they have asked for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from people import FakeClock, Live, Person, ids, until
from quart import Quart

from chat.context import Context
from chat.live import elsewhere
from chat.live.sounds import APART

from .test_elsewhere import Told
from .test_sound import PUSHED, choose


@pytest.fixture
def his(chats: list[Context], clock: FakeClock) -> Context:
    """What Bob's node works with."""
    chats[-1].sounds._now = clock
    return chats[-1]


@pytest.fixture
async def other(alice: Person, bob: Person, code: str) -> str:
    """Another room of Alice and Bob."""
    other = await alice.create()
    await bob.join(other, "Bob")
    await choose(bob, "on")
    return other


class Heard(Told):
    """How often a page has sounded, besides what it shows."""

    def __init__(self, live: Live, chat: Context) -> None:
        super().__init__(live, chat)
        self.page = live

    @property
    def sounds(self) -> int:
        return sum(frame.has(PUSHED) for frame in self.page.frames)


@pytest.fixture
async def page(bob: Person, code: str, other: str, his: Context) -> AsyncIterator[Heard]:
    async with bob.in_room(code) as live:
        page = Heard(live, his)
        await page.tick()
        yield page


async def test_a_mention_in_another_room_is_heard(alice: Person, other: str, page: Heard) -> None:
    await alice.write(other, "one")
    await page.until(lambda: page.badge == "1 unread")
    assert page.sounds == 0
    await alice.write(other, "@Bob two")
    await page.until(lambda: page.sounds)
    assert "@1" in page.rows[other]
    await alice.write(other, "three")
    await page.until(lambda: "3 unread" in page.badge)
    assert page.sounds == 1


async def test_two_soon_after_one_another_are_one_sound(
    alice: Person, other: str, page: Heard, clock: FakeClock
) -> None:
    await alice.write(other, "@Bob one", "@all two")
    await page.until(lambda: "@2" in page.badge)
    await alice.write(other, "@Bob three")
    await page.until(lambda: "@3" in page.badge)
    assert page.sounds == 1
    clock.pass_by(APART)
    await alice.write(other, "@Bob four")
    await page.until(lambda: page.sounds == 2)


async def hears_nothing(alice: Person, other: str, page: Heard) -> None:
    """Bob is mentioned, and the page shows it."""
    await alice.write(other, "@Bob one")
    await page.until(lambda: "@1" in page.badge)
    await page.tick()
    assert page.sounds == 0


async def test_who_looks_at_a_page_hears_nothing(
    alice: Person, other: str, page: Heard, his: Context
) -> None:
    await page.page.send(k="focus")
    await until(lambda: his.reading._focused)
    await hears_nothing(alice, other, page)


async def test_who_did_not_ask_for_it_hears_nothing(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    await choose(bob, "off")
    async with bob.in_room(code) as silent:
        page = Heard(silent, his)
        await page.tick()
        await hears_nothing(alice, other, page)


async def test_what_was_there_when_a_page_was_opened_is_not_heard(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    await alice.write(other, "@Bob one")
    async with bob.in_room(code) as live:
        page = Heard(live, his)
        await page.until(lambda: "@1" in page.badge)
        for _ in range(elsewhere.LATER + 1):
            await page.tick()
        assert page.sounds == 0
        await alice.write(other, "@Bob two")
        await page.until(lambda: page.sounds)


async def test_home_sounds_if_it_is_all_that_is_open(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    assert (await bob.get("/")).page.has("#signs")
    async with bob.live("") as live:
        home = Heard(live, his)
        await home.tick()
        await alice.write(other, "@Bob one")
        await home.until(lambda: home.sounds)
    await until(lambda: not his.sounds._open)


async def test_a_page_of_a_room_sounds_and_not_home_or_a_second_one(
    alice: Person, bob: Person, other: str, page: Heard, his: Context
) -> None:
    async with bob.live("") as live:
        home = Heard(live, his)
        await home.tick()
        await alice.write(other, "@Bob one")
        await page.until(lambda: page.sounds)
        await home.tick()
        assert home.sounds == 0


async def test_a_page_of_the_room_itself_sounds_at_once_and_only_it(
    alice: Person, bob: Person, other: str, page: Heard, his: Context, clock: FakeClock
) -> None:
    async with bob.in_room(other) as live:
        there = Heard(live, his)
        await alice.write(other, "@Bob one")
        await live.until(PUSHED)
        clock.pass_by(APART)
        await page.until(lambda: "@1" in page.badge)
        await there.tick()
        assert (page.sounds, there.sounds) == (0, 1)


async def test_what_is_marked_as_unread_is_not_heard_again(
    alice: Person,
    bob: Person,
    other: str,
    page: Heard,
    apps: list[Quart],
    chats: list[Context],
    clock: FakeClock,
) -> None:
    await alice.write(other, "@Bob one")
    await page.until(lambda: page.sounds)
    clock.pass_by(APART)
    id = ids(await alice.look(other))[-1]
    phone = bob.at(apps[0])
    assert (await phone.post(f"/rooms/{other}/read", {"id": str(id)})).status == 303
    await chats[0].unread_titles.tick()
    await page.until(lambda: page.badge == "")
    assert (await phone.post(f"/rooms/{other}/{id}/unread")).status == 303
    await page.until(lambda: "@1" in page.badge)
    for _ in range(elsewhere.LATER + 1):
        await page.tick()
    assert page.sounds == 1
    await alice.write(other, "@Bob two")
    await page.until(lambda: page.sounds == 2)


async def test_what_was_read_a_moment_ago_is_not_heard_again(
    alice: Person, other: str, page: Heard, chats: list[Context], clock: FakeClock
) -> None:
    """The store counts it until it is told, and something else may be written meanwhile."""
    reader = chats[0].reading
    await alice.write(other, "@Bob one")
    await page.until(lambda: page.sounds)
    clock.pass_by(APART)
    reader.note(other, 2, ids(await alice.look(other))[-1])
    await chats[0].unread_titles.tick()
    await page.until(lambda: page.badge == "")
    await alice.write(other, "two")
    await page.until(lambda: page.badge)
    assert page.sounds == 1
    await reader.save()
    await page.until(lambda: page.badge == "1 unread")
    await alice.write(other, "@Bob three")
    await page.until(lambda: page.sounds == 2)


async def test_who_is_ignored_is_not_heard_nor_what_they_said_when_they_are_not_any_more(
    alice: Person, bob: Person, other: str, page: Heard, his: Context
) -> None:
    for on, text in (("1", "@Bob one"), ("0", "two")):
        assert (await bob.post(f"/rooms/{other}/ignore", {"seat": "1", "on": on})).status == 303
        await alice.write(other, text)
        await until(lambda: other in his.unread_titles.elsewhere._changed)
        await page.tick()
    await page.until(lambda: "@1" in page.badge)
    assert page.sounds == 0
