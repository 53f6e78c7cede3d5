"""What counts as reading: a page whose window has the focus, a text that is sent, a page that one goes to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import calls
import pytest
from dom import Element, parse
from people import Live, Person, ids, texts, until
from quart import Quart
from streams import read_until, streaming

from chat.context import Context
from chat.live.new_lines import NewLines
from chat.live.reading import Reading
from chat.live.unread import AT_ONCE, SIGNS, UnreadTitles
from chat.model.members import Member
from chat.model.mentions import EVERYBODY
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.model.signs import LABEL, Sign
from chat.model.unread import Unread
from chat.startup import close_context
from chat.store import Unavailable, read_positions
from chat.store import unread as unread_texts
from chat.store.my_rooms import COUNTED, Home, home_of
from chat.store.visits import visit
from chat.store.windows import Part
from chat.views.look import Look
from chat.web import message

NAVIGATION = {"sec_fetch_mode": "navigate"}


@pytest.fixture
def his(chats: list[Context]) -> Context:
    """What Bob's node works with."""
    return chats[-1]


async def unread(person: Person) -> str:
    """What home says of the only room."""
    badges = (await person.get("/")).page.one("#rooms li").all(".badge")
    return badges[0].words if badges else ""


async def say(person: Person, code: str, live: Live, text: str) -> None:
    """Somebody writes, and it has come to a page."""
    await person.write(code, text)
    await live.until("li .text", text)


def focused(chat: Context) -> int:
    return len(chat.reading._focused)


async def test_what_others_write_is_unread(alice: Person, bob: Person, code: str) -> None:
    assert await unread(bob) == ""
    await alice.write(code, "one", "two")
    assert await unread(bob) == "2 unread"
    assert await unread(alice) == ""


