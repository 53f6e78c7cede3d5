"""Who finds more that is new than a page shows keeps their place until they have read it, or say so."""

from __future__ import annotations

import asyncio

import pytest
from dom import Element
from people import Live, Person, seconds_until, texts, until
from quart import Quart
from streams import read_until, streaming

from chat.context import Context

from .test_unread import NAVIGATION, focused, line, say, told, unread

MANY = 121
LINE = ["New messages Go to the first Mark as read", "m71"]


@pytest.fixture
def his(chats: list[Context]) -> Context:
    """What Bob's node works with."""
    return chats[-1]


@pytest.fixture
async def many(alice: Person, bob: Person, code: str, chat: Context) -> None:
    """Texts of Alice's that are new to Bob, of which the first mentions him, after one that he has read."""
    await alice.write(code, "old")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await alice.write(code, "@Bob m0")
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(1, MANY)))


async def visit(person: Person, code: str) -> list[str]:
    return line((await person.get(f"/rooms/{code}", **NAVIGATION)).page)


async def test_to_look_at_the_newest_page_reads_nothing(bob: Person, code: str, many: None) -> None:
    assert await visit(bob, code) == LINE
    assert await visit(bob, code) == LINE
    assert await unread(bob) == "@1 1 text mentions you, 99+ unread"


async def test_nor_does_a_page_that_is_open_whatever_its_window_does(
    alice: Person, bob: Person, code: str, many: None, his: Context
) -> None:
    page = (await bob.get(f"/rooms/{code}", **NAVIGATION)).page
    behind = page.one("#behind")
    assert "#behind" in page.one("#resume")["hx-include"]
    for sent in ({"focus": "1"}, {}):
        async with bob.live(code) as live:
            await live.send(k="focus")  # a page says so as soon as it is open
            await until(lambda: focused(his))
            await live.resume(page, behind=behind.value, new=page.one("#new data").value, **sent)
            await live.send(k="focus")
            await watched(his, code)
            assert (await told(live, his)).startswith("(99+) ")
            await live.send(k="typing")
            await say(alice, code, live, "and another one")
            his.unread_marks.tick()
            await live.send(k="blur")
            await until(lambda: not his.reading._watched)
            await live.send(k="focus")
            await until(lambda: his.reading._watched)
            assert not focused(his)
        await until(lambda: not his.reading._watched)
    assert not his.unread_marks._behind
    assert await unread(bob) == "@1 1 text mentions you, 99+ unread"


async def watched(chat: Context, code: str) -> None:
    """Wait until the page of Bob follows the room, and nothing on it is read."""
    await until(lambda: chat.reading._watched and chat.unread_titles.pages_of(code, 2))


async def open_behind(person: Person, code: str, live: Live) -> None:
    page = (await person.get(f"/rooms/{code}", **NAVIGATION)).page
    await live.resume(page, behind=page.one("#behind").value, new=page.one("#new data").value)
    await live.send(k="focus")


async def is_read(chats: list[Context], his: Context) -> None:
    """A page that has the focus is read again."""

    async def second() -> None:
        for chat in chats:
            await chat.unread_titles.tick()
        his.unread_marks.tick()

    await seconds_until(lambda: focused(his), second)


async def test_who_goes_through_all_of_it_has_read_it_page_by_page(
    alice: Person, bob: Person, code: str, many: None, his: Context, chats: list[Context]
) -> None:
    async with bob.live(code) as live:
        await open_behind(bob, code, live)
        page = await bob.look(code)
        address, seen = page.one("li.new a")["href"], []
        for left in ("71 unread", "21 unread"):
            page = (await bob.get(address, **NAVIGATION)).page
            seen += texts(page)
            assert await unread(bob) == left
            assert not focused(his)
            address = page.one("#later a")["href"]
        assert seen == ["@Bob m0", *(f"m{n}" for n in range(1, 100))]
        await is_read(chats, his)
        assert await unread(bob) == ""
        await say(alice, code, live, "new")
        assert await unread(bob) == ""


async def test_a_page_of_the_past_that_is_somewhere_else_or_fetched_ahead_reads_nothing(
    bob: Person, code: str, many: None
) -> None:
    first = (await bob.look(code)).one("li.new a")["href"]
    await bob.get(first, sec_fetch_mode="cors")
    await bob.get(first, **NAVIGATION, sec_purpose="prefetch")
    for query in ("?after=40", "?before=40", "?after=99999"):
        await bob.get(f"/rooms/{code}{query}", **NAVIGATION)
    assert await visit(bob, code) == LINE


async def test_the_button_says_that_all_of_it_is_read(
    bob: Person, code: str, many: None, his: Context, chats: list[Context], apps: list[Quart]
) -> None:
    async with bob.live(code) as live:
        await open_behind(bob, code, live)
        phone = bob.at(apps[0])
        page = (await phone.get(f"/rooms/{code}", **NAVIGATION)).page
        assert page.one("li.new button")["form"] == "read"
        form = page.one("#read")
        fields = {field["name"]: field["value"] for field in form.all("input")}
        reply = await phone.post(form["action"], fields)
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
        assert await unread(bob) == ""
        assert await visit(bob, code) == []
        await is_read(chats, his)


