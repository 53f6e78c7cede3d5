"""Another name typed by somebody who has a seat in the room: what is meant is asked, never guessed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import calls
import pytest
from deployments import ON_BOTH
from dom import Element
from people import Person, Reply, Turn, notices, texts
from quart import Quart

from chat import limits
from chat.context import Context
from chat.live.connection import POLICY
from chat.store.members import find_seat

WAYS_IN = pytest.mark.parametrize("way", ["home", "invitation"])


async def _type(person: Person, code: str, name: str, way: str, **more: str) -> Reply:
    if way == "home":
        return await person.post("/", {"name": name, "code": code, "join": "1"})
    return await person.post(f"/rooms/{code}", {"name": name, **more})


def _choice(page: Element, choice: str) -> tuple[str, dict[str, str]]:
    """What the browser sends when this button is pressed."""
    form = page.one("form")
    button = page.one(f"button[value={choice}]")
    return form["action"], {"name": form.one("[name=name]").value, button["name"]: button["value"]}


def _authors(page: Element) -> list[tuple[str, str]]:
    return [(li.one(".by bdi").text, li.one(".text").text) for li in page.all("li") if li.has(".by")]


@ON_BOTH
@WAYS_IN
async def test_another_name_is_answered_with_a_question(
    alice: Person, bob: Person, code: str, way: str
) -> None:
    reply = await _type(bob, code, " Robert ", way)
    page = reply.page
    assert reply.status == 422
    assert reply.cookies == []
    assert page.one("h1").words == "You are already in this room as Bob."
    assert page.one("main a.button")["href"] == f"/rooms/{code}"
    assert page.one("main a.button").words == "Go in as Bob"
    assert [b.words for b in page.all("form button")] == ["Rename to Robert", "I am somebody else"]
    assert not page.has("script")
    for button in page.all("form button"):
        assert page.one(f"#{button['aria-describedby']}").words
    assert notices(await alice.look(code)) == []


@WAYS_IN
async def test_the_same_name_leads_into_the_room(bob: Person, code: str, way: str) -> None:
    for name in ("Bob", "  Bob "):
        reply = await _type(bob, code, name, way)
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


@WAYS_IN
async def test_a_name_that_is_refused_is_refused_first(bob: Person, code: str, way: str) -> None:
    for name in ("", "x" * 33, "Bob²"):
        reply = await _type(bob, code, name, way)
        assert reply.status == 422
        assert reply.page.one("[name=name]")["aria-invalid"] == "true"
        assert reply.page.one("[name=name]").value == name


@ON_BOTH
async def test_renamed_a_person_goes_on_under_the_new_name_and_their_texts_keep_the_old_one(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await bob.write(code, "as Bob")
    asked = await _type(bob, code, "Robert", "home")
    async with alice.in_room(code) as live:
        await turn(2)
        reply = await bob.post(*_choice(asked.page, "rename"))
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
        await live.until("li.notice", "Bob is now called Robert")
    await bob.write(code, "as Robert")
    page = await bob.look(code)
    assert _authors(page) == [("Bob", "as Bob"), ("Robert", "as Robert")]
    assert "Robert" in page.one("#roster").words
    own = (await bob.get(page.all("link[rel=stylesheet]")[1]["href"])).text
    assert all(f'data-by="{li["data-by"]}"' in own for li in page.all("li.m") if "data-by" in li)


@ON_BOTH
async def test_a_rename_tells_the_room_once_and_nothing_of_leaving(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    async with bob.in_room(code) as live:
        await turn(2)
        assert notices(await alice.look(code)) == ["Bob is here for the first time"]
        await bob.post(f"/rooms/{code}", {"name": "Robert", "choice": "rename"})
        assert await live.ended() == POLICY
        assert "You are Robert in this room now." in live.frames[-1].one("[role=alert]").text
    async with bob.in_room(code):
        await turn(60)
        await turn(60)
        assert notices(await alice.look(code)) == [
            "Bob is here for the first time",
            "Bob is now called Robert",
        ]


@ON_BOTH
async def test_a_page_on_another_node_says_who_its_reader_is_now(
    apps: list[Quart], bob: Person, code: str
) -> None:
    far = bob.at(apps[0])
    async with far.in_room(code) as live:
        await bob.post(f"/rooms/{code}", {"name": "Robert", "choice": "rename"})
        assert await live.ended() == POLICY
        assert "You are Robert in this room now." in live.frames[-1].one("[role=alert]").text


async def test_who_is_renamed_and_does_not_come_has_left(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await alice.have_told(code)
    await bob.post(f"/rooms/{code}", {"name": "Robert", "choice": "rename"})
    await turn(2)
    await turn(60)
    await turn(2)
    assert notices(await alice.look(code))[-1] == "Robert came in · Robert went away"


@ON_BOTH
async def test_somebody_else_on_the_same_browser_gets_an_identity_of_their_own(
    app: Quart, alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "as Bob")
    other_room = await bob.create("Bobby")
    reply = await bob.post(*_choice((await _type(bob, code, "Bob Junior", "home")).page, "somebody-else"))
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
    assert len(reply.cookies) == 1
    await bob.write(code, "as Junior")
    page = await alice.look(code)
    assert _authors(page) == [("Bob", "as Bob"), ("Bob Junior", "as Junior")]
    assert not any("is now" in notice for notice in notices(page))
    bys = [li["data-by"] for li in page.all("li.m") if "data-by" in li]
    own = (await bob.get((await bob.look(code)).all("link[rel=stylesheet]")[1]["href"])).text
    assert f'data-by="{bys[1]}"' in own
    assert f'data-by="{bys[0]}"' not in own, "the texts of the one before are not theirs"
    assert (await bob.get(f"/rooms/{other_room}")).page.has("[name=name]"), (
        "an invitation, as to any stranger"
    )


async def test_somebody_else_may_have_the_same_name_and_is_marked(
    alice: Person, bob: Person, code: str
) -> None:
    reply = await bob.post(f"/rooms/{code}", {"name": "Bob", "choice": "somebody-else"})
    assert reply.status == 303
    await bob.write(code, "the other one")
    assert (await alice.look(code)).one("li.m .by .mark").text == "2"


async def test_a_choice_without_a_seat_is_an_ordinary_join(app: Quart, code: str) -> None:
    for n, choice in enumerate(["rename", "somebody-else", "nonsense", "x" * 100_000]):
        person = Person(app, f"Person {n}")
        assert (await person.post(f"/rooms/{code}", {"name": "Zoe", "choice": choice})).status == 303
        assert (await person.look(code)).has("#composer")


async def test_a_choice_that_is_none_is_asked_again(bob: Person, code: str) -> None:
    for choice in ("", "nonsense", "RENAME"):
        assert (await bob.post(f"/rooms/{code}", {"name": "Robert", "choice": choice})).status == 422


async def test_names_full_of_markup_are_text(bob: Person, code: str) -> None:
    name = '"><b>bold</b>&'
    page = (await _type(bob, code, name, "home")).page
    assert page.one("form [name=name]").value == name
    assert not page.has("b")


async def test_renames_are_limited_and_the_form_comes_back(bob: Person, code: str, chat: Context) -> None:
    for n in range(limits.RENAMES.burst):
        reply = await bob.post(f"/rooms/{code}", {"name": f"Bob the {n}th", "choice": "rename"})
        assert reply.status == 303
    reply = await bob.post(f"/rooms/{code}", {"name": "Bob the last", "choice": "rename"})
    assert reply.status == 429
    assert "You have changed your name often" in reply.page.one("[role=alert]").words
    assert reply.page.one("[name=name]").value == "Bob the last"


async def test_a_text_on_its_way_while_its_writer_is_renamed_is_not_stored_under_either_name_twice(
    alice: Person, bob: Person, code: str
) -> None:
    async with bob.in_room(code) as live:
        await live.say("before")
        await bob.post(f"/rooms/{code}", {"name": "Robert", "choice": "rename"})
        assert await live.ended() == POLICY
    assert texts(await alice.look(code)) == ["before"]


@pytest.mark.parametrize(
    ("way", "form", "status"), [("", {"name": "Robert", "choice": "rename"}, 303), ("/leave", {}, 403)]
)
@ON_BOTH
async def test_a_form_on_its_way_while_its_seat_ends_comes_back_to_be_sent_again(
    bob: Person, code: str, way: str, form: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bob.app.extensions["chat"].store

    async def ends_then(original: Callable[[], Awaitable[object]], *_: object) -> object:
        found = await original()
        monkeypatch.undo()
        await bob.post(f"/rooms/{code}{way}", form)
        return found

    calls.intercept(monkeypatch, store, find_seat, ends_then)
    reply = await bob.post(f"/rooms/{code}/messages", {"body": "precious", "key": "key", "acked": "0"})
    assert (reply.status, reply.page.one("textarea").value.removeprefix("\n")) == (503, "precious")
    again = {field["name"]: field.value.removeprefix("\n") for field in reply.page.all("form [name]")}
    reply = await bob.post(reply.page.one("form")["action"], again)
    assert reply.status == status
    if status == 303:
        assert _authors(await bob.look(code)) == [("Robert", "precious")]
    else:
        assert "precious" in reply.page.one("textarea").value
