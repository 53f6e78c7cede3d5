"""Codes cannot be guessed, and nobody is locked out by a neighbour who tries."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import calls
import pytest
from deployments import ON_BOTH
from people import FakeClock, Person
from quart import Quart

from chat import limits
from chat.context import Context
from chat.model.codes import CODE_ALPHABET
from chat.store import Unavailable, rooms

NOBODYS = "ZZZZ2222"  # a room that does not exist
OLD = "BCDF2345"  # as version 0.1 made codes: nothing vouches for it


def _wrong(length: int) -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(length))


async def _use_up(person: Person) -> None:
    for n in range(limits.WRONG_CODES.burst):
        path, form = ("/", {"name": "Eve", "code": _wrong(12), "join": "1"}) if n % 2 else ("", {})
        reply = await (person.post(path, form) if path else person.get(f"/rooms/{_wrong(12)}"))
        assert reply.status in {404, 422}
    assert (await person.get(f"/rooms/{_wrong(12)}")).status == 429


@pytest.fixture
def long_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing becomes due again while a busy machine is at it: Redis's clock runs on."""
    for name in ("WRONG_CODES", "ALL_WRONG_CODES", "JOINS"):
        monkeypatch.setattr(limits, name, replace(getattr(limits, name), every=3600.0))


def _most(rate: limits.Rate, caplog: pytest.LogCaptureFixture) -> int:
    """A node that Redis does not answer within a second, on a busy machine, goes by its own figures."""
    return rate.burst * (3 if "redis-away" in caplog.text else 1)


