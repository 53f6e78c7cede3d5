"""Who comes and goes: first arrivals and leaving for good are told; the rest only if the room wants it."""

from __future__ import annotations

from unittest.mock import AsyncMock

import calls
import pytest
from people import Person, Turn, notices

from chat import limits
from chat.context import Context
from chat.features.comings import tell
from chat.live.presence import GRACE
from chat.store import Unavailable
from chat.store.log import heads
from chat.store.members import find_seat


async def have_told(person: Person, code: str, on: str) -> None:
    reply = await person.post(f"/rooms/{code}/comings", {"on": on})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


async def come_and_go(person: Person, code: str, turn: Turn) -> None:
    async with person.in_room(code):
        await turn(2)
    await turn(GRACE + 1)
    await turn(2)


async def rev(chat: Context, code: str) -> int:
    return (await chat.store.read(heads, [code]))[code].rev


async def test_only_the_first_arrival_is_told(
    alice: Person, bob: Person, code: str, chat: Context, turn: Turn
) -> None:
    await come_and_go(bob, code, turn)
    assert notices(await alice.look(code)) == ["Bob is here for the first time"]
    before = await rev(chat, code)
    for _ in range(3):
        await come_and_go(bob, code, turn)
    assert notices(await alice.look(code)) == ["Bob is here for the first time"]
    assert await rev(chat, code) == before, "who is here is not written to the log"


async def test_leaving_for_good_and_coming_back_are_told(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await come_and_go(bob, code, turn)
    await turn(60)
    await bob.post(f"/rooms/{code}/leave")
    await turn(70)
    await bob.join(code)
    await come_and_go(bob, code, turn)
    told = ["Bob is here for the first time", "Bob left for good", "Bob is back"]
    assert notices(await alice.look(code)) == told


async def test_a_room_may_want_to_read_of_everybody(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    await come_and_go(bob, code, turn)
    await have_told(alice, code, "1")
    for _ in range(2):
        await turn(70)
        await come_and_go(bob, code, turn)
    await have_told(bob, code, "0")
    await come_and_go(bob, code, turn)
    assert notices(await alice.look(code)) == [
        "Bob is here for the first time",
        "Alice set this room to tell of everybody who comes and goes",
        "Bob came in · Bob went away",
        "Bob came in · Bob went away",
        "Bob set this room to tell of first arrivals only, and of who leaves for good",
    ]


async def test_a_crowd_is_counted(alice: Person, code: str, turn: Turn, chat: Context) -> None:
    for number in range(49):
        person = Person(alice.app, f"P{number}")
        await person.join(code)
        who = chat.identities.person(_cookie(person))
        seat = await chat.store.read(find_seat, code, who) if who else None
        assert seat
        chat.presence.arrive(seat)
    await turn(2)
    await turn(2)
    assert notices(await alice.look(code)) == ["49 people came in"]


def _cookie(person: Person) -> str:
    return str(next(cookie.value for cookie in person.client.cookie_jar or ()))


async def test_the_form_has_what_is_so(alice: Person, bob: Person, code: str) -> None:
    for on in ("0", "1"):
        await have_told(alice, code, on)
        form = (await bob.get(f"/rooms/{code}/comings")).page.one("form")
        assert (form["method"], form["action"]) == ("post", f"/rooms/{code}/comings")
        assert [field["value"] for field in form.all("input[name=on]") if "checked" in field] == [on]
        assert f"/rooms/{code}" in [link["href"] for link in form.all("a")]


async def test_what_is_so_already_is_not_announced(alice: Person, code: str) -> None:
    await have_told(alice, code, "0")
    assert notices(await alice.look(code)) == []
    for _ in range(2):
        await have_told(alice, code, "1")
    assert len(notices(await alice.look(code))) == 1


@pytest.mark.parametrize("on", [None, "", "2", "x" * 100_000])
async def test_what_is_neither_is_refused(alice: Person, code: str, on: str | None) -> None:
    reply = await alice.post(f"/rooms/{code}/comings", {} if on is None else {"on": on})
    assert reply.status == 422
    assert reply.page.one("[role=alert]").words
    assert notices(await alice.look(code)) == []


async def test_only_members_set_it(alice: Person, bob: Person, eve: Person, code: str) -> None:
    await bob.post(f"/rooms/{code}/leave")
    before = notices(await alice.look(code))
    for person in (bob, eve):
        assert (await person.get(f"/rooms/{code}/comings")).status == 403
        assert (await person.post(f"/rooms/{code}/comings", {"on": "1"})).status == 403
    assert notices(await alice.look(code)) == before


async def test_it_has_the_rate_of_titles(alice: Person, bob: Person, code: str) -> None:
    for number in range(limits.TITLES.burst):
        await have_told((alice, bob)[number % 2], code, str((number + 1) % 2))
    reply = await bob.post(f"/rooms/{code}/comings", {"on": "0"})
    assert reply.status == 429
    assert 0 < int(reply.headers["Retry-After"]) <= 60
    (kept,) = [field for field in reply.page.all("input[name=on]") if "checked" in field]
    assert kept["value"] == "0"
    assert (await alice.post(f"/rooms/{code}/title", {"title": "Also a line in the room"})).status == 429


async def test_without_the_store_it_says_so(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = alice.app.extensions["chat"].store
    calls.intercept(monkeypatch, store, tell, AsyncMock(side_effect=Unavailable("away")))
    reply = await alice.post(f"/rooms/{code}/comings", {"on": "1"})
    assert reply.status == 503
    (kept,) = [field for field in reply.page.all("input[name=on]") if "checked" in field]
    assert kept["value"] == "1"
