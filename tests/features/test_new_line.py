"""The line before what is new, on a page that is open: it comes while nobody is there, and then it stays."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from people import Live, Person, ids, until
from shown import ShownMessages, line_of

from chat.context import Context
from chat.live.connection import Connection
from chat.settings import Settings
from chat.store.log import head_of

from .test_ignore import ALICE, set_ignored
from .test_unread import NAVIGATION


@pytest.fixture
def his(chats: list[Context]) -> Context:
    """What Bob's node works with."""
    return chats[-1]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The walk does in a second what people do in a day."""
    return replace(settings, rate_limit=False)


class Window:
    """A page of Bob's, with what a browser makes of its frames."""

    def __init__(self, bob: Person, code: str, chat: Context) -> None:
        self.bob, self.code, self.chat = bob, code, chat
        self.live: Live
        self.shown: ShownMessages
        self._taken = 0
        self._open = AsyncExitStack()

    async def open(self) -> None:
        page = (await self.bob.get(f"/rooms/{self.code}", **NAVIGATION)).page
        self.shown = ShownMessages(page)
        await self._connect(page.one("#resume")["hx-vals"].partition('epoch":"')[2].partition('"')[0])

    async def _connect(self, epoch: str, **fields: str) -> None:
        self.epoch, self._taken = epoch, 0
        self.live = await self._open.enter_async_context(self.bob.live(self.code))
        since = list(self.shown.items.values())[-1].one("data[name=since]").value
        await self.live.send(k="resume", epoch=epoch, since=since, **fields)
        await self.settled()

    async def come_again(self, *, says_it: bool = True) -> None:
        """Lose the connection, and come back as the page does."""
        await self.close()
        new = self.shown.line.removeprefix("message-") if says_it else ""
        await self._connect(self.epoch, **({"new": new} if new else {}))

    async def close(self) -> None:
        await self._open.aclose()
        await until(lambda: not self.connections)

    @property
    def connections(self) -> list[Connection]:
        feed = self.chat.hub.feeds.get(self.code)
        return [one for one in feed.connections if one.member.number == 2] if feed else []

    async def settled(self) -> None:
        """Everything that there is to be sent has been, and is shown."""
        head = await self.chat.store.read(head_of, self.code)
        await until(lambda: any(one.cursor == head.rev for one in self.connections))
        await until(lambda: all(one.idle and not len(one.slots) for one in self.connections))
        while not self.live.quiet:
            await self.live.frame()
        for frame in self.live.frames[self._taken :]:
            self.shown.take(frame)
        self._taken = len(self.live.frames)

    async def line(self) -> str:
        """The text after the line."""
        await self.counted()
        return self.shown.items[self.shown.line].one(".text").words if self.shown.line else ""

    async def counted(self) -> None:
        await self.settled()
        await self.chat.unread_titles.tick()
        await self.settled()

    async def leave(self) -> None:
        await self._says("blur", False)

    async def come_back(self) -> None:
        await self._says("focus", True)

    async def _says(self, kind: str, has_focus: bool) -> None:
        await self.settled()
        await self.live.send(k=kind)
        reading = self.chat.reading
        await until(lambda: all(reading.has_focus(one) is has_focus for one in self.connections))


@pytest.fixture
async def window(alice: Person, bob: Person, code: str, his: Context) -> AsyncIterator[Window]:
    """Bob has read everything, and is at another window."""
    await alice.write(code, "zero")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    window = Window(bob, code, his)
    await window.open()
    yield window
    await window.close()


async def test_it_is_before_the_first_text_of_an_absence_and_stays_until_the_next(
    alice: Person, bob: Person, code: str, window: Window
) -> None:
    assert not await window.line()
    for text in ("one", "two"):
        await alice.write(code, text)
        assert await window.line() == "one"
    await window.come_back()
    await alice.write(code, "three")
    assert await window.line() == "one"
    await window.leave()
    await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})  # a notice
    assert await window.line() == "one"
    await alice.write(code, "four", "five")
    assert await window.line() == "four"
    lines = [frame for frame in window.live.frames if frame.has(".new")]
    assert len(lines) == 2, "one fragment for each absence"
    assert [h2.words for h2 in lines[0].all("#new")] == ["New messages", "New messages"]
    assert not any(frame.has(".m") for frame in lines), "nothing of what is the same for everybody"


async def test_own_texts_and_those_of_ignored_people_draw_none(
    alice: Person, bob: Person, client: Person, code: str, window: Window
) -> None:
    await bob.write(code, "mine")
    assert not await window.line()
    await set_ignored(bob, code, ALICE)
    await until(lambda: all(one.member.ignored for one in window.connections))
    await alice.write(code, "hidden")
    assert not await window.line()
    await client.join(code, "Cat")
    await client.write(code, "seen")
    assert await window.line() == "seen"


async def until_it_is(window: Window, text: str, chats: list[Context]) -> None:
    """Once other nodes have said what was read there."""
    async with asyncio.timeout(5):
        while await window.line() != text:
            await chats[0].unread_titles.tick()


