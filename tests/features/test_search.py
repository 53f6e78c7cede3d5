"""Searching in a room, and in all rooms."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import quote

import calls
import pytest
from dom import Element
from people import FakeClock, Person, Reply, ids, until
from quart import Quart

from chat import limits
from chat.context import SEARCHES, WAITING, Context
from chat.features import search
from chat.features.search import PAGE
from chat.model.members import Member
from chat.model.rooms import Room
from chat.model.search import Query, parse_query
from chat.model.words import Piece, pieces_of
from chat.store import Unavailable
from chat.store.my_rooms import rooms_by_time
from chat.store.search import Found, search_some
from chat.turns import Turn
from chat.views.reader import COOKIE, Choices
from chat.views.search import EXCERPT, excerpt

TODAY = "2027-01-15"  # by the clock of the tests, at a quarter past eight
GONE = "BCDFGHJKBCDF"  # a room that there is not


async def ask(person: Person, code: str, text: str, more: str = "") -> Reply:
    return await person.get(f"/rooms/{code}/search?q={quote(text)}{more}")


async def hits(person: Person, code: str, text: str, more: str = "") -> list[Element]:
    reply = await ask(person, code, text, more)
    assert reply.status == 200, reply.text
    return reply.page.all("#hits li")


async def found(person: Person, code: str, text: str, more: str = "") -> list[str]:
    """The texts of the hits, in their order."""
    return [hit.one(".excerpt").words for hit in await hits(person, code, text, more)]


async def test_messages_are_found_by_their_words_the_newest_first(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "High tide at nine", "no boat today", "The TIDE was high")
    page = (await bob.get(f"/rooms/{code}/search?q=tide")).page
    newest, oldest = page.all("#hits li")
    assert newest.one(".excerpt").words == "The TIDE was high"
    assert oldest.one(".excerpt").words == "High tide at nine"
    assert newest.one("mark").text == "TIDE"
    assert newest.one("bdi").words == "Alice"
    assert newest.one("a")["href"] == f"/rooms/{code}/{newest['data-id']}"
    opened = (await bob.get(newest.one("a")["href"])).page
    assert opened.one("[aria-current=true]").id == f"message-{newest['data-id']}"
    assert page.one("input[name=q]").value == "tide"


async def test_the_room_leads_to_its_search_without_javascript(alice: Person, code: str) -> None:
    page = await alice.look(code)
    form = page.one("header form[role=search]")
    assert (form["action"], form.one("input")["name"]) == (f"/rooms/{code}/search", "q")
    assert "accesskey" in form.one("input")
    assert [link.words for link in page.all("#menu a") if link["href"] == form["action"]] == ["Search"]
    assert (await alice.get(form["action"])).page.has("form[role=search] input[autofocus]")


@pytest.mark.parametrize("text", ["C++", "AND", 'a "', "*", "NEAR(x", "-x", "x' OR 1=1 --", "%", "a:b", "\\"])
async def test_no_text_of_a_search_is_a_command(alice: Person, code: str, text: str) -> None:
    await alice.write(code, "a b c x and near", "nothing alike")
    assert (await ask(alice, code, text)).status in (200, 422)
    assert "nothing alike" not in (await ask(alice, code, text)).page.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("before:soon", "as in before:2026-11-22"),
        ("has:cake", "has:link"),
        ("from:", "right after"),
        ("in:", "title or the code"),
        ("mentions:bob", "mentions:me"),
        ("?", "letters or digits"),
        ("x" * 300, "at most 200 characters"),
        ("a " * 17, "at most 16 words"),
    ],
)
async def test_what_cannot_be_searched_for_is_said_beside_the_field(
    alice: Person, code: str, text: str, says: str
) -> None:
    reply = await ask(alice, code, text)
    assert reply.status == 422
    field = reply.page.one("input[name=q]")
    assert says in reply.page.one("[role=alert]").words
    assert reply.page.one("[role=alert]").id in field["aria-describedby"]
    assert (field.value, field["aria-invalid"]) == (text[:201], "true")


async def test_filters_stand_alone_or_with_words(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "the tide", "see https://example.org/tide")
    await bob.write(code, "my tide")
    assert await found(alice, code, "from:bob") == ["my tide"]
    assert await found(alice, code, "FROM:alice tide") == ["see https://example.org/tide", "the tide"]
    assert await found(alice, code, "has:link") == ["see https://example.org/tide"]
    assert await found(alice, code, "has:link from:bob") == []
    assert len(await found(alice, code, f"after:{TODAY}")) == 3
    assert await found(alice, code, f"before:{TODAY}") == []
    assert await found(alice, code, f"before:{TODAY} tide") == []
    assert len(await found(alice, code, "tide before:2027-01-16 after:2027-01-14")) == 3


async def test_a_name_is_found_by_its_beginning_but_first_by_the_whole(
    alice: Person, bob: Person, client: Person, code: str
) -> None:
    await bob.write(code, "of Bob")
    assert await found(alice, code, "from:bo") == ["of Bob"]
    assert await found(alice, code, "from:b") == []
    await client.join(code, "Bo")
    await client.write(code, "of Bo")
    for text in ("from:bo", "from:@bo", "from:bó"):
        assert await found(alice, code, text) == ["of Bo"], text
    assert await found(alice, code, "from:BOB") == ["of Bob"]


async def test_a_name_is_the_whole_one_of_somebody_whatever_others_look_like_it(
    app: Quart, alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "of Bob")
    for name in ("B\N{CYRILLIC SMALL LETTER O}", "Bo"):
        other = Person(app, name)
        await other.join(code)
        await other.write(code, "of another")
    assert await found(alice, code, "from:bo") == ["of another"]


async def test_me_is_the_reader_under_every_name(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "of Alice")
    await alice.post(f"/rooms/{code}/name", {"name": "Alicia"})
    await alice.write(code, "of Alicia")
    await bob.write(code, "of Bob")
    assert await found(alice, code, "from:me") == ["of Alicia", "of Alice"]
    assert await found(bob, code, "from:ME of") == ["of Bob"]
    assert await found(bob, code, 'from:"me"') == []


async def test_texts_that_mention_me_are_found_and_led_to(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "@Bob one", "nobody", "@all two", "@Alice herself")
    await bob.write(code, "@all three", "@Alice four")
    assert await found(bob, code, "mentions:me") == ["@all two", "@Bob one"]
    assert await found(alice, code, "mentions:me") == ["@Alice four", "@all three"]
    assert await found(bob, code, "mentions:me one") == ["@Bob one"]
    assert await found(bob, code, "mentions:me from:me") == []
    page = await bob.look(code)
    assert [link["href"] for link in page.all("#menu a") if link.words == "Mentions"] == [
        f"/rooms/{code}/search?q=mentions:me"
    ]
    (everywhere,) = [link for link in (await bob.get("/")).page.all("a") if link.words == "Mentions"]
    page = (await bob.get(everywhere["href"])).page
    assert [hit.one(".excerpt").words for hit in page.all("#hits li")] == ["@all two", "@Bob one"]
    assert page.one("input[name=q]").value == "mentions:me"


async def test_a_call_to_all_is_for_those_who_had_come_by_then(
    app: Quart, alice: Person, code: str, clock: FakeClock
) -> None:
    zoe = Person(app, "Zoe")
    await alice.write(code, "@all one")
    clock.pass_by(1)
    await zoe.join(code)
    assert await found(zoe, code, "mentions:me") == []
    await alice.write(code, "@all two")
    clock.pass_by(1)
    await zoe.post(f"/rooms/{code}/leave")
    await zoe.join(code, "Zoey")
    await alice.write(code, "@Zoey three", "@all four")
    assert await found(zoe, code, "mentions:me") == ["@all four", "@Zoey three", "@all two"]
    assert await found(zoe, code, "mentions:me one") == []


async def test_a_mention_that_is_edited_away_deleted_or_ignored_is_not_found(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "@Bob one", "@Bob two", "three", "@Bob four")
    first, second, third, _ = ids(await alice.look(code))
    await alice.post(f"/rooms/{code}/{first}/delete")
    await alice.post(f"/rooms/{code}/{second}/edit", {"body": "nobody"})
    await alice.post(f"/rooms/{code}/{third}/edit", {"body": "@Bob three"})
    assert await found(bob, code, "mentions:me") == ["@Bob four", "@Bob three"]
    await ignored_by(bob, code, 1)
    assert await found(bob, code, "mentions:me") == []


async def test_some_of_all_my_rooms_are_searched_by_title_or_code(alice: Person, code: str) -> None:
    club, boats = await alice.create(), await alice.create()
    await alice.post(f"/rooms/{club}/title", {"title": "Book Club"})
    await alice.post(f"/rooms/{boats}/title", {"title": "Boats"})
    for room, text in ((code, "a tide"), (club, "club tide"), (boats, "boat tide")):
        await alice.write(room, text)

    async def everywhere(text: str) -> list[str]:
        page = (await alice.get(f"/search?q={quote(text)}")).page
        return sorted(hit.one(".excerpt").words for hit in page.all("#hits li"))

    assert await everywhere("in:clu tide") == ["club tide"]
    assert await everywhere('in:"book cl"') == ["club tide"]
    assert await everywhere("IN:bo") == ["boat tide", "club tide"]
    assert await everywhere(f"in:{code.lower()} tide") == ["a tide"]
    assert await everywhere("in:boats in:book ebb") == []
    assert await everywhere("tide in:nowhere") == []
    assert "in:club" in (await alice.get("/search")).page.one("#q-hint").words
    assert "in:club" not in (await alice.get(f"/rooms/{code}/search")).page.one("#q-hint").words
    reply = await ask(alice, code, "in:boats tide")
    assert (reply.status, reply.headers["Location"]) == (303, "/search?q=in%3Aboats+tide")


async def test_every_word_may_be_the_beginning_of_one(alice: Person, code: str) -> None:
    await alice.write(code, "hello world", "he works")
    assert await found(alice, code, "wor hel") == ["hello world"]
    assert await found(alice, code, "he wor") == ["he works"], "a short one is whole"
    assert await found(alice, code, '"wor" hel') == []


async def test_a_word_with_a_colon_that_is_no_filter_is_text(alice: Person, code: str) -> None:
    await alice.write(code, "todo: buy milk", "begin:here")
    assert await found(alice, code, "todo:buy") == ["todo: buy milk"]
    assert await found(alice, code, "begin:here") == ["begin:here"]


async def test_days_are_those_of_the_reader(alice: Person, code: str) -> None:
    """At a quarter past eight in Greenwich it is the evening before in Samoa."""
    await alice.write(code, "the tide")
    for zone, day in (("Pacific/Pago_Pago", "2027-01-14"), ("Pacific/Kiritimati", TODAY)):
        alice.client.set_cookie("localhost", COOKIE, Choices(zone=zone).cookie)
        assert len(await found(alice, code, f"after:{day}")) == 1
        assert await found(alice, code, f"before:{day}") == []
    assert await found(alice, code, "after:2027-01-16") == []


async def write(chat: Context, code: str, number: int) -> None:
    """Many texts, without a rate."""
    await chat.store.append(code, 1, f"key {number}", f"tide {number}")


async def test_a_page_has_twenty_hits_and_leads_to_older_ones(
    alice: Person, code: str, chats: list[Context]
) -> None:
    for n in range(PAGE + 3):
        await write(chats[0], code, n)
    page = (await ask(alice, code, "tide")).page
    assert [hit.one(".excerpt").words for hit in page.all("#hits li")] == [
        f"tide {n}" for n in range(PAGE + 2, 2, -1)
    ]
    (more,) = [link["href"] for link in page.all("main a.button")]
    page = (await alice.get(more)).page
    assert [hit.one(".excerpt").words for hit in page.all("#hits li")] == ["tide 2", "tide 1", "tide 0"]
    assert not page.all("main a.button")


async def test_nothing_found_is_said_with_what_to_try(alice: Person, code: str) -> None:
    await alice.write(code, "high tide")
    page = (await ask(alice, code, "wave")).page
    assert not page.has("#hits")
    assert "Nothing found" in page.one("main p[role=status]").words


async def test_a_text_that_was_edited_or_deleted_is_not_found_by_what_it_said(
    alice: Person, code: str
) -> None:
    await alice.write(code, "secret one", "secret two")
    one, two = ids(await alice.look(code))
    await alice.post(f"/rooms/{code}/{one}/delete")
    await alice.post(f"/rooms/{code}/{two}/edit", {"body": "harmless"})
    assert await found(alice, code, "secret") == []
    assert await found(alice, code, "harmless") == ["harmless"]


async def test_only_those_who_are_in_the_room_can_search_it(
    alice: Person, bob: Person, client: Person, code: str
) -> None:
    await alice.write(code, "the tide")
    assert (await ask(client, code, "tide")).status == 403
    await bob.post(f"/rooms/{code}/leave")
    reply = await ask(bob, code, "tide")
    assert reply.status == 403
    assert "the tide" not in reply.text
    assert (await ask(alice, GONE, "tide")).status == 403
    reply = await ask(alice, code.lower(), "tide", "&before=9")
    assert (reply.status, reply.headers["Location"]) == (301, f"/rooms/{code}/search?q=tide&before=9")


async def test_what_is_shown_of_a_hit_is_text(alice: Person, code: str) -> None:
    await alice.write(code, "<b>tide</b> & <script>alert(1)</script>", "x " * 200 + "the wave " + "y " * 200)
    (hit,) = await hits(alice, code, '"tide"')
    assert hit.one(".excerpt").words == "<b>tide</b> & <script>alert(1)</script>"
    assert not hit.has("script")
    (hit,) = await hits(alice, code, "wave")
    shown = hit.one(".excerpt").words
    assert shown.startswith("… x x")
    assert shown.endswith("…")
    assert len(shown) < 320
    assert hit.one("mark").text == "wave"


async def test_a_hit_is_shown_without_its_marks_and_with_spoilers_hidden(alice: Person, code: str) -> None:
    await alice.write(code, "the **high** tide ||brings a ghost||")
    for text in ("high", "ghost"):
        (hit,) = await hits(alice, code, text)
        assert hit.one(".excerpt").words == "the high tide ▒▒▒"


async def test_words_are_marked_as_they_are_written(alice: Person, code: str) -> None:
    await alice.write(code, "Ein Überfall am Ufer", "東京の天気")
    (hit,) = await hits(alice, code, "uber")
    assert [mark.text for mark in hit.all("mark")] == ["Überfall"]
    (hit,) = await hits(alice, code, "天気")
    assert [mark.text for mark in hit.all("mark")] == ["天気"]


async def test_a_search_that_takes_too_long_stops_and_can_go_on(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, *(f"tide {n}" for n in range(9)))
    monkeypatch.setattr(search, "BUDGET", 0.0)
    monkeypatch.setattr("chat.store.search.PORTION", 0.0)
    seen: list[str] = []
    address = f"/rooms/{code}/search?q=tide"
    while True:
        page = (await alice.get(address)).page
        seen += [hit.one(".excerpt").words for hit in page.all("#hits li")]
        links = page.all("main a.button")
        if not links:
            break
        assert "takes long" in page.one("main p[role=status]").words
        address = links[0]["href"]
    assert seen == [f"tide {n}" for n in range(8, -1, -1)]


async def test_searches_have_a_rate(alice: Person, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEARCHES", limits.Rate("searches", 3600.0, 3))
    replies = [await ask(alice, code, "tide") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert "very often" in replies[-1].page.one("[role=alert]").words
    assert replies[-1].page.one("input[name=q]").value == "tide"
    assert int(replies[-1].headers["Retry-After"]) >= 1


async def test_without_the_store_a_search_says_so(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.intercept(monkeypatch, chats[0].store, search_some, AsyncMock(side_effect=Unavailable("away")))
    assert (await ask(alice, code, "tide")).status == 503
    monkeypatch.undo()
    assert (await ask(alice, code, "tide")).status == 200


async def test_all_my_rooms_are_searched_at_once(
    alice: Person, bob: Person, client: Person, code: str
) -> None:
    other, hidden = await alice.create(), await bob.create()
    await alice.post(f"/rooms/{other}/title", {"title": "Boats"})
    await alice.write(code, "a tide")
    await alice.write(other, "another tide")
    await bob.write(hidden, "a tide that is not hers")
    page = (await alice.get("/search?q=tide")).page
    assert sorted(hit.one(".excerpt").words for hit in page.all("#hits li")) == ["a tide", "another tide"]
    assert {hit.one("a")["href"].split("/")[2] for hit in page.all("#hits li")} == {code, other}
    assert "Boats" in [name.words for name in page.all("#hits .in")]
    assert (await client.get("/search?q=tide")).status == 403
    assert (await alice.get("/")).page.has("a[href=/search]")
    await alice.post(f"/rooms/{other}/leave")
    assert len((await alice.get("/search?q=tide")).page.all("#hits li")) == 1


async def test_hits_of_all_rooms_come_by_time_and_by_page(
    alice: Person, code: str, clock: FakeClock, chats: list[Context]
) -> None:
    rooms = [code, await alice.create()]
    for n in range(PAGE + 5):
        clock.pass_by(60)
        await write(chats[0], rooms[n % 2], n)
    page = (await alice.get("/search?q=tide")).page
    newest = [hit.one(".excerpt").words for hit in page.all("#hits li")]
    assert newest == [f"tide {n}" for n in range(PAGE + 4, 4, -1)]
    (more,) = [link["href"] for link in page.all("main a.button")]
    page = (await alice.get(more)).page
    assert [hit.one(".excerpt").words for hit in page.all("#hits li")] == [
        f"tide {n}" for n in range(4, -1, -1)
    ]
    assert not page.all("main a.button")


async def test_a_search_in_all_rooms_for_which_there_was_no_time_says_so(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "the oldest tide", "ebb", "ebb")
    monkeypatch.setattr("chat.store.search.PORTION", 0.0)

    find = search.find

    async def find_once(store: Any, member: Any, query: Any, span: Any, limit: int, _: Turn) -> Found:
        return await find(store, member, query, span, limit, Turn(0.0))

    monkeypatch.setattr(search, "find", find_once)
    page = (await alice.get("/search?q=tide")).page
    (says,) = [line.words for line in page.all("main p[role=status]")]
    assert "takes long" in says
    assert "Nothing found" not in says
    assert not page.all("main a.button")


async def test_a_room_that_they_leave_meanwhile_does_not_end_a_search_in_all_rooms(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await alice.create()
    await alice.write(code, "a tide")
    await alice.write(other, "another tide")

    async def leave_first(read: Callable[[], Awaitable[list[tuple[Room, Member, int]]]], _: str) -> object:
        (room, member, newest), *others = await read()
        await alice.post(f"/rooms/{other}/leave")
        return [(room, member, newest), *others, (room, replace(member, code=GONE), newest)]

    calls.intercept(monkeypatch, chats[0].store, rooms_by_time, leave_first)
    reply = await alice.get("/search?q=tide")
    assert reply.status == 200
    assert [hit.one(".excerpt").words for hit in reply.page.all("#hits li")] == ["a tide"]


async def ignored_by(person: Person, code: str, seat: int) -> None:
    assert (await person.post(f"/rooms/{code}/ignore", {"seat": str(seat), "on": "1"})).status == 303


async def test_what_they_ignore_is_not_found(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "a tide of hers")
    await bob.write(code, "a tide of his")
    await ignored_by(bob, code, 1)
    assert await found(bob, code, "tide") == ["a tide of his"]
    assert await found(bob, code, "from:alice") == []
    everywhere = (await bob.get("/search?q=tide")).page
    assert [hit.one(".excerpt").words for hit in everywhere.all("#hits li")] == ["a tide of his"]
    assert len(await found(alice, code, "tide")) == 2


async def test_a_page_full_of_ignored_messages_does_not_end_a_search(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    await bob.write(code, "the oldest tide")
    for n in range(2 * PAGE + 5):
        await write(chats[0], code, n)
    await ignored_by(bob, code, 1)
    assert await found(bob, code, "tide") == ["the oldest tide"]
    everywhere = (await bob.get("/search?q=tide")).page
    assert [hit.one(".excerpt").words for hit in everywhere.all("#hits li")] == ["the oldest tide"]


def asked(text: str) -> Query:
    query = parse_query(text)
    assert query
    return query


@pytest.mark.parametrize("start", ["", "über uns "])
def test_an_excerpt_looks_at_no_more_words_than_it_shows(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def counted(text: str) -> Iterator[Piece]:
        for piece in pieces_of(text):
            seen.append(piece)
            yield piece

    monkeypatch.setattr("chat.views.search.pieces_of", counted)
    shown = excerpt(start + "high tide " + "x " * 4000 + "tide", asked('"high tide" tide'))
    assert shown.startswith(f"{start}<mark>high tide</mark> x")
    assert shown.endswith("…")
    assert len(seen) < EXCERPT


@pytest.mark.parametrize("space", [" ", "\u3000"])
def test_an_excerpt_marks_words_and_phrases_wherever_they_are(space: str) -> None:
    text = space.join(["x"] * 900 + ["a", "tide", "table", "and", "a", "tide"] + ["y"] * 900)
    shown = excerpt(text, asked('"a tide table" tide "and a"'))
    marked = [
        f"<mark>{space.join(words)}</mark>" for words in (("a", "tide", "table"), ("and", "a"), ("tide",))
    ]
    assert space.join(marked) in shown
    assert shown.startswith("… ")
    assert len(shown) < EXCERPT + 60


def says(reply: Reply) -> str:
    return reply.page.one("[role=alert]").words


async def test_a_search_ends_once_its_person_begins_another(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "the tide")
    began: list[object] = []
    go_on = asyncio.Event()

    async def wait_first(read: Callable[[], Awaitable[object]], *_: object) -> object:
        began.append(read)
        await go_on.wait()
        return await read()

    calls.intercept(monkeypatch, chats[0].store, search_some, wait_first)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(alice, code, "tide"))
        await until(lambda: len(began) == 1)
        second = tasks.create_task(alice.get("/search?q=tide"))
        await until(lambda: len(began) == 2)
        go_on.set()
    reply = first.result()
    assert reply.status == 429
    assert "you began another one" in says(reply)
    assert reply.page.one("input[name=q]").value == "tide"
    assert int(reply.headers["Retry-After"]) >= 1
    assert second.result().status == 200
    assert second.result().page.has("#hits li")


async def test_a_search_that_waits_ends_at_once_when_its_person_begins_another(
    alice: Person, code: str, chats: list[Context]
) -> None:
    await alice.write(code, "the tide")
    chat = chats[0]
    async with AsyncExitStack() as places:
        for n in range(SEARCHES):
            await places.enter_async_context(chat.searching.take(f"person {n}", 60))
        first = asyncio.create_task(ask(alice, code, "tide"))
        await until(lambda: chat.searching.waiting == 1)
        second = asyncio.create_task(ask(alice, code, "tide"))
        assert "you began another one" in says(await first)
        assert chat.searching.waiting == 1
    assert (await second).status == 200
    assert chat.searching.is_open_for("somebody")


async def searching(chat: Context, person: str) -> None:
    async with chat.searching.take(person, 60):
        await asyncio.Event().wait()


async def test_few_searches_wait_for_others(alice: Person, code: str, chats: list[Context]) -> None:
    chat = chats[0]
    others = [asyncio.create_task(searching(chat, f"person {n}")) for n in range(SEARCHES + WAITING)]
    await until(lambda: not chat.searching.is_open_for("somebody"))
    reply = await ask(alice, code, "tide")
    assert reply.status == 429
    assert "Many people are searching" in says(reply)
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    assert (await ask(alice, code, "tide")).status == 200


async def test_the_time_of_a_search_runs_while_it_waits_for_others(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[float] = []

    async def find(*values: Any) -> Found:
        deadlines.append(values[-1].deadline)
        return Found([], 0)

    monkeypatch.setattr(search, "BUDGET", 0.0)
    monkeypatch.setattr(search, "find", find)
    chat = chats[0]
    async with AsyncExitStack() as places:
        for n in range(SEARCHES):
            await places.enter_async_context(chat.searching.take(f"person {n}", 60))
        waiting = asyncio.create_task(ask(alice, code, "tide"))
        await until(lambda: chat.searching.waiting)
        free_at = time.monotonic()
    assert (await waiting).status == 200
    (deadline,) = deadlines
    assert deadline < free_at


async def test_nobody_waits_while_excerpts_are_made(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.write(code, "high tide")
    threads = []

    def noted(text: str, query: Query) -> str:
        threads.append(threading.current_thread())
        return excerpt(text, query)

    monkeypatch.setattr(search, "excerpt", noted)
    assert await found(alice, code, "tide") == ["high tide"]
    assert (await alice.get("/search?q=tide")).page.one("#hits mark").text == "tide"
    assert len(threads) == 2
    assert threading.current_thread() not in threads
