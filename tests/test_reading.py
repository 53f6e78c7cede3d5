"""What reading costs: pages, earlier messages, the live page without JavaScript, and pages that come back."""

from __future__ import annotations

import asyncio

import pytest
from people import Person, texts

from chat import limits, sockets
from chat.context import Context
from chat.hub import LATER
from chat.limits import Rate


async def _spend(chat: Context, rate: Rate, subject: str) -> None:
    """Have a rate used up, as if it had been by many requests."""
    while not await chat.own_limits.take(rate, subject):
        pass


def _person_of(chat: Context, person: Person) -> str:
    (cookie,) = [c.value for c in person.client.cookie_jar or () if c.name.startswith("chat-")]
    found = chat.identities.person(cookie)
    assert found
    return found


@pytest.fixture
async def frozen(chat: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The rates of reading as they are, in a time that stands still."""
    monkeypatch.setattr(chat.own_limits, "_now", lambda: 1000.0)
    return chat


# Rates ------------------------------------------------------------------------------------------------

READING = ["/rooms/{}", "/rooms/{}?before=2", "/rooms/{}/earlier?before=2", "/rooms/{}/stream"]


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("whose", ["person", "address"])
async def test_whoever_opens_pages_too_fast_is_asked_to_wait(
    frozen: Context, alice: Person, code: str, path: str, whose: str
) -> None:
    if whose == "person":
        await _spend(frozen, limits.PAGES, _person_of(frozen, alice))
    else:
        await _spend(frozen, limits.PAGES_OF_ADDRESS, "192.0.2.1")
    reply = await alice.get(path.format(code))
    assert reply.status == 429
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.page.one("h1").words == "A little slower, please"
    assert "opened many pages just now. Please try again in a second." in reply.text
    assert frozen.metrics.refusals.labels("pages")._value.get() == 1


@pytest.mark.parametrize("path", READING[:3])
async def test_a_rate_of_one_person_is_not_their_neighbours(
    frozen: Context, alice: Person, bob: Person, code: str, path: str
) -> None:
    await _spend(frozen, limits.PAGES, _person_of(frozen, alice))
    for _ in range(2 * limits.PAGES_OF_ADDRESS.burst):  # what is refused does not use up the address
        await alice.get(path.format(code))
    assert (await bob.get(path.format(code))).status == 200


async def test_a_school_of_a_thousand_opens_its_rooms_from_one_address(frozen: Context) -> None:
    for n in range(1000):
        person, address = (limits.PAGES, f"pupil {n}"), (limits.PAGES_OF_ADDRESS, "192.0.2.1")
        assert await limits.take_both(frozen.own_limits, person, address) == 0
        person, address = (limits.RESUMES, f"pupil {n}"), (limits.RESUMES_OF_ADDRESS, "192.0.2.1")
        assert await limits.take_both(frozen.own_limits, person, address, sockets.PATIENCE) == 0


async def test_strangers_without_a_cookie_are_counted_by_their_address(
    frozen: Context, client: Person, code: str
) -> None:
    assert (await client.get(f"/rooms/{code}")).status == 200
    await _spend(frozen, limits.PAGES_OF_ADDRESS, "192.0.2.1")
    assert (await client.get(f"/rooms/{code}")).status == 429
    assert (await client.get("/")).status == 429


async def test_a_text_refused_while_its_page_is_refused_too_is_given_back(
    frozen: Context, alice: Person, code: str
) -> None:
    await _spend(frozen, limits.PAGES, _person_of(frozen, alice))
    for path, form in (
        ("messages", {"body": "x" * 9000, "key": "k"}),
        ("composer", {"body": "x" * 9000, "lines": "many"}),
    ):
        reply = await alice.post(f"/rooms/{code}/{path}", form)
        assert reply.status in {422, 429}
        assert reply.page.one("[name=body]").value == "x" * 9000


async def test_a_resume_over_the_rate_waits_its_turn_and_loses_nothing(
    chat: Context, alice: Person, bob: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    await _spend(chat, limits.RESUMES, _person_of(chat, alice))
    waits: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("chat.sockets.asyncio.sleep", quick)
    await bob.write(code, "missed")
    async with alice.live(code) as live:
        await live.resume(page)
        assert texts(await live.frame()) == ["missed"]
    assert 0 < max(waits) <= sockets.PATIENCE


@pytest.mark.parametrize("rate", [limits.RESUMES, limits.CATCH_UPS])
async def test_a_page_far_over_the_rate_is_told_to_come_back_and_then_gets_everything(
    chat: Context, alice: Person, bob: Person, code: str, rate: Rate, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    await bob.write(code, "missed")
    monkeypatch.setattr(sockets, "PATIENCE", 0.0)
    monkeypatch.setattr("chat.live.feed.RING", 0)  # everything has to be read from the log
    now = 1000.0
    monkeypatch.setattr(chat.own_limits, "_now", lambda: now)
    await _spend(chat, rate, _person_of(chat, alice))
    async with alice.live(code) as live:
        await live.resume(page)
        assert await live.ended() == LATER
    assert live.texts == []
    assert not [frame for frame in live.frames if frame.all("[role=alert]")]
    now += 60
    async with alice.live(code) as live:
        await live.resume(page)
        await live.until("li .text")
    assert live.texts == ["missed"]