@pytest.fixture
def looked_up(chats: list[Context], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Codes that a store was asked for."""
    codes: list[str] = []
    for store in {id(chat.store): chat.store for chat in chats}.values():

        async def find_room(go_on: Any, code: str) -> Any:
            codes.append(code)
            return await go_on()

        calls.intercept(monkeypatch, store, rooms.find_room, find_room)
    return codes


@ON_BOTH
async def test_a_right_code_opens_from_an_address_that_has_used_up_its_guesses(
    app: Quart, alice: Person, client: Person
) -> None:
    code = await alice.create()
    await _use_up(client)
    assert (await client.get(f"/rooms/{code}")).status == 200
    assert (
        await client.post("/", {"name": "Ann", "code": f"Room {code.lower()}.", "join": "1"})
    ).status == 303
    neighbour = Person(app, "Neighbour")
    assert (await neighbour.get(f"/rooms/{code}")).status == 200
    assert (await neighbour.post(f"/rooms/{code}", {"name": "Ned"})).status == 303
    assert (await neighbour.look(code)).has("#composer")
    assert (await alice.look(code)).has("#composer")


async def test_a_wrong_code_is_slowed_and_what_was_typed_is_kept(
    app: Quart, client: Person, clock: FakeClock, looked_up: list[str]
) -> None:
    await _use_up(client)
    looked_up.clear()
    for _ in range(50):
        for code in (_wrong(12), _wrong(8), "nonsense"):
            refused = await client.post("/", {"name": "Eve", "code": code, "join": "1"})
            assert refused.status == 429
            alert = refused.page.one("[role=alert]")
            assert alert.words == "Too many wrong codes. Please try again in 3 seconds."
            assert alert.id == refused.page.one("[name=code]")["aria-describedby"]
            assert refused.page.one("[name=code]").value == code
    assert looked_up == []
    assert (await client.get(f"/rooms/{NOBODYS}")).headers["Retry-After"] == "4"
    elsewhere = Person(app, "Ann", address="198.51.100.1")
    assert (await elsewhere.get(f"/rooms/{NOBODYS}")).status == 404
    clock.pass_by(3)
    assert (await client.get(f"/rooms/{NOBODYS}")).status == 404
    assert (await client.get(f"/rooms/{NOBODYS}")).status == 429


@pytest.mark.usefixtures("long_rates")
@pytest.mark.parametrize("length", [8, 12])
@ON_BOTH
async def test_of_500_wrong_codes_at_once_no_more_are_looked_up_than_the_rate_allows(
    apps: list[Quart],
    chats: list[Context],
    looked_up: list[str],
    length: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    people = [Person(app, "Eve") for app in apps]
    guesses = (_wrong(length) for _ in itertools.count())
    wrong = (code for code in guesses if not chats[0].codes.vouches_for(code))  # one in 600,000 is right
    replies = await asyncio.gather(
        *(people[n % len(people)].get(f"/rooms/{next(wrong)}") for n in range(500)),
    )
    assert 1 <= len(looked_up) <= _most(limits.WRONG_CODES, caplog)
    assert sorted({reply.status for reply in replies}) == [404, 429]
    assert [reply.status for reply in replies].count(404) == len(looked_up)


@pytest.mark.usefixtures("long_rates")
@ON_BOTH
async def test_wrong_codes_are_slowed_over_all_addresses_together(
    apps: list[Quart], alice: Person, looked_up: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    people = [Person(apps[n % len(apps)], "Eve", address=f"198.51.100.{n}") for n in range(30)]
    replies = await asyncio.gather(*(p.get(f"/rooms/{_wrong(8)}") for p in people for _ in range(20)))
    assert 1 <= len(looked_up) <= _most(limits.ALL_WRONG_CODES, caplog)
    assert [reply.status for reply in replies].count(404) == len(looked_up)
    code = await alice.create()
    assert (await people[0].get(f"/rooms/{code}")).status == 200


async def test_an_attempt_that_everybody_s_brake_refuses_does_not_count_for_its_address(
    app: Quart, chat: Context, client: Person, clock: FakeClock
) -> None:
    for _ in range(limits.ALL_WRONG_CODES.burst):
        await chat.limits.take(limits.ALL_WRONG_CODES, "everybody")
    for _ in range(40):
        assert (await client.get(f"/rooms/{NOBODYS}")).status == 429
    clock.pass_by(limits.ALL_WRONG_CODES.every * limits.WRONG_CODES.burst)
    for _ in range(limits.WRONG_CODES.burst):
        assert (await client.get(f"/rooms/{NOBODYS}")).status == 404


@ON_BOTH
async def test_an_old_code_works_and_never_counts_as_wrong(chat: Context, client: Person) -> None:
    await calls.open_room(chat.store, OLD)
    for typed in [OLD, "bcdf-2345", f"https://chat.example/rooms/{OLD}."] * 20:
        reply = await client.post("/", {"name": "", "code": typed, "join": "1"})
        assert [alert.words for alert in reply.page.all("[role=alert]")] == ["Please enter a name."]
    assert (await client.post(f"/rooms/{OLD}", {"name": "Ann"})).status == 303
    page = await client.look(OLD)
    assert page.one("h1 .code").text == "BCDF-2345"
    assert (await client.get("/rooms/bcdf-2345")).headers["Location"] == f"/rooms/{OLD}"


async def test_a_member_returns_to_an_old_room_from_an_address_that_has_used_up_its_guesses(
    app: Quart, chat: Context, client: Person
) -> None:
    await calls.open_room(chat.store, OLD)
    await client.join(OLD, "Ann")
    await _use_up(Person(app, "Eve"))
    assert (await client.look(OLD)).has("#composer")
    assert (await client.post("/", {"name": "Ann", "code": OLD, "join": "1"})).status == 303
    assert (await client.post(f"/rooms/{OLD}", {"name": "Ann"})).status == 303


async def test_the_code_of_a_room_that_is_gone_is_no_guess(chat: Context, client: Person) -> None:
    gone = chat.codes.new()
    for _ in range(100):
        assert (await client.get(f"/rooms/{gone}")).status == 404


async def test_a_code_that_could_not_be_looked_up_was_not_wrong(
    chat: Context, client: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        calls.intercept(broken, chat.store, rooms.find_room, AsyncMock(side_effect=Unavailable("away")))
        for _ in range(40):
            assert (await client.get(f"/rooms/{NOBODYS}")).status == 503
    assert (await client.get(f"/rooms/{NOBODYS}")).status == 404


@pytest.mark.usefixtures("long_rates")
@ON_BOTH
async def test_a_join_that_is_refused_takes_nobody_s_place(
    app: Quart, alice: Person, client: Person, code: str
) -> None:
    for _ in range(limits.JOINS.burst + 20):
        assert (await client.post(f"/rooms/{code}", {"name": ""})).status == 422
    assert (await Person(app, "Neighbour").post(f"/rooms/{code}", {"name": "Ned"})).status == 303


@ON_BOTH
async def test_what_is_given_back_may_be_taken_again_and_no_more(chats: list[Context]) -> None:
    slow, subject = limits.Rate("slow", every=1000.0, burst=3), secrets.token_hex(4)
    one, other = chats[0].limits, chats[-1].limits
    assert [await one.take(slow, subject) for _ in range(3)] == [0, 0, 0]
    assert await one.take(slow, subject) > 0
    await other.give_back(slow, subject)
    assert await one.take(slow, subject) == 0
    assert await one.take(slow, subject) > 0
    for _ in range(10):  # more than was taken
        await other.give_back(slow, subject)
    assert [await one.take(slow, subject) for _ in range(3)] == [0, 0, 0]
    assert await one.take(slow, subject) > 0
    await one.give_back(slow, subject + "-nobody")
    assert await one.take(slow, subject + "-nobody") == 0
