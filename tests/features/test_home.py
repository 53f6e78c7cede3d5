"""Home: the rooms of a person who comes back, and the form of everybody."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, Turn, notices

from chat import limits
from chat.context import Context
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.rooms import Room
from chat.store import Unavailable
from chat.store.my_rooms import COUNTED, Home, MyRoom, home_of
from chat.views.look import LOOK
from chat.views.renderer import Renderer
from chat.views.times import when
from chat.web import requests

DAY = 24 * 3600 * 1000
NOON = 1_795_780_800_000  # Friday, 27 November 2026, 12:00 UTC


async def listed(person: Person) -> list[Element]:
    """The rooms at home, in their order."""
    return (await person.get("/")).page.all("#rooms li")


async def room(person: Person) -> Element:
    (only,) = await listed(person)
    return only


async def test_a_first_visit_asks_for_a_name_and_shows_no_list(client: Person) -> None:
    page = (await client.get("/")).page
    assert not page.has("#rooms")
    assert not page.has("script")
    name = page.one("#name")
    assert (name.value, "autofocus" in name) == ("", True)
    assert page.one(".slogan").words == "Talk in a minute."
    assert [button.words for button in page.all("form button")] == ["Go", "Create a Room", "Join a Room"]


async def test_home_lists_my_rooms_and_knows_my_name(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "  Tide table\nfor everybody ")
    mine = await room(alice)
    assert mine.one("a")["href"] == f"/rooms/{code}"
    assert mine.one("b").words == f"Room {code[:4]}-{code[4:8]}-{code[8:]}"
    assert mine.one(".last").words == "Bob: Tide table for everybody"
    assert mine.one(".badge").words == "1 unread"
    assert mine.one("time").words
    assert (await alice.get("/")).page.one("#name").value == "Alice"
    assert (await room(bob)).one(".last").words == "You: Tide table for everybody"
    await alice.post(f"/rooms/{code}/title", {"title": "Saturday regatta"})
    mine = await room(bob)
    assert (mine.one("b").words, mine.one(".tile").words) == ("Saturday regatta", "SR")


async def test_a_page_of_a_room_can_ask_how_much_is_unread_in_the_others(
    alice: Person, bob: Person, code: str
) -> None:
    async def badge(beside: str) -> Element:
        reply = await alice.get(f"/rooms?badge={beside}", hx_request="true")
        return reply.page.one("#elsewhere")

    other = await alice.create()
    await bob.join(other, "Bob")
    assert not (await badge(other)).has(".badge")
    await bob.write(code, "one")
    await bob.write(code, "two")
    assert (await badge(other)).one(".badge").words == "2 unread"
    assert (await badge(other)).one("[hx-get]")["hx-get"] == f"/rooms?badge={other}"
    await bob.write(other, "three")
    assert (await badge(other)).one(".badge").words == "2 unread"
    assert (await badge("")).one(".badge").words == "3 unread"


async def test_the_room_in_which_something_was_said_last_comes_first(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await turn(1)
    other = await alice.create()
    await bob.join(other, "Bobby")
    links = [mine.one("a")["href"] for mine in await listed(bob)]
    assert links == [f"/rooms/{other}", f"/rooms/{code}"]
    assert (await bob.get("/")).page.one("#name").value == "Bobby"
    await turn(1)
    await alice.write(code, "here")
    assert [mine.one("a")["href"] for mine in await listed(bob)] == links[::-1]


async def test_a_dot_says_that_somebody_else_is_there(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    async with bob.in_room(code):
        await turn()
        await turn(1)
        mine = await room(alice)
        assert mine.has(".live")
        assert "Somebody is there" in mine.words
        assert not (await room(bob)).has(".live")
    await turn(11)
    await turn(1)
    assert not (await room(alice)).has(".live")


async def test_only_rooms_where_one_has_a_seat_are_listed(alice: Person, bob: Person, code: str) -> None:
    assert len(await listed(bob)) == 1
    await bob.post(f"/rooms/{code}/leave")
    page = (await bob.get("/")).page
    assert not page.has("#rooms")
    assert page.one("#name").value == "Bob"
    await bob.join(code)
    assert len(await listed(bob)) == 1
    await bob.post("/logout")
    page = (await bob.get("/")).page
    assert (page.has("#rooms"), page.one("#name").value) == (False, "")


async def test_before_anybody_writes_the_list_says_what_else_happened(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    assert (await room(alice)).one(".last").words == "Nobody has written yet"
    await bob.post(f"/rooms/{code}/leave")
    assert (await room(alice)).one(".last").words == notices(await alice.look(code))[-1]


async def test_what_is_shown_of_a_room_is_text(alice: Person, bob: Person, code: str) -> None:
    await alice.post(f"/rooms/{code}/title", {"title": "<b>&"})
    await alice.write(code, "<script>alert(1)</script>" + "x" * 500)
    mine = await room(bob)
    assert (mine.one("b").words, mine.has("script")) == ("<b>&", False)
    line = mine.one(".last").words
    assert line.startswith("Alice: <script>alert(1)</script>xxx")
    assert len(line) < 120


async def test_a_title_too_long_for_the_list_loses_its_end_in_every_script(alice: Person, code: str) -> None:
    """Cut off in the direction of the page, an Arabic title would lose its start."""
    await alice.post(f"/rooms/{code}/title", {"title": "مرحبا"})
    assert (await room(alice)).one("b")["dir"] == "auto"


async def test_enter_joins_if_there_is_a_code_and_else_creates(alice: Person, bob: Person, code: str) -> None:
    first = (await alice.get("/")).page.all("form[action=/] button")[0]
    assert first["name"] == "go"
    reply = await bob.post("/", {"name": "Bob", "title": "A walk", "code": " ", "go": "1"})
    made = reply.headers["Location"]
    assert reply.status == 303
    assert made != f"/rooms/{code}"
    assert (await bob.get(made)).page.one("#title").words == "A walk"
    carol = Person(alice.app, "Carol")
    reply = await carol.post("/", {"name": "Carol", "title": "", "code": code.lower(), "go": "1"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
    reply = await carol.post("/", {"name": "", "code": "", "go": "1"})
    assert (reply.status, reply.page.one("#name-error").words) == (422, "Please enter a name.")
    reply = await carol.post("/", {"name": "Carol", "code": "", "join": "1"})
    assert reply.page.one("#code-error").words == "Please enter a room code."
    assert reply.page.one("#code")["autofocus"] == ""
    assert reply.page.has("#rooms")


async def test_without_the_store_home_is_shown_and_says_so(
    bob: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = AsyncMock(side_effect=Unavailable("away"))
    calls.intercept(monkeypatch, chats[-1].store, home_of, failure)
    reply = await bob.get("/")
    assert reply.status == 200
    assert "cannot be shown" in reply.page.one("[role=alert]").words
    assert reply.page.has("#name")
    assert (await bob.get("/rooms", hx_request="true")).status == 204


async def test_the_list_is_kept_current_by_asking_for_it(alice: Person, bob: Person, code: str) -> None:
    page = (await bob.get("/")).page
    trigger = page.one("i[hx-get]")
    assert (trigger["hx-get"], trigger["hx-target"]) == ("/rooms", "#rooms")
    reply = await bob.get("/rooms", hx_request="true")
    assert reply.status == 200
    assert [element.tag for element in reply.page.children if isinstance(element, Element)] == ["ul"]
    seen = reply.headers["ETag"]
    assert (await bob.get("/rooms", hx_request="true", if_none_match=seen)).status == 304
    await alice.write(code, "new")
    reply = await bob.get("/rooms", hx_request="true", if_none_match=seen)
    assert reply.page.one("#rooms .badge").words == "1 unread"


async def test_the_list_is_no_page_of_its_own(bob: Person, client: Person, code: str) -> None:
    assert (await bob.get("/rooms")).headers["Location"] == "/"
    assert (await client.get("/rooms", hx_request="true")).status == 204


@pytest.mark.parametrize("way", ["/logout", "/rooms/CODE/leave"])
async def test_home_in_another_tab_forgets_the_rooms_when_there_are_none_left(
    bob: Person, code: str, way: str
) -> None:
    """Else the last line of each would stay there for the next person at the computer."""
    trigger = (await bob.get("/")).page.one("i[hx-get]")
    await bob.post(way.replace("CODE", code))
    reply = await bob.get(trigger["hx-get"], hx_request="true")
    assert (reply.status, reply.headers["HX-Refresh"]) == (204, "true")
    for beside in ("rail", "beside"):  # a room says itself that its seat ended
        reply = await bob.get(f"/rooms?{beside}={code}", hx_request="true")
        assert (reply.status, "HX-Refresh" in reply.headers) == (204, False)


@pytest.mark.parametrize("path", ["/", "/join?code="])
async def test_a_form_that_comes_back_asks_for_no_more_lists_than_the_page_itself(
    bob: Person, code: str, chats: list[Context], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is the dearest question of all, and this one has no other rate."""
    asked = []

    async def count(original: Callable[[], Awaitable[Home]], person: str) -> Home:
        asked.append(person)
        return await original()

    calls.intercept(monkeypatch, chats[-1].store, home_of, count)
    while (await bob.get("/")).status == 200:
        pass
    asked.clear()
    reply = await (bob.get(path) if "?" in path else bob.post(path, {"name": "", "title": "Regatta"}))
    assert (reply.status, asked) == (422, [])
    assert any("cannot be shown" in alert.words for alert in reply.page.all("[role=alert]"))
    assert reply.page.one("#title").value == ("Regatta" if path == "/" else "")


