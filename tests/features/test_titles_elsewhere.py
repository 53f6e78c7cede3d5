"""The title of a page says how often its person is mentioned, in whatever room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from unittest.mock import Mock

import calls
import pytest
from people import Live, Person, ids, until, window_titles
from quart import Quart

from chat.context import Context
from chat.live.connection import Connection
from chat.live.read_signs import signs_of
from chat.model.receipts import write_life
from chat.model.rooms import Position
from chat.store import unread

from .test_elsewhere import Told, his
from .test_unread import focused, say, told

__all__ = ["his"]


class Titled(Told):
    """What the title says, and which icon there is, besides what the page shows."""

    def __init__(self, live: Live, chat: Context, title: str) -> None:
        super().__init__(live, chat)
        self.page, self._first = live, title

    @property
    def title(self) -> str:
        titles = [title for frame in self.page.frames for title in window_titles(frame)]
        return titles[-1] if titles else self._first

    @property
    def icon(self) -> str:
        return [icon["href"] for frame in self.page.frames for icon in frame.all("link[rel=icon]")][-1]


async def name_of(person: Person, path: str) -> str:
    return (await person.get(path)).page.one("title").words


async def test_mentions_in_other_rooms_are_in_the_title_and_texts_are_not(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    name = await name_of(bob, f"/rooms/{code}")
    async with bob.in_room(code) as live:
        page = Titled(live, his, name)
        await alice.write(other, "one")
        await page.until(lambda: page.badge)
        assert page.title == name
        await alice.write(other, "@Bob two")
        await page.until(lambda: page.title == f"(@1) {name}")
        assert "icon-new" in page.icon
        await alice.write(code, "@Bob three", "four")
        await page.until(lambda: page.title == f"(@2) (2) {name}")
        await live.send(k="focus")
        await until(lambda: focused(his))
        await page.until(lambda: page.title == f"(@1) {name}")
        id = ids(await alice.look(other))[-1]
        assert (await bob.post(f"/rooms/{other}/read", {"id": str(id)})).status == 303
        await page.until(lambda: page.title == name)
        assert "icon-new" not in page.icon


@pytest.mark.parametrize("is_looked_at", [False, True], ids=["in the background", "looked at"])
async def test_a_page_that_is_opened_then_has_them_in_its_title_and_keeps_them_when_the_room_is_renamed(
    alice: Person, bob: Person, code: str, other: str, his: Context, is_looked_at: bool
) -> None:
    await alice.write(other, "@Bob one")
    async with bob.in_room(code) as live:
        if is_looked_at:
            await live.send(k="focus")
            await until(lambda: focused(his))
        page = Titled(live, his, "")
        await page.until(lambda: page.title.startswith("(@1) "))
        await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})
        while not page.title.endswith("Regatta · Room chat"):  # no second passes
            await live.frame()
        assert page.title == "(@1) Regatta · Room chat"


async def test_the_title_of_home_counts_all_that_is_unread(
    alice: Person, bob: Person, code: str, other: str, his: Context, apps: list[Quart], chats: list[Context]
) -> None:
    async with bob.live("") as live:
        home = Titled(live, his, await name_of(bob, "/"))
        assert home.title == "Room chat"
        await alice.write(code, "one")
        await alice.write(other, "@Bob two", "three")
        await home.until(lambda: home.title == "(@1) (3) Room chat")
        assert "icon-new" in home.icon
        for room in (code, other):
            id = ids(await alice.look(room))[-1]
            await bob.at(apps[0]).post(f"/rooms/{room}/read", {"id": str(id)})
        await chats[0].unread_titles.tick()
        await home.until(lambda: home.title == "Room chat")
        assert "icon-new" not in home.icon


@pytest.mark.parametrize("how", ["the list is asked for", "hints are missed"])
async def test_a_title_of_home_is_right_again_after_something_was_lost(
    alice: Person,
    bob: Person,
    code: str,
    his: Context,
    chats: list[Context],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    async with bob.live("") as live:
        home = Titled(live, his, "Room chat")
        await alice.write(code, "one")
        await home.until(lambda: home.title == "(1) Room chat")
        with monkeypatch.context() as lost:
            lost.setattr(his.unread_titles, "_read", Mock())
            id = ids(await alice.look(code))[-1]
            await bob.post(f"/rooms/{code}/read", {"id": str(id)})
            await home.tick()
        await home.tick()
        assert home.title == "(1) Room chat"
        if how == "hints are missed":
            his.store._listeners.on_gap()  # type: ignore[attr-defined]
        else:
            await bob.get("/rooms", hx_request="true")
        await home.until(lambda: home.title == "Room chat")


async def test_a_title_is_right_again_when_a_connection_comes_back(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    """What it said may have been read meanwhile."""
    name, page = await name_of(bob, f"/rooms/{code}"), await bob.look(code)
    async with bob.live(code) as live:
        await live.resume(page, life=write_life("page", 0))
        titled = Titled(live, his, "(@1) (5) of yesterday")
        await titled.until(lambda: titled.title == name)
        assert "icon-new" not in titled.icon
        await titled.tick()
        assert len([frame for frame in live.frames if frame.has("title")]) == 1
    async with bob.live("") as live:
        home = Titled(live, his, "(@1) (5) of yesterday")
        await home.until(lambda: home.title == "Room chat")


@pytest.fixture
def slow_to_join(his: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes before a page follows its room, as when many come back at once."""
    join = his.hub.join

    async def join_later(connection: Connection, position: Position) -> None:
        await his.unread_titles.tick()
        await his.unread_titles.elsewhere.tick()
        await join(connection, position)

    monkeypatch.setattr(his.hub, "join", join_later)


