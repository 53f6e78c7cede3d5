"""Whatever happens to messages at once, a page that follows, one that comes back, and one without JavaScript
show what a page shows that is loaded afterwards, and say that as much is unread."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import calls
import pytest
from dom import Element
from people import Live, Person, ids
from quart import Quart
from shown import ShownMessages, messages_of, streamed
from streams import read_until, streaming

from chat.context import Context
from chat.settings import Settings

EMOJI = "👍🎉🍕"
TEXTS = ["a text", "**bold** and `code`", "- one\n- two", "<b>", "😀", "see https://example.com/a"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limit=False)


@dataclass
class Talk:
    """A room and what people do there, by the throw of dice."""

    code: str
    people: list[Person]
    chat: Context
    dice: random.Random
    ids: list[int] = field(default_factory=list)
    texts: int = 0

    async def write(self, person: Person, text: str = "") -> None:
        self.texts += 1
        await person.write(self.code, f"{text or self.dice.choice(TEXTS)} {self.texts}")
        self.ids.append((await calls.heads(self.chat.store, [self.code]))[self.code].rev)

    async def reply(self, person: Person, id: int) -> None:
        """Answer a text, if it is there."""
        self.texts += 1
        form = {"body": f"answer {self.texts}", "key": f"answer {self.texts}", "reply": str(id)}
        reply = await person.post(f"/rooms/{self.code}/messages", form)
        assert reply.status in (303, 422), reply.text
        if reply.status == 303:
            self.ids.append((await calls.heads(self.chat.store, [self.code]))[self.code].rev)

    async def act(self) -> None:
        """One thing, perhaps to a message that is gone or somebody else's."""
        person, id = self.dice.choice(self.people), self.dice.choice(self.ids[-6:])
        what = self.dice.choice([*("write", "reply", "reply", "edit", "edit", "delete"), *["reactions"] * 3])
        if what == "write":
            await self.write(person)
            return
        if what == "reply":
            await self.reply(person, id)
            return
        fields = {"body": f"changed {self.dice.random()}"} if what == "edit" else {}
        if what == "reactions":
            fields = {"emoji": self.dice.choice(EMOJI), "on": self.dice.choice("110")}
        reply = await person.post(f"/rooms/{self.code}/{id}/{what}", fields)
        assert reply.status in (303, 403, 404), reply.text

    async def burst(self) -> None:
        for _ in range(25):
            await self.act()

    async def all_to_one(self) -> None:
        """Two messages that pages have and two new ones are answered and changed, and one of each deleted."""
        ann, bob = self.people
        for _ in range(2):
            await self.write(ann)
        for id, is_deleted in zip([*self.ids[:3:2], *self.ids[-2:]], [True, False] * 2, strict=True):
            path = f"/rooms/{self.code}/{id}"
            await self.reply(bob, id)
            await bob.post(f"{path}/reactions", {"emoji": "👍", "on": "1"})
            await ann.post(f"{path}/edit", {"body": f"changed {id}"})
            await self.reply(ann, id)
            await ann.post(f"{path}/reactions", {"emoji": "🎉", "on": "1"})
            await bob.post(f"{path}/reactions", {"emoji": "👍", "on": "0"})
            if is_deleted:
                await ann.post(f"{path}/delete")

    async def at_once(self) -> None:
        await asyncio.gather(*(self.act() for _ in range(25)))


@pytest.fixture(params=range(2))
async def talk(request: pytest.FixtureRequest, alice: Person, bob: Person, code: str, chat: Context) -> Talk:
    talk = Talk(code, [alice, bob], chat, random.Random(request.param))
    for n in range(6):
        await talk.write(talk.people[n % 2])
    return talk


Burst = Callable[[Talk], Awaitable[None]]
BURSTS = pytest.mark.parametrize("burst", [Talk.burst, Talk.all_to_one, Talk.at_once])


async def _caught_up(live: Live, shown: ShownMessages, end: str) -> None:
    while not any(end in item.text for item in shown.items.values()):
        shown.take(await live.frame())


async def _fresh(person: Person, code: str) -> list[Any]:
    page = await person.look(code)
    assert ids(page)
    return ShownMessages(page).dom


@BURSTS
@pytest.mark.parametrize("is_slow", [False, True], ids=["in many frames", "in one frame"])
async def test_a_page_that_follows_shows_the_same_as_a_fresh_one(
    talk: Talk, chats: list[Context], burst: Burst, is_slow: bool
) -> None:
    alice, bob = talk.people
    shown = ShownMessages(await bob.look(talk.code))
    async with bob.in_room(talk.code) as live:
        gate = asyncio.Event()
        if is_slow:
            [connection] = chats[-1].hub.feeds[talk.code].connections
            gate = await live.stall(connection, talk.write(alice))
        await burst(talk)
        await talk.write(alice, "the end")
        gate.set()
        await _caught_up(live, shown, "the end")
    assert shown.dom == await _fresh(bob, talk.code)