async def test_asking_for_the_list_has_a_rate_of_its_own(bob: Person, code: str) -> None:
    replies = [await bob.get("/rooms", hx_request="true") for _ in range(limits.LISTS.burst + 1)]
    assert [reply.status for reply in replies] == [200] * limits.LISTS.burst + [429]
    assert (await bob.get("/")).status == 200


@pytest.mark.parametrize("path", ["/", "/rooms"])
async def test_many_rooms_count_as_several_pages_or_lists_at_their_address(
    bob: Person, code: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody wrote in fifty rooms of their own takes ten times what it takes in five."""
    monkeypatch.setattr(requests, "ROOMS_OF_A_LIST", 2)
    for _ in range(3):
        await bob.create()
    chat = bob.app.extensions["chat"]
    now = time.monotonic()
    monkeypatch.setattr(chat.own_limits, "_now", lambda: now)  # nothing is given back meanwhile
    rate = limits.PAGES_OF_ADDRESS if path == "/" else limits.LISTS_OF_ADDRESS
    while chat.own_limits.take(rate, "192.0.2.1", count=4) == 0:
        pass
    chat.own_limits.give_back(rate, "192.0.2.1", count=4)
    statuses = [(await bob.get(path, hx_request="true")).status for _ in range(3)]
    assert statuses == [200, 200, 429]  # 3 each, of which 2 may go beyond


def test_many_unread_messages_are_not_counted_to_the_last(compiled: tuple[object, Renderer]) -> None:
    somebody = Member("CODE", 1, "person", "Ann", 1)
    message = Message(9, 9, NOON, 2, "Bob", 1, None)
    for unread, shown in [(COUNTED - 1, "99"), (COUNTED, "99+")]:
        mine = MyRoom(Room("BCDFGHJK", "", NOON), somebody, message, unread, 0, 0, False)
        for current in ("", "BCDFGHJK"):
            html = compiled[1].home.rooms([mine], NOON, LOOK, current=current)
            assert f'<span class="badge">{shown}<span class="vh"> unread</span>' in html


def test_beside_its_conversation_a_row_repeats_nothing_of_it(compiled: tuple[object, Renderer]) -> None:
    somebody = Member("CODE", 1, "person", "Ann", 1)
    message = Message(9, 9, NOON, 2, "Bob", 1, None)
    mine = MyRoom(Room("BCDFGHJK", "", NOON), somebody, message, 1, 0, 0, False)
    for current, is_said in [("", True), ("QQQQQQQQ", True), ("BCDFGHJK", False)]:
        html = compiled[1].home.rooms([mine], NOON, LOOK, current=current)
        assert ("Message deleted" in html, "<time" in html) == (is_said, is_said)
        assert ('aria-current="page"' in html) == (current == "BCDFGHJK")


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        (0, "12:00"),
        (1, "Thu"),
        (6, "Sat"),
        (7, "20 Nov"),
        (330, "1 Jan"),
        (331, "31 Dec 2025"),
        (-1, "28 Nov"),
    ],
)
def test_the_time_is_as_short_as_it_can_be(days: int, shown: str) -> None:
    assert when(NOON - days * DAY, NOON, LOOK) == shown