@pytest.mark.usefixtures("slow_to_join")
async def test_so_is_one_that_comes_back_slowly(bob: Person, code: str, other: str, his: Context) -> None:
    name, page = await name_of(bob, f"/rooms/{code}"), await bob.look(code)
    async with bob.live(code) as live:
        await live.resume(page, life=write_life("page", 0))
        titled = Titled(live, his, "(@1) (5) of yesterday")
        await titled.until(lambda: titled.title == name)


@pytest.mark.usefixtures("slow_to_join")
async def test_what_is_unread_stays_in_the_title_of_a_page_that_is_slow_to_follow_its_room(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with alice.in_room(code):  # which has the room's title shown to all
        await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})
        page = await bob.look(code)
        await alice.write(code, "one")
        async with bob.live(code) as live:
            await live.resume(page)
            titled = Titled(live, his, "")
            await titled.until(lambda: "(1)" in titled.title)
            await say(alice, code, live, "last")
            assert titled.title == "(1) Regatta · Room chat"


async def test_a_room_that_was_renamed_has_its_new_name_when_somebody_is_mentioned_elsewhere(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        page = Titled(live, his, "")
        await alice.write(code, "one")
        await page.until(lambda: page.title.startswith("(1) "))
        await live.send(k="focus")
        await until(lambda: focused(his))
        await page.until(lambda: not page.title.startswith("("))
        await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})
        await page.until(lambda: page.title == "Regatta · Room chat")
        await alice.write(other, "@Bob one")
        await page.until(lambda: page.title.startswith("(@1) "))
        assert page.title == "(@1) Regatta · Room chat"


async def test_mentions_are_in_the_title_of_a_room_that_is_not_among_the_newest(
    alice: Person, bob: Person, code: str, other: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.my_rooms.SHOWN", 1)
    name = await name_of(bob, f"/rooms/{code}")
    async with bob.in_room(code) as live:
        page = Titled(live, his, name)
        await alice.write(other, "@Bob one")
        await page.until(lambda: page.title == f"(@1) {name}")


@pytest.mark.parametrize(("moved", "number"), [("read", 1), ("set back", 2)])
async def test_what_is_said_while_it_is_looked_up_how_far_somebody_has_read_counts(
    alice: Person,
    bob: Person,
    code: str,
    his: Context,
    monkeypatch: pytest.MonkeyPatch,
    moved: str,
    number: int,
) -> None:
    name = await name_of(bob, f"/rooms/{code}")
    await alice.write(code, "one")
    id = ids(await alice.look(code))[-1]
    if moved == "set back":
        await bob.post(f"/rooms/{code}/read", {"id": str(id)})
        await his.unread_titles.tick()

    async def ask(original: Callable[[], Awaitable[object]], *asked: object) -> object:
        found = await original()
        if moved == "read":
            his.reading.note(code, 2, id)
            risen = his.reading.take_risen()
            await his.reading.save()
            his.unread_titles.hear(next(signs_of(risen)))
        else:
            assert (await bob.post(f"/rooms/{code}/{id}/unread")).status == 303
        return found

    async with bob.in_room(code) as live:
        with monkeypatch.context() as meanwhile:
            calls.intercept(meanwhile, his.store, unread.readers_of, ask)
            await his.unread_titles.tick()
        await say(alice, code, live, "two")
        assert await told(live, his) == f"({number}) {name}"


async def test_who_is_ignored_is_in_no_title(
    alice: Person, bob: Person, code: str, other: str, his: Context
) -> None:
    assert (await bob.post(f"/rooms/{other}/ignore", {"seat": "1", "on": "1"})).status == 303
    async with bob.in_room(code) as live:
        page = Titled(live, his, "as it was")
        await page.tick()
        await alice.write(other, "@Bob one")
        await until(lambda: other in his.unread_titles.elsewhere._changed)
        await page.tick()
        assert page.title == "as it was"
