"""A page of a room is told what is unread in the other rooms of its person, whatever the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Live, Person, ids, seconds_until, until
from quart import Quart
from quart.testing.connections import WebsocketResponseError

from chat.context import Context
from chat.live import elsewhere
from chat.live.connections import SOCKETS
from chat.store import Unavailable
from chat.store.my_rooms import MyRoom, my_rooms

from .test_unread import focused


@pytest.fixture
def his(chats: list[Context]) -> Context:
    """What Bob's node works with."""
    return chats[-1]


class Told:
    """What a page shows of other rooms: how much is unread by room, and in all."""

    def __init__(self, live: Live, chat: Context) -> None:
        self._live, self._chat = live, chat
        self.rows: dict[str, str] = {}
        self.badge = ""
        self.frames = 0

    def _see(self, frame: Element) -> None:
        rows, badges = [row for row in frame.all("a") if row.has(".tile")], frame.all("#elsewhere")
        for row in rows:
            self.rows[row["href"].removeprefix("/rooms/")] = _words(row)
        for badge in badges:
            self.badge = _words(badge)
        self.frames += bool(rows or badges)

    async def tick(self) -> None:
        """A second passes."""
        await self._chat.unread_titles.tick()
        await self._chat.unread_titles.elsewhere.tick()
        await self.read()

    async def read(self) -> None:
        while not self._live.quiet:
            self._see(await self._live.frame())

    async def until(self, so: Callable[[], object]) -> None:
        """Seconds pass until it is so."""
        await seconds_until(so, self.tick)


def _words(element: Element) -> str:
    return " ".join(badge.words for badge in element.all(".badge"))


