"""Leaving for good: asked first, said afterwards, and undone by one button."""

from __future__ import annotations

from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, notices

from chat.context import Context
from chat.model.codes import grouped
from chat.store import Unavailable
from chat.store.members import left_room

TITLE = "Saturday <b>regatta</b>"


@pytest.fixture
async def titled(alice: Person, code: str) -> str:
    assert (await alice.post(f"/rooms/{code}/title", {"title": TITLE})).status == 303
    return code


async def leave(person: Person, code: str) -> Element:
    """By the form; the page that one gets next."""
    page = (await person.get(f"/rooms/{code}/leave")).page
    form = page.one("form[method=post]")
    reply = await person.post(form["action"])
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    return (await person.get("/")).page


async def test_the_room_links_to_a_page_that_asks(bob: Person, titled: str) -> None:
    link = (await bob.look(titled)).one("a.leave")
    assert link.words == "Leave for good…"
    reply = await bob.get(link["href"])
    assert reply.status == 200
    assert TITLE in reply.page.one("h1").text
    form = reply.page.one("form")
    assert (form["method"], form["action"]) == ("post", f"/rooms/{titled}/leave")
    assert form.one("button").words == "Leave for good"
    assert f"/rooms/{titled}" in [link["href"] for link in reply.page.all("main a")]
    assert (await bob.look(titled)).has("#composer"), "asked, not done"


async def test_home_says_what_was_left_and_leads_back(alice: Person, bob: Person, titled: str) -> None:
    await bob.write(titled, "I was here")
    home = await leave(bob, titled)
    assert home.one(".left").words.startswith(f"You left {TITLE}.")
    assert not (await bob.look(titled)).has("#composer")
    form = home.one("form.left")
    back = await bob.post(form["action"], {f["name"]: f.value for f in form.all("input")})
    assert (back.status, back.headers["Location"]) == (303, f"/rooms/{titled}")
    assert form.one("button").words == "Go back in"
    page = await bob.look(titled)
    assert page.has("#composer")
    own = (await bob.get(page.all("link[rel=stylesheet]")[1]["href"])).text
    assert f'data-by="{page.one("#earlier li[data-by]")["data-by"]}"' in own, "the same person as before"
    assert not (await bob.get("/")).page.has(".left"), "no longer so"


async def test_a_room_without_a_title_is_called_by_its_code(bob: Person, code: str) -> None:
    shown = grouped(code)
    assert shown in (await bob.get(f"/rooms/{code}/leave")).page.one("h1").words
    assert f"You left room {shown}." in (await leave(bob, code)).one(".left").words


async def test_who_has_no_seat_is_asked_nothing(bob: Person, eve: Person, code: str) -> None:
    """A browser that reloads the answer to the form, as if it had been a link, comes here too."""
    await leave(bob, code)
    for person in (bob, eve):
        reply = await person.get(f"/rooms/{code}/leave")
        assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


async def test_a_code_typed_loosely_leads_to_the_same_page(bob: Person, code: str) -> None:
    reply = await bob.get(f"/rooms/{code.lower()}/leave")
    assert (reply.status, reply.headers["Location"]) == (301, f"/rooms/{code}/leave")


async def test_only_who_left_reads_of_it(alice: Person, bob: Person, eve: Person, titled: str) -> None:
    """What a browser says of itself is not taken at its word: a title is for those who were there."""
    await leave(bob, titled)
    for person, cookie in ((eve, titled), (alice, titled), (bob, "22222222"), (bob, "x" * 5000), (bob, "")):
        home = (await person.get("/", cookie=_with_left(person, cookie))).page
        assert not home.has(".left")
        assert (TITLE in home.text) is (person is alice)  # who is in the room


def _with_left(person: Person, value: str) -> str:
    mine = [f"{c.name}={c.value}" for c in person.client.cookie_jar or () if c.name != "left"]
    person.client = person.app.test_client(use_cookies=False)
    return "; ".join([*mine, f"left={value}"])


async def test_it_is_said_for_some_minutes(bob: Person, code: str) -> None:
    reply = await bob.post(f"/rooms/{code}/leave")
    (line,) = reply.cookies
    assert "Max-Age=600" in line
    assert "HttpOnly" in line
    assert "SameSite=Lax" in line
    again = await bob.post(f"/rooms/{code}/leave")
    assert (again.status, again.cookies) == (303, [])


async def test_home_needs_no_store(
    bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave(bob, code)
    chat = bob.app.extensions["chat"]
    calls.intercept(monkeypatch, chat.store, left_room, AsyncMock(side_effect=Unavailable("away")))
    for down in (False, True):
        chat.hub.health.store_down = down
        reply = await bob.get("/")
        assert (reply.status, reply.page.has(".left")) == (200, False)


async def test_asked_and_answered_no_nothing_is_announced(alice: Person, bob: Person, code: str) -> None:
    await bob.get(f"/rooms/{code}/leave")
    assert notices(await alice.look(code)) == []
    await leave(bob, code)
    assert notices(await alice.look(code)) == ["Bob left for good"]