WAYS = {
    "from memory": {},
    "from the log": {"feed.RING": 0, "catch_up.READ": 1500},
    "anew": {"feed.RING": 0, "catch_up.WINDOW": 3},
}


@BURSTS
@pytest.mark.parametrize("way", WAYS)
async def test_a_page_that_comes_back_shows_the_same_as_a_fresh_one(
    talk: Talk, burst: Burst, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, bound in WAYS[way].items():
        monkeypatch.setattr(f"chat.live.{name}", bound)
    bob = talk.people[1]
    for gap in range(2):
        page = await bob.look(talk.code)
        shown = ShownMessages(page)
        await burst(talk)
        await talk.write(talk.people[0], f"the end {gap}")
        async with bob.live(talk.code) as live:
            await live.resume(page)
            await _caught_up(live, shown, f"the end {gap}")
        assert shown.dom == await _fresh(bob, talk.code)


@BURSTS
@pytest.mark.parametrize("is_slow", [False, True], ids=["in many lines", "in one go"])
async def test_the_live_page_without_javascript_shows_the_same_as_a_fresh_one(
    talk: Talk, burst: Burst, is_slow: bool
) -> None:
    alice, bob = talk.people
    gate = asyncio.Event()
    gate.set()
    async with streaming(bob, f"/rooms/{talk.code}/stream", gate) as stream:
        html = await read_until(stream, "</template>")
        if is_slow:
            gate.clear()
        await burst(talk)
        await talk.write(alice, "the end")
        gate.set()
        html += await read_until(stream, "the end")
    assert streamed(html) == await _fresh(bob, talk.code)


async def _badge(person: Person) -> str:
    return (await person.get("/")).page.one("#rooms li .badge").words


@BURSTS
async def test_as_much_is_unread_on_a_page_that_follows_one_that_comes_back_a_fresh_one_and_home(
    talk: Talk, apps: list[Quart], chats: list[Context], burst: Burst
) -> None:
    alice, bob = talk.people
    read = (await bob.get(f"/rooms/{talk.code}", sec_fetch_mode="navigate")).page
    async with bob.in_room(talk.code) as live, bob.live(talk.code) as back:
        await burst(talk)
        await talk.write(alice, "the end")
        await back.resume(read)
        for page in (live, back):
            await page.until("li .text", "the end")
        fresh = await bob.look(talk.code)
        new, first = _unread(fresh, read)
        assert new
        await chats[-1].unread_titles.tick()
        for page in (live, back):
            assert (await page.until("title")).words.startswith(f"({new}) ")
    await chats[-1].reading.save()
    for place in (bob, *(bob.at(app) for app in apps)):
        items = (await place.look(talk.code)).all("#messages li")
        [line] = [n for n, item in enumerate(items) if "new" in item.classes]
        words = f"{new} new messages" if new > 1 else "1 new message"
        assert (items[line].words, items[line + 1].id) == (words, first)
        assert await _badge(place) == f"{new} unread"


def _unread(fresh: Element, read: Element) -> tuple[int, str]:
    """How many texts of what Alice has said since Bob read or wrote are there still, and the first one."""
    items = messages_of(fresh)
    known = {item.id for item in messages_of(read)}
    start = max(n for n, item in enumerate(items) if item.id in known or item["data-by"] == "2")
    new = [item.id for item in items[start + 1 :] if not item.has(".gone")]
    return len(new), new[0]


async def test_messages_that_are_compared_have_what_people_see(talk: Talk) -> None:
    """Were it lost on the way, all that is above would find two empty pages to be the same."""
    await talk.all_to_one()
    items = messages_of(await talk.people[1].look(talk.code))
    kept, gone = [item for item in items if item.has(".edited")], [i for i in items if i.has(".gone")]
    assert (len(kept), len(gone)) == (2, 2)
    assert [item.one("button[aria-pressed=true]").words for item in kept] == ["🎉 1", "🎉 1"]
    quotes = [quote.words for item in items for quote in item.all(".quote")]
    changed = [f"In reply to: Alice changed {item.id.removeprefix('message-')}" for item in kept]
    assert sorted(quotes) == sorted([*2 * changed, *4 * ["In reply to: Alice Message deleted"]])