async def test_what_is_written_in_another_room_is_told_within_a_second(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        assert (told.rows, told.badge) == ({}, "")
        await alice.write(other, "one")
        await told.until(lambda: told.rows)
        assert (told.rows, told.badge) == ({other: "1 unread"}, "1 unread")
        assert "Alice: one" in live.frames[-1].one(".last").words
        await alice.write(other, "two")
        await told.until(lambda: told.badge == "2 unread")


async def test_what_is_read_on_another_device_is_unread_nowhere(
    alice: Person, bob: Person, code: str, other: str, apps: list[Quart], chats: list[Context]
) -> None:
    phone = bob.at(apps[0])
    async with bob.in_room(code) as live, phone.in_room(other) as pocket:
        told = Told(live, chats[-1])
        await alice.write(other, "one")
        await told.until(lambda: told.badge == "1 unread")
        await pocket.send(k="focus")
        await until(lambda: focused(chats[0]))
        await pocket.until("li .text", "one")
        await chats[0].unread_titles.tick()
        await told.until(lambda: told.badge == "")
        assert told.rows == {other: ""}
        id = ids(await alice.look(other))[-1]
        assert (await phone.post(f"/rooms/{other}/{id}/unread")).status == 303
        await told.until(lambda: told.badge == "1 unread")


async def test_a_page_that_is_new_is_told_what_was_written_just_before(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    await alice.write(other, "one")
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.until(lambda: told.badge)
        assert (told.rows, told.badge) == ({other: "1 unread"}, "1 unread")
        async with bob.in_room(code) as second:
            new = Told(second, his)
            await new.until(lambda: new.badge == "1 unread")
            await told.read()
            assert told.frames == 1, "it knows already"


async def test_who_has_no_other_page_costs_nothing(
    alice: Person, bob: Person, code: str, other: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def ask(original: Callable[[], Awaitable[list[MyRoom]]], person: str) -> list[MyRoom]:
        asked.append(person)
        return await original()

    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        calls.intercept(monkeypatch, his.store, my_rooms, ask)
        await alice.write(code, "here")
        await live.until("li .text", "here")
        for _ in range(3):
            await told.tick()
        assert not asked
        for n in range(9):
            await alice.write(other, f"there {n}")
        await told.until(lambda: told.badge == "9 unread")
        before = len(asked)
        for _ in range(3):
            await told.tick()
        assert len(asked) == before


async def test_a_page_is_told_of_few_rooms_at_once_and_of_all_in_the_end(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    rooms = [await alice.create() for _ in range(elsewhere.ROWS + 2)]
    for room in rooms:
        await bob.join(room, "Bob")
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        for room in rooms:
            await alice.write(room, "one")
        await told.until(lambda: len(told.rows) == len(rooms))
        assert set(told.rows.values()) == {"1 unread"}
        assert max(len(frame.all("li")) for frame in live.frames) <= elsewhere.ROWS
        assert all(len(raw) < 6000 for raw in live.raw)


async def test_little_time_is_spent_in_a_second_and_nobody_is_forgotten(
    alice: Person, bob: Person, code: str, other: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "SPENT", 0)
    third = await alice.create()
    await bob.join(third, "Bob")
    asked: list[str] = []

    async def ask(original: Callable[[], Awaitable[list[MyRoom]]], person: str) -> list[MyRoom]:
        asked.append(person)
        return await original()

    async with bob.in_room(code) as live, alice.at(bob.app).in_room(code) as hers:
        his_page, her_page = Told(live, his), Told(hers, his)
        for _ in range(2):
            await his_page.tick()
        await alice.write(other, "one")
        await bob.write(third, "two")
        await until(lambda: {other, third} <= his.unread_titles.elsewhere._changed)
        calls.intercept(monkeypatch, his.store, my_rooms, ask)
        for n in range(2):
            await his.unread_titles.elsewhere.tick()
            assert len(asked) == n + 1
        await his_page.until(lambda: his_page.badge == "1 unread")
        await her_page.until(lambda: her_page.badge == "1 unread")


async def test_a_room_that_one_joins_later_is_told_of(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        third = await alice.create()
        await bob.join(third, "Bob")
        async with bob.in_room(third):
            await told.tick()
        await alice.write(third, "one")
        await told.until(lambda: told.rows.get(third) == "1 unread")


async def test_pages_are_told_when_the_store_is_back(
    alice: Person, bob: Person, code: str, other: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        await alice.write(other, "one")
        with monkeypatch.context() as broken:
            calls.intercept(broken, his.store, my_rooms, AsyncMock(side_effect=Unavailable("away")))
            await told.tick()
            assert not told.rows
        await told.until(lambda: told.rows)


async def test_nothing_is_kept_of_those_who_have_left(
    bob: Person, code: str, other: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        await Told(live, his).tick()
        assert his.unread_titles.elsewhere.concerns(other)
    known = his.unread_titles.elsewhere
    await until(lambda: not known._people)
    assert not known._rooms
    assert not known._due
    assert not his.unread_titles._lines._late


async def test_home_is_told_of_every_room(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    assert (await bob.get("/")).page.one("[hx-ws:connect]")["hx-ws:connect"] == "/live"
    async with bob.live("") as live:
        told = Told(live, his)
        await told.tick()
        await alice.write(code, "here")
        await alice.write(other, "there")
        await told.until(lambda: len(told.rows) == 2)
        assert told.rows == {code: "1 unread", other: "1 unread"}
        assert not told.badge
        await live.send(k="focus")
        await live.send(body="what home sends nobody reads", key="k")
        await told.tick()
    await until(lambda: not his.unread_titles.elsewhere._people)
    assert not list(his.hub.connections)
    assert "nobody reads" not in "".join(await bob.texts(code))


async def test_strangers_and_other_sites_are_told_nothing(
    alice: Person, bob: Person, client: Person, code: str, his: Context
) -> None:
    async with client.live("") as live:
        assert await live.ended() == 1008
    with pytest.raises(WebsocketResponseError) as refused:
        async with bob.live("", origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403
    assert not his.unread_titles.elsewhere._people


async def test_home_has_no_more_connections_than_a_room(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(bob.live("")) for _ in range(SOCKETS + 1)]
        assert await lives[0].ended() == 1008
        await until(lambda: len(list(his.hub.connections)) == SOCKETS)


async def test_what_is_deleted_or_said_by_somebody_ignored_is_not_unread(
    alice: Person, bob: Person, eve: Person, code: str, other: str, his: Context
) -> None:
    await eve.join(other, "Eve")
    assert (await bob.post(f"/rooms/{other}/ignore", {"seat": "3", "on": "1"})).status == 303
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await alice.write(other, "one")
        await eve.write(other, "not heard")
        await told.until(lambda: told.badge == "1 unread")
        assert "Alice: one" in live.frames[-1].one(".last").words
        id = ids(await alice.look(other))[-2]
        assert (await alice.post(f"/rooms/{other}/{id}/delete")).status == 303
        await told.until(lambda: told.badge == "")
        assert told.rows == {other: ""}


async def test_what_is_read_and_not_stored_yet_is_not_told_of_as_unread(
    alice: Person, bob: Person, code: str, other: str, chats: list[Context], his: Context
) -> None:
    await alice.write(other, "one")
    reader = chats[0]
    reader.reading.note(other, 2, ids(await alice.look(other))[-1])
    async with bob.in_room(code) as live:
        told = Told(live, his)
        await told.tick()
        if reader is his:
            await told.tick()
            assert not told.frames
            return
        await told.until(lambda: told.badge == "1 unread")
        await reader.reading.save()
        await told.until(lambda: told.badge == "")


async def test_what_was_read_before_another_text_came_is_unread_nowhere_once_it_is_stored(
    alice: Person, bob: Person, code: str, other: str, his: Context, chats: list[Context]
) -> None:
    async with bob.in_room(code) as live:
        page = Told(live, his)
        await alice.write(other, "one", "two", "three")
        await page.until(lambda: page.badge == "3 unread")
        chats[0].reading.note(other, 2, ids(await alice.look(other))[-1])  # on a device
        await chats[0].unread_titles.tick()
        await alice.write(other, "four")
        await until(lambda: other in his.unread_titles.elsewhere._changed)
        await page.tick()
        await chats[0].reading.save()
        await page.until(lambda: page.badge == "1 unread")


async def test_what_is_written_during_the_first_look_at_the_rooms_of_a_person_is_told(
    alice: Person, bob: Person, code: str, other: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def ask(original: Callable[[], Awaitable[object]], person: str) -> object:
        found = await original()
        if not asked:
            asked.append(person)
            await alice.write(other, "one")
            await until(lambda: other in his.unread_titles.elsewhere._changed)
        return found

    calls.intercept(monkeypatch, his.store, my_rooms, ask)
    async with bob.live("") as live:
        page = Told(live, his)
        await page.until(lambda: "1 unread" in str(page.rows))
    assert asked


async def test_a_page_on_one_node_follows_a_room_that_was_joined_on_another_once_its_list_shows_it(
    alice: Person, bob: Person, code: str, his: Context, apps: list[Quart]
) -> None:
    async with bob.live("") as live:
        page = Told(live, his)
        await page.tick()
        third = await alice.create()
        await bob.at(apps[0]).join(third, "Bob")
        await bob.get("/rooms", hx_request="true")
        await page.tick()
        await alice.write(third, "one")
        await page.until(lambda: "1 unread" in str(page.rows))