async def test_a_page_is_read_while_its_window_has_the_focus(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        await say(alice, code, live, "one")
        assert await unread(bob) == "1 unread"
        await live.send(k="focus")
        await until(lambda: focused(his))
        assert await unread(bob) == ""
        await say(alice, code, live, "two")
        assert await unread(bob) == ""
        await live.send(k="blur")
        await until(lambda: not focused(his))
        await say(alice, code, live, "three")
        assert await unread(bob) == "1 unread"


async def test_a_page_that_has_the_focus_when_it_comes_back_is_read(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    page = await bob.look(code)
    await alice.write(code, "one")
    async with bob.live(code) as live:
        await live.resume(page, focus="1")
        await live.until("li .text", "one")
        assert await unread(bob) == ""
    await until(lambda: not focused(his))


async def test_what_was_read_when_a_page_is_closed_is_not_lost(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        await live.send(k="focus")
        await until(lambda: focused(his))
        await say(alice, code, live, "one")
    await until(lambda: not focused(his))
    assert await unread(bob) == ""


async def test_who_writes_has_read(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one")
    async with bob.in_room(code) as live:
        await live.say("two")
        await live.until("li .text", "two")
    assert await unread(bob) == ""


async def test_to_go_to_the_newest_page_is_to_read_it(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one")
    for headers in (
        {"hx_request": "true"},
        {"sec_fetch_mode": "cors"},
        {"sec_purpose": "prefetch"},
        NAVIGATION | {"sec_purpose": "prefetch;prerender"},
        NAVIGATION | {"purpose": "prefetch"},
    ):
        await bob.get(f"/rooms/{code}", **headers)
        assert await unread(bob) == "1 unread"
        if "hx_request" not in headers:
            assert (await bob.get(f"/rooms/{code}/stream", **headers)).status == 403, "somebody would be here"
            assert await unread(bob) == "1 unread"
    await bob.get(f"/rooms/{code}?before=1", **NAVIGATION)
    assert await unread(bob) == "1 unread"
    await bob.get(f"/rooms/{code}", **NAVIGATION, sec_fetch_site="cross-site", sec_fetch_dest="document")
    assert await unread(bob) == ""


async def test_over_plain_http_browsers_do_not_say_that_somebody_goes_to_a_page(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "one")
    await bob.get(f"/rooms/{code}")
    assert await unread(bob) == ""


async def test_one_may_say_up_to_where_one_has_read(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one", "two", "three")
    one, two, three = ids(await alice.look(code))[-3:]
    for id, said in [(two, "1 unread"), (one, "1 unread"), (three, "")]:
        reply = await bob.post(f"/rooms/{code}/read", {"id": str(id)})
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
        assert await unread(bob) == said
    assert (await bob.post(f"/rooms/{code}/read", {"id": "1"}, hx_request="true")).status == 204


@pytest.mark.parametrize("id", ["nonsense", "", "0", "-1", "1.5", "9" * 16, "١"])
async def test_what_is_no_message_is_not_read(alice: Person, bob: Person, code: str, id: str) -> None:
    await alice.write(code, "one")
    reply = await bob.post(f"/rooms/{code}/read", {"id": id})
    assert reply.status == 422
    assert reply.page.one("[role=alert]").words
    assert await unread(bob) == "1 unread"


async def test_nobody_has_read_what_is_yet_to_come(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "one")
    assert (await bob.post(f"/rooms/{code}/read", {"id": "9" * 15})).status == 303
    assert await unread(bob) == ""
    await alice.write(code, "two")
    assert await unread(bob) == "1 unread"


async def test_nobody_else_says_what_is_read(alice: Person, bob: Person, client: Person, code: str) -> None:
    await alice.write(code, "one")
    reply = await client.post(f"/rooms/{code}/read", {"id": "99"})
    assert reply.status == 403
    assert await unread(bob) == "1 unread"


async def test_reading_is_stored_from_time_to_time(
    alice: Person, bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only if more was read: what is asked of the store is counted."""
    saved: list[list[read_positions.Read]] = []

    async def save(original: object, rows: list[read_positions.Read]) -> None:
        saved.append(rows)

    calls.intercept(monkeypatch, his.store, read_positions.save, save)
    reading = Reading(his.store, every=0.01)
    reading.note(code, 2, 5)
    reading.note(code, 2, 4)
    reading.note(code, 1, 6)
    task = asyncio.create_task(reading.run())
    await until(lambda: saved)
    assert saved == [[(code, 2, 5), (code, 1, 6)]]
    reading.note(code, 2, 7)
    await until(lambda: len(saved) > 1)
    task.cancel()
    assert saved[1:] == [[(code, 2, 7)]]


async def test_what_is_being_stored_is_not_shown_as_unread(
    alice: Person, bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "one")
    writing, counted, gate = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def save(original: Callable[[], Awaitable[None]], rows: list[read_positions.Read]) -> None:
        writing.set()
        await gate.wait()
        await original()

    async def count(original: Callable[[], Awaitable[Home]], person: str) -> Home:
        found = await original()
        counted.set()
        return found

    calls.intercept(monkeypatch, his.store, read_positions.save, save)
    calls.intercept(monkeypatch, his.store, home_of, count)
    his.reading.note(code, 2, ids(await bob.look(code))[-1])
    saving = asyncio.create_task(his.reading.save())
    await writing.wait()
    home = asyncio.create_task(unread(bob))
    await counted.wait()
    gate.set()
    assert await home == ""
    await saving


@pytest.mark.parametrize("where", ["room", "message"])
async def test_what_is_stored_while_the_store_is_asked_is_not_new(
    alice: Person, bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The answer may be from before."""
    await alice.write(code, "one")
    id = ids(await alice.look(code))[-1]
    his.reading.note(code, 2, id)

    async def ask(original: Callable[[], Awaitable[object]], *asked: object) -> object:
        found = await original()
        await his.reading.save()
        return found

    for question in (visit, message._read_page):
        calls.intercept(monkeypatch, his.store, question, ask)
    if where == "room":
        assert line(await bob.look(code)) == []
    else:
        page = (await bob.get(f"/rooms/{code}/{id}")).page
        assert page.one("#unread button").words == "Mark unread"
    assert his.reading.due == {}


async def test_nothing_higher_is_told_while_something_is_marked_as_unread(
    code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading(his.store)

    async def write(original: Callable[[], Awaitable[None]], *_: object) -> None:
        assert reading.take_risen() == {(code, 2): 3}
        await original()

    calls.intercept(monkeypatch, his.store, read_positions.set_back, write)
    reading.note(code, 2, 9)
    await reading.set_back(code, 2, 3)
    assert reading.due == {(code, 2): 3}


async def test_what_cannot_be_stored_stays_due(
    code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.live.reading.MOST", 2)
    reading = Reading(his.store)
    with monkeypatch.context() as broken:
        failure = AsyncMock(side_effect=Unavailable("away"))
        calls.intercept(broken, his.store, read_positions.save, failure)
        for seat in (1, 2, 3):
            reading.note(code, seat, 5)
        await reading.save()
        reading.note(code, 1, 4)
        reading.note(code, 2, 6)
    assert reading.due == {(code, 1): 5, (code, 2): 6}
    await reading.save()
    assert reading.due == {}


async def test_what_is_due_is_stored_when_the_server_ends(
    bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[object] = []

    async def save(original: Callable[[], Awaitable[None]], rows: object) -> None:
        await original()
        stored.append(rows)

    calls.intercept(monkeypatch, his.store, read_positions.save, save)
    his.reading.note(code, 2, 1)
    with monkeypatch.context() as open_yet:
        for part in filter(None, (his.hub.registry, his.hub.bus, his.redis, his.store)):
            open_yet.setattr(part, "close", AsyncMock())
        await close_context(his)
    assert stored == [[(code, 2, 1)]]


# The line before what is new


def line(page: Element) -> list[str]:
    """The words of the line, and the text that follows it."""
    items = page.all("li")
    places = [place for place, item in enumerate(items) if "new" in item.classes]
    return [items[place].words for place in places] + [items[place + 1].one(".text").text for place in places]


async def test_a_page_has_a_line_before_the_first_text_that_is_new(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    assert not line(await bob.look(code))
    await alice.write(code, "one", "two")
    page = await bob.look(code)
    assert line(page) == ["2 new messages", "one"]
    assert page.has("i[hx-trigger=load]")  # which brings it into view
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    assert not line(await bob.look(code))
    assert not line(await alice.look(code))


async def test_own_texts_notices_and_deleted_ones_are_not_new(
    alice: Person, bob: Person, client: Person, code: str
) -> None:
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await alice.write(code, "deleted")
    await bob.post(f"/rooms/{code}/name", {"name": "Robert"})  # a notice
    await bob.write(code, "mine")
    gone = ids(await alice.look(code))[-2]
    assert (await alice.post(f"/rooms/{code}/{gone}/delete")).status == 303
    assert not line(await bob.look(code))
    await alice.write(code, "new")
    assert line(await bob.look(code)) == ["1 new message", "new"]


async def test_what_is_new_before_the_page_is_one_link_away(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(70)))
    page = await bob.look(code)
    assert line(page) == ["New messages Go to the first Mark as read", "m20"]
    first = await bob.get(page.one("li.new a")["href"])
    assert texts(first.page) == [f"m{n}" for n in range(50)]


async def test_without_javascript_the_line_is_in_the_live_page(alice: Person, bob: Person, code: str) -> None:
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await alice.write(code, "one", "two")
    room = (await bob.get(f"/rooms/{code}", **NAVIGATION)).page  # which counts as read from now on
    address = room.one("noscript iframe")["src"]
    async with streaming(bob, address.partition("#")[0]) as stream:
        start = await read_until(stream, 'id="new"')
        assert "2 new messages" in start
        one = ids(await bob.look(code))[-2]
        assert f'<slot name="new"></slot><slot name="{one}"></slot>' in start
        assert '<a href="#new" target="_self">2 new messages</a>' in start
    assert (await bob.look(code)).one("noscript iframe")["src"] == f"/rooms/{code}/stream"


async def test_a_page_of_the_past_and_one_after_a_fault_have_no_line(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await alice.write(code, "one", "two")
    for page in (
        await bob.look(code, "?before=99"),
        await bob.look(code, "?after=1"),
        (await bob.post(f"/rooms/{code}/messages", {"body": " ", "key": "k"})).page,
    ):
        assert not line(page)
    assert line(await bob.look(code))


# The title and the icon of a window without focus


async def told(live: Live, chat: Context) -> str:
    """What the title of the page is made, once it is told."""
    before = len(live.frames)
    await chat.unread_titles.tick()
    while not (titles := [title for frame in live.frames[before:] for title in frame.all("title")]):
        await live.frame()
    return titles[-1].words


async def is_told_nothing(live: Live, chat: Context) -> bool:
    before = len(live.frames)
    await chat.unread_titles.tick()
    while not live.quiet:
        await live.frame()
    return not [frame for frame in live.frames[before:] if frame.has("title")]


async def test_the_title_of_a_window_without_focus_counts_what_is_new(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    name = (await bob.look(code)).one("title").words
    async with bob.in_room(code) as live:
        assert await is_told_nothing(live, his)
        await say(alice, code, live, "one")
        assert await told(live, his) == f"(1) {name}"
        assert "icon-new" in live.frames[-1].one("link[rel=icon]")["href"]
        assert await is_told_nothing(live, his)
        await say(alice, code, live, "two")
        assert await told(live, his) == f"(2) {name}"
        await live.send(k="focus")
        await live.until("title")
        assert live.frames[-1].one("title").words == name
        assert "icon-new" not in live.frames[-1].one("link[rel=icon]")["href"]
        await say(alice, code, live, "three")
        assert await is_told_nothing(live, his)
        await live.send(k="blur")
        await until(lambda: not focused(his))
        assert await is_told_nothing(live, his)
        await say(alice, code, live, "four")
        assert await told(live, his) == f"(1) {name}"


async def test_own_and_deleted_texts_are_in_no_title(
    alice: Person, bob: Person, code: str, his: Context
) -> None:
    async with bob.in_room(code) as live:
        await bob.write(code, "mine")
        await live.until("li .text", "mine")
        assert await is_told_nothing(live, his)
        await say(alice, code, live, "one")
        await say(alice, code, live, "two")
        assert (await told(live, his)).startswith("(2) ")
        id = ids(await alice.look(code))[-1]
        assert (await alice.post(f"/rooms/{code}/{id}/delete")).status == 303
        await live.until(".gone")
        assert (await told(live, his)).startswith("(1) ")
        await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})
        await live.until("h1", "Regatta")
        assert live.frames[-1].all("title")[-1].words == "(1) Regatta · Room chat"


async def test_what_is_read_on_one_device_is_read_on_the_others(
    alice: Person, bob: Person, code: str, chats: list[Context], apps: list[Quart]
) -> None:
    phone = bob.at(apps[0])
    async with bob.in_room(code) as live, phone.in_room(code) as pocket:
        await say(alice, code, live, "one")
        await pocket.until("li .text", "one")
        assert (await told(pocket, chats[0])).startswith("(1) ")
        if chats[0] is not chats[-1]:
            assert (await told(live, chats[-1])).startswith("(1) ")
        await live.send(k="focus")
        await until(lambda: focused(chats[-1]))
        await chats[-1].unread_titles.tick()
        async with asyncio.timeout(5):
            while pocket.frames[-1].all("title")[:1] == [] or "(1)" in pocket.frames[-1].one("title").words:
                await chats[0].unread_titles.tick()
                if pocket.quiet:
                    await asyncio.sleep(0.02)
                else:
                    await pocket.frame()


async def test_a_window_is_told_again_when_the_store_is_back(
    alice: Person, bob: Person, code: str, his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bob.in_room(code) as live:
        await say(alice, code, live, "one")
        with monkeypatch.context() as broken:
            calls.intercept(
                broken, his.store, unread_texts.said_last, AsyncMock(side_effect=Unavailable("away"))
            )
            assert await is_told_nothing(live, his)
        assert (await told(live, his)).startswith("(1) ")


class Page:
    """What the titles know of a connection."""

    def __init__(self, code: str, seat: int) -> None:
        self.asked = 0
        self.shown: list[str] = []  # in its title
        self.lines: list[str] = []
        self.cursor = 10**6
        self.idle = True
        self.look = None
        self._member = Member(code, seat, f"p{seat}", "Ann", 1)

    @property
    def member(self) -> Member:
        self.asked += 1
        return self._member

    def write_now(self, frame: bytes) -> bool:
        return False

    def show(self, slot: str, html: str) -> None:
        (self.lines if slot == "new" else self.shown).append(html)


class FakeFeed:
    """All that was said in a room after rev 9."""

    def __init__(self) -> None:
        self.said: list[Message] = []

    @property
    def position(self) -> Position:
        return Position("epoch", self.said[-1].rev if self.said else 9)

    def say(self, *messages: Message) -> None:
        self.said += messages

    def since(self, cursor: int) -> Part | None:
        new = {message.id: message for message in self.said if message.rev > cursor}.values()
        changed, created = [m for m in new if m.id <= cursor], [m for m in new if m.id > cursor]
        return Part(changed, created, self.position.rev) if cursor >= 9 else None


def said(id: int, **more: Any) -> Message:
    return Message(id, more.pop("rev", id), 0, 99, "Ann", 1, "tide", **more)


class Rooms:
    """Titles of some rooms, in each of which one text was said, and a store that answers at once."""

    def __init__(self, *codes: str) -> None:
        self.feeds = {code: FakeFeed() for code in codes}
        self.asked: Callable[[str], None] = lambda code: None
        self.signs: list[Sign] = []
        # Of each room, the newest first.
        self.stored: list[unread_texts.Text] = [unread_texts.Text(7, 99, ())]
        store: Any = SimpleNamespace(read=self._read)
        bus: Any = SimpleNamespace(sign=self.signs.append)
        self.reading = Reading(store)
        feeds: Any = self.feeds
        elsewhere: Any = Mock(titles=Mock(mentions=lambda connection: 0))
        self.lines = NewLines(lambda code, first, look: f"new before {first}", lambda frames, changes: None)
        self.titles = UnreadTitles(
            *(store, self.reading, bus, feeds, lambda room, unread, look: f"({unread.texts})"),
            *(elsewhere, self.lines),
            lambda frames, changes: None,
        )

    async def _read(self, call: object, code: str, *values: object) -> object:
        self.asked(code)
        if call is unread_texts.readers_of:
            [readers] = values
            assert isinstance(readers, list)
            return {seat: unread_texts.Reader(0, frozenset([seat])) for seat in readers}
        room: Any = SimpleNamespace(code=code)
        [after] = values
        assert isinstance(after, int)
        return unread_texts.Said(room, [text for text in self.stored if text.id > after])

    def open(self, code: str, seat: int) -> Any:
        page: Any = Page(code, seat)
        self.titles.follow(page)
        return page


async def test_a_page_may_close_while_another_room_is_counted() -> None:
    """What its room lives on for is a page without scripts."""
    rooms = Rooms("first", "second", "third")
    pages = [rooms.open(code, 1) for code in rooms.feeds]
    rooms.asked = lambda code: rooms.titles.leave(pages[1])
    await rooms.titles.tick()
    assert [page.shown for page in pages] == [["(1)"], [], ["(1)"]]
    rooms.titles.follow(pages[1])
    rooms.asked = lambda code: None
    await rooms.titles.tick()
    assert pages[1].shown == ["(1)"]


async def test_those_who_came_meanwhile_are_read_of_together() -> None:
    asked: list[str] = []
    rooms = Rooms("room")
    rooms.asked = asked.append
    pages = [rooms.open("room", seat) for seat in range(100, 100 + AT_ONCE)]
    await rooms.titles.tick()
    assert all(page.shown == ["(1)"] for page in pages)
    assert len(asked) == 2, "where they have read up to, and what was said"


async def test_pages_that_say_the_same_are_rendered_once() -> None:
    rendered: list[int] = []
    rooms = Rooms("room")
    rooms.titles._render = lambda room, unread, look: rendered.append(unread.texts) or ""  # type: ignore[func-returns-value]
    pages = [rooms.open("room", seat) for seat in range(1, 6)]
    await rooms.titles.tick()
    assert [page.shown for page in pages] == [[""]] * 5
    assert rendered == [1]


async def test_what_is_in_memory_is_not_read_again() -> None:
    asked: list[str] = []
    rooms = Rooms("room")
    page = rooms.open("room", 1)
    await rooms.titles.tick()
    rooms.reading.note("room", 1, 9)
    feed = rooms.feeds["room"]
    feed.say(said(10), said(11))
    rooms.asked = asked.append
    await rooms.titles.tick()
    feed.say(said(12), said(13, meta={"mentions": (1,)}))
    await rooms.titles.tick()
    assert page.shown == ["(1)", "(2)", "(4)"]
    assert not asked
    for change in (said(10, rev=14, meta={"text_rev": 14}), said(15, kind="notice")):
        feed.say(change)
        await rooms.titles.tick()
        assert asked.pop() == "room", "it may have another title, or fewer texts"


async def test_titles_that_say_no_more_are_counted_again_for_a_mention_only() -> None:
    rooms = Rooms("room")
    page = rooms.open("room", 1)
    await rooms.titles.tick()
    rooms.reading.note("room", 1, 9)
    feed = rooms.feeds["room"]
    feed.say(*(said(id) for id in range(10, 10 + COUNTED)))
    await rooms.titles.tick()
    assert page.shown == ["(1)", f"({COUNTED})"]
    counted = Mock(wraps=rooms.titles._said.after)
    rooms.titles._said.after = counted  # type: ignore[method-assign]
    for more, count in ((said(200), 0), (said(201, meta={"mentions": (EVERYBODY,)}), 1), (said(202), 2)):
        feed.say(more)
        await rooms.titles.tick()
        assert counted.call_count == count
    page._member = replace(page.member, meta={"ignored": (99,)})
    feed.say(said(203))
    await rooms.titles.tick()
    assert page.shown[-1] == "(0)"


async def test_what_one_writes_is_not_counted_again_for_ones_own_page() -> None:
    rooms = Rooms("room")
    page = rooms.open("room", 99)
    page._member = replace(page.member, meta={"ignored": (7,)})
    await rooms.titles.tick()
    rooms.reading.note("room", 99, 9)
    feed = rooms.feeds["room"]
    feed.say(said(10))
    await rooms.titles.tick()
    counted = Mock(wraps=rooms.titles._said.after)
    rooms.titles._said.after = counted  # type: ignore[method-assign]
    feed.say(said(11), replace(said(12, meta={"mentions": (EVERYBODY,)}), author=7))
    await rooms.titles.tick()
    assert not counted.called
    assert not page.shown
    feed.say(said(13), replace(said(14), author=8))
    await rooms.titles.tick()
    assert page.shown == ["(1)"]
    rooms.titles.focus(page)
    rooms.titles.blur(page)
    feed.say(said(15))
    await rooms.titles.tick()
    assert page.shown == ["(1)", "(0)", "(1)"], "it was taken from the title, and is not read yet"


async def test_everybody_else_has_a_turn_while_many_pages_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat.live.unread.SLICE", 0.0)
    rooms = Rooms("first", "second")
    pages = [rooms.open(code, seat) for code in rooms.feeds for seat in range(1, 51)]
    counting, turns = asyncio.create_task(rooms.titles.tick()), 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert all(page.shown == ["(1)"] for page in pages)
    assert turns > len(pages)


async def test_where_many_rooms_talk_they_are_told_in_turn_and_what_was_read_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat.live.unread.SLICE", -1.0)
    monkeypatch.setattr("chat.live.unread.SPENT", 0.0)
    rooms = Rooms("first", "second", "third")
    pages = [rooms.open(code, 1) for code in rooms.feeds]
    for told in (1, 2, 3):
        await rooms.titles.tick()
        assert [page.shown for page in pages] == [["(1)"]] * told + [[]] * (3 - told)
    rooms.stored.insert(0, unread_texts.Text(8, 99, ()))
    for feed in rooms.feeds.values():
        feed.say(said(10), said(10, rev=11, meta={"text_rev": 11}))
    rooms.reading.note("third", 1, 10)
    for counts in ([1, 1, 2], [2, 1, 2], [2, 2, 2]):
        await rooms.titles.tick()
        assert [len(page.shown) for page in pages] == counts


async def test_what_came_while_a_page_had_the_focus_is_counted_unless_it_was_read() -> None:
    rooms = Rooms("room")
    page, feed = rooms.open("room", 1), rooms.feeds["room"]
    await rooms.titles.tick()
    rooms.reading.note("room", 1, 9)
    await rooms.titles.tick()
    rooms.titles.focus(page)
    feed.say(said(10))
    await rooms.titles.tick()
    rooms.titles.blur(page)
    feed.say(said(11))
    await rooms.titles.tick()
    assert page.shown == ["(1)", "(0)", "(2)"]


async def test_what_is_marked_as_unread_while_pages_are_counted_is_counted_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat.live.unread.SLICE", 0.0)
    rooms = Rooms("room")
    _, page = (rooms.open("room", seat) for seat in (1, 2))
    feed = rooms.feeds["room"]
    await rooms.titles.tick()
    feed.say(said(10), said(11))
    for seat in (1, 2):
        rooms.reading.note("room", seat, 11)
    await rooms.titles.tick()
    feed.say(said(12, kind="notice"), said(13))
    counting, after = asyncio.create_task(rooms.titles.tick()), AsyncMock(wraps=rooms.titles._said.after)
    rooms.titles._said.after = after  # type: ignore[method-assign]
    while not after.called:
        await asyncio.sleep(0)
    rooms.titles.set_back("room", 2, 9)
    await counting
    feed.say(said(14))
    await rooms.titles.tick()
    assert page.shown[-1] == "(4)"


@pytest.mark.parametrize("seed", range(20))
async def test_titles_say_what_one_finds_who_counts_from_the_start(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is said, read, deleted, looked at or ignored while they are counted."""
    monkeypatch.setattr("chat.live.unread.SLICE", 0.0)  # everybody has a turn after each page
    chance, rooms = random.Random(seed), Rooms("room")
    feed, pages = rooms.feeds["room"], [rooms.open("room", seat) for seat in (1, 2, 3, 8)]
    newest = 9

    def say(times: int = 1) -> None:
        for _ in range(times):
            say_one()

    def say_one(code: str = "") -> None:
        nonlocal newest
        newest += 1
        mentioned = chance.choice([(), (), (), (2,), (EVERYBODY,)])
        message = replace(said(newest, meta={"mentions": mentioned}), author=chance.choice([99, 99, 2, 8]))
        rooms.stored.insert(0, unread_texts.Text(newest, message.author or 0, mentioned))
        feed.say(message)

    def delete() -> None:
        nonlocal newest
        newest += 1
        known = [one for one in feed.said if one.body is not None][-20:]
        for gone in known and [chance.choice(known)]:
            rooms.stored = [text for text in rooms.stored if text.id != gone.id]
            feed.said = [one for one in feed.said if one.id != gone.id]
            feed.say(replace(gone, rev=newest, body=None))

    def change() -> None:
        page, ignored = chance.choice(pages), chance.choice([(), (99,), (2, 8)])
        acts: dict[str, Callable[[], object]] = {
            "say": say,
            "say much": lambda: say(chance.randrange(60)),
            "delete": delete,
            "focus": lambda: rooms.titles.focus(page),
            "blur": lambda: rooms.titles.blur(page),
            "ignore": lambda: setattr(page, "_member", replace(page.member, meta={"ignored": ignored})),
            "read": lambda: rooms.reading.note("room", page.member.number, chance.randrange(newest) + 1),
            "set back": lambda: set_back("room"),
            "open": lambda: pages.append(rooms.open("room", chance.choice([1, 2]))) if len(pages) < 9 else 0,
        }
        acts[chance.choice(["say"] * 4 + [*acts])]()

    def set_back(code: str) -> None:
        rooms.titles.set_back(code, chance.choice(pages).member.number, chance.randrange(newest))

    def check(page: Any) -> None:
        hidden, called = {page.member.number, *page.member.ignored}, {EVERYBODY, page.member.number}
        read = rooms.titles.read_up_to(page) or 0
        new = [text for text in rooms.stored if text.id > read and text.author not in hidden][:COUNTED]
        mentions = sum(not called.isdisjoint(text.mentions) for text in new)
        assert rooms.titles._rooms["room"][page].shown[0] == Unread(len(new), mentions)
        assert (page.shown or ["(0)"])[-1] == f"({len(new)})"

    for _ in range(60):
        rooms.asked = chance.choice([lambda code: None, say_one, set_back])
        tick = asyncio.create_task(rooms.titles.tick())
        while not tick.done():
            if chance.random() < 0.2:
                change()
            await asyncio.sleep(0)
        rooms.asked = lambda code: None
        say()
        await rooms.titles.tick()
        for page in pages:
            if not rooms.titles._rooms["room"][page].has_focus:
                check(page)


async def test_the_line_waits_until_its_message_is_on_the_page() -> None:
    """A frame looks up what it changes before it appends anything."""
    rooms = Rooms("room")
    page = rooms.open("room", 1)
    for page.idle, page.cursor in ((True, 6), (False, 7)):
        await rooms.titles.tick()
        assert not page.lines
    page.idle = True
    for _ in range(2):
        await rooms.titles.tick()
        assert page.lines == ["new before 7"]


async def test_who_comes_back_to_very_much_is_shown_the_line_again() -> None:
    """It may have gone with the oldest messages of the page."""
    rooms = Rooms("room")
    page = rooms.open("room", 1)
    await rooms.titles.tick()
    rooms.titles.focus(page)
    rooms.titles.blur(page)
    rooms.reading.note("room", 1, 9)
    rooms.feeds["room"].say(*(said(id) for id in range(10, 10 + COUNTED)))
    await rooms.titles.tick()
    assert (page.shown[-1], page.lines) == (f"({COUNTED})", ["new before 7", "new before 10"])
    rooms.titles.focus(page)
    assert page.lines[2:] == ["new before 10"]


async def test_a_fault_in_one_room_does_not_end_the_titles_of_the_others() -> None:
    rooms = Rooms("first", "second")
    pages = [rooms.open(code, 1) for code in rooms.feeds]

    def fail(code: str) -> None:
        if code == "first":
            raise RuntimeError("unexpected")

    rooms.asked = fail
    await rooms.titles.tick()
    assert [page.shown for page in pages] == [[], ["(1)"]]


async def test_who_reads_costs_no_look_at_everybody_elses_page() -> None:
    rooms = Rooms("busy")
    pages = [rooms.open("busy", seat) for seat in range(1, 401)]
    rooms.titles.focus(pages[0])
    for _ in range(5):  # each learns some
        rooms.titles._counted.clear()
        await rooms.titles.tick()
    before = sum(page.asked for page in pages)
    for seat in range(1, 401):
        rooms.reading.note("busy", seat, 8)
    rooms.feeds.clear()
    await rooms.titles.tick()
    assert sum(page.asked for page in pages) - before < 10 * len(pages)


async def test_readers_of_a_room_share_the_signs_to_other_nodes() -> None:
    here, there = Rooms("busy"), Rooms("busy")
    pages = {seat: there.open("busy", seat) for seat in (1, 2, 300, 1000)}
    await there.titles.tick()
    for seat in range(1, 1000):
        here.reading.note("busy", seat, 8)
    await here.titles.tick()
    assert len(here.signs) < 10
    for sign in here.signs:
        assert len(sign.label) <= LABEL
        there.titles.hear(sign)
    await there.titles.tick()
    assert [page.shown[-1] for page in pages.values()] == ["(0)", "(0)", "(0)", "(1)"]


async def test_signs_of_reading_leave_room_for_others() -> None:
    rooms = Rooms("busy")
    for seat in range(1, 1000):
        rooms.reading.note("busy", seat, seat)
    await rooms.titles.tick()
    assert len(rooms.signs) == SIGNS


@pytest.mark.parametrize("label", ["", "7", "x 1", "7 g", "7  1", "9" * 20 + " 1", "7 " + "f" * 41, "٧ 1"])
async def test_a_sign_of_another_kind_says_nothing(label: str) -> None:
    rooms = Rooms("busy")
    page = rooms.open("busy", 1)
    await rooms.titles.tick()
    rooms.titles.hear(Sign("read", "busy", 0, label))
    await rooms.titles.tick()
    assert page.shown == ["(1)"]


async def test_who_takes_another_name_has_read_what_they_had_read(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    await alice.write(code, "one", "two", "three")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    assert (await bob.post(f"/rooms/{code}/name", {"name": "Robert"})).status == 303
    for chat in chats:
        await chat.reading.save()
    assert await unread(bob) == ""


def test_many_mentions_are_counted_alike_for_the_eye_and_the_ear(chat: Context) -> None:
    room = Mock(code="BBBB", title="")
    html = chat.render.home.badge([Mock(room=room, unread=100, mentions=100)], Look(), "AAAA")
    assert parse(html).words == "@99+ 99+ texts mention you, 99+ unread"