async def test_what_is_read_somewhere_else_takes_it_away(
    alice: Person, bob: Person, code: str, window: Window, chats: list[Context]
) -> None:
    await alice.write(code, "one", "two")
    assert await window.line() == "one"
    one, two = ids(await bob.look(code))[-2:]
    for id, text in ((one, "two"), (two, "")):
        await bob.post(f"/rooms/{code}/read", {"id": str(id)})
        await until_it_is(window, text, chats)
    await alice.write(code, "three")
    assert await window.line() == "three"


async def test_a_text_that_is_deleted_does_not_keep_it(alice: Person, code: str, window: Window) -> None:
    await alice.write(code, "one", "two")
    assert await window.line() == "one"
    for left in ("two", ""):
        await alice.post(f"/rooms/{code}/{window.shown.line.removeprefix('message-')}/delete")
        assert await window.line() == left


async def test_to_mark_a_text_as_unread_moves_it_there(alice: Person, code: str, window: Window) -> None:
    await window.come_back()
    await alice.write(code, "one", "two", "three")
    assert not await window.line()
    three = list(window.shown.items)[-1].removeprefix("message-")
    for id, text in ((int(three) - 1, "two"), (int(three) - 2, "one")):
        await window.live.send(act="unread", id=str(id))
        await window.live.until(".hint")
        assert await window.line() == text
    await window.come_back()
    assert await window.line() == "one"


async def test_a_page_that_comes_back_says_where_it_is(
    alice: Person, bob: Person, code: str, window: Window
) -> None:
    assert "#new>data" in (await bob.look(code)).one("#resume")["hx-include"]
    await alice.write(code, "one", "two")
    assert await window.line() == "one"
    [line] = [frame for frame in window.live.frames if frame.has(".new")]
    assert {f"message-{data.value}" for data in line.all(".new data")} == {window.shown.line}
    for says_it in (True, False):
        await window.come_again(says_it=says_it)
        assert await window.line() == "one"
        assert any(frame.has(".new") for frame in window.live.frames) is not says_it


async def test_where_its_message_is_not_on_the_page_it_is_at_the_top(
    alice: Person, bob: Person, code: str, window: Window
) -> None:
    await alice.write(code, *(f"m{n}" for n in range(70)))
    await window.settled()
    m5 = ids(await bob.look(code))[-1] - 64
    await bob.post(f"/rooms/{code}/read", {"id": str(m5 + 64)})
    await window.close()
    await window.open()
    assert f"message-{m5}" not in window.shown.items
    await bob.post(f"/rooms/{code}/{m5}/unread")
    assert await window.line() == window.shown.items[next(iter(window.shown.items))].one(".text").words
    [line] = [frame for frame in window.live.frames if frame.has(".new")]
    first = (await bob.get(line.one(".new a")["href"])).page
    assert ids(first)[0] == m5


@pytest.mark.parametrize("seed", range(4))
async def test_while_one_is_away_it_is_where_a_fresh_page_has_it(
    alice: Person, bob: Person, client: Person, code: str, window: Window, chats: list[Context], seed: int
) -> None:
    """Whatever is said, deleted, marked, ignored or read on another device, and whenever it comes back."""
    chance = random.Random(seed)
    await client.join(code, "Cat")
    is_away, kept = True, ""

    async def some_id() -> str:
        return str(chance.choice(ids(await bob.look(code))[-6:]))

    for _ in range(30):
        match chance.choice("wwwwmlbrdugic"):
            case "w":
                await chance.choice((alice, client)).write(code, f"text {chance.random()}")
            case "m":
                await bob.write(code, f"mine {chance.random()}")
            case "l":
                await window.leave()
                is_away = True
            case "b":
                await window.come_back()
                is_away = False
                kept = window.shown.line
            case "r":
                await bob.post(f"/rooms/{code}/read", {"id": await some_id()})
            case "d":
                await alice.post(f"/rooms/{code}/{await some_id()}/delete")
            case "u" if is_away:
                await bob.post(f"/rooms/{code}/{await some_id()}/unread")
            case "g" if is_away:
                await window.come_again(says_it=chance.random() < 0.8)
            case "i":
                await set_ignored(bob, code, ALICE, chance.choice("01"))
                await client.write(code, "counted with the next text")
        await window.counted()
        if not is_away:
            assert window.shown.line == kept, "it stays"
            continue
        async with asyncio.timeout(10):
            while (fresh := line_of(await bob.look(code))) and window.shown.line != fresh:
                await chats[0].unread_titles.tick()
                await window.counted()


async def test_a_page_that_takes_nothing_is_shown_it_when_it_does_and_costs_no_count_meanwhile(
    alice: Person, bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bob.in_room(code) as live:
        [connection] = his.hub.feeds[code].connections
        await his.unread_titles.tick()
        gate = await live.stall(connection, alice.write(code, "first"))
        await alice.write(code, "second")
        head = await his.store.read(head_of, code)
        await until(lambda: his.hub.feeds[code].position.rev == head.rev)
        await his.unread_titles.tick()
        count = AsyncMock(wraps=his.unread_titles._count)
        monkeypatch.setattr(his.unread_titles, "_count", count)
        for _ in range(3):
            await his.unread_titles.tick()
        assert count.await_count == 0
        gate.set()
        await until(lambda: connection.idle)
        await his.unread_titles.tick()
        await live.until("hx-partial .new")
        first = ids(await alice.look(code))[-2]
        assert live.frames[-1].has(f"hx-partial[hx-target=#message-{first}] .new")