async def test_who_writes_has_read_all_of_it(
    bob: Person, code: str, many: None, his: Context, chats: list[Context]
) -> None:
    async with bob.live(code) as live:
        await open_behind(bob, code, live)
        await bob.write(code, "mine")
        await is_read(chats, his)
    assert await visit(bob, code) == []


async def test_who_scrolls_back_past_all_of_it_has_read_it(
    bob: Person, code: str, many: None, his: Context, chats: list[Context], apps: list[Quart]
) -> None:
    """A page that opens at its top asks for what is before that by itself, of whatever node."""
    async with bob.live(code) as live:
        await open_behind(bob, code, live)
        await watched(his, code)
        await told(live, his)
        page = await bob.look(code)
        assert page.one("#older a")["hx-include"] == "#behind"
        known, top = read_on(page), page.one("#behind").value
        on_the_way = (f"before={n}&behind={top}" for n in (int(top), int(top) - 50))
        for query in (*on_the_way, f"before={known}"):
            await bob.at(apps[0]).get(f"/rooms/{code}/earlier?{query}", hx_request="true")
            his.unread_marks.tick()
            assert not focused(his)
        await bob.at(apps[0]).get(f"/rooms/{code}/earlier?before={known}&behind={top}", hx_request="true")
        await is_read(chats, his)
        assert await unread(bob) == ""


async def test_who_follows_a_link_that_somebody_made_has_read_nothing_by_that(
    bob: Person, code: str, many: None
) -> None:
    await bob.get(f"/rooms/{code}/earlier?before=1&behind=999999999", **NAVIGATION)
    assert await visit(bob, code) == LINE


async def test_the_start_of_the_room_says_by_itself_that_it_is_seen(
    alice: Person, bob: Person, code: str, chat: Context, his: Context, chats: list[Context]
) -> None:
    await alice.write(code, "old")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(80)))
    async with bob.live(code) as live:
        await open_behind(bob, code, live)
        await watched(his, code)
        await told(live, his)
        page = await bob.look(code)
        behind = f"&behind={page.one('#behind').value}"
        part = (await bob.get(page.one("#older a")["hx-get"] + behind, hx_request="true")).page
        assert texts(part)[0] == "old"
        assert await unread(bob) == "80 unread"
        start = part.one("#older")
        assert (start["hx-trigger"], start["hx-include"]) == ("intersect once root:#scroll", "#behind")
        part = (await bob.get(start["hx-get"] + behind, hx_request="true")).page
        assert not texts(part)
        assert "hx-get" not in part.one("#older")
        await is_read(chats, his)
        assert await unread(bob) == ""
    assert "hx-get" not in (await bob.get(f"/rooms/{code}/earlier?before=40")).page.one("#older")


async def test_who_scrolls_back_on_one_page_has_not_read_what_it_does_not_show(
    alice: Person, bob: Person, code: str, many: None, his: Context, chats: list[Context], chat: Context
) -> None:
    page = await bob.look(code)
    known, top = read_on(page), page.one("#behind").value
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(MANY, MANY + 60)))
    async with bob.live(code) as live:  # a page that begins later
        await open_behind(bob, code, live)
        await watched(his, code)
        await told(live, his)
        await bob.get(f"/rooms/{code}/earlier?before={known}&behind={top}", hx_request="true")
        for node in chats:
            await node.unread_titles.tick()
        his.unread_marks.tick()
        assert not focused(his)
    assert await visit(bob, code) == ["New messages Go to the first Mark as read", "m131"]
    assert (await bob.look(code)).one("li.new a")["href"].endswith(f"={int(top) - 1}")


def read_on(page: Element) -> int:
    """The last message that the reader of a page has read."""
    return int(page.one("li.new a")["href"].rpartition("=")[2])


async def test_if_nothing_older_is_new_after_all_the_page_is_read(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    """What a page begins with may follow a change, which is nothing new."""
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await bob.post(f"/rooms/{code}/title", {"title": "Regatta"})
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(50)))
    assert await visit(bob, code) == ["50 new messages", "m0"]
    assert await visit(bob, code) == []


async def test_without_javascript_it_is_the_same(bob: Person, code: str, many: None) -> None:
    room = (await bob.get(f"/rooms/{code}", **NAVIGATION)).page
    address = room.one("noscript iframe")["src"].partition("#")[0]
    for _ in range(2):
        async with streaming(bob, address) as stream:
            start = await read_until(stream, 'id="new"')
            assert "Mark as read" in start
            assert f'<form id="read" hidden method="post" action="/rooms/{code}/read">' in start
    assert await visit(bob, code) == LINE
    await bob.post(f"/rooms/{code}/read", {"id": "9" * 15})
    async with streaming(bob, address) as stream:
        assert "New messages" in await read_until(stream, "m120")
        assert await unread(bob) == ""
