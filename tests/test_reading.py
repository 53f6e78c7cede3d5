"""What reading costs: pages, earlier messages, the live page without JavaScript, and pages that come back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import calls
import pytest
from people import Person, texts, until

from chat import limits
from chat.context import Context
from chat.limits import Rate
from chat.live.connection import LATER
from chat.store import Unavailable, log


def _spend(chat: Context, rate: Rate, subject: str) -> None:
    """Have a rate used up, as if it had been by many requests."""
    while not chat.own_limits.take(rate, subject):
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

READING = [
    *("/rooms/{}", "/rooms/{}?before=2", "/rooms/{}?after=1", "/rooms/{}/earlier?before=2"),
    *("/rooms/{}/later?after=1", "/rooms/{}/on", "/rooms/{}/on/2027-01-15"),
    "/rooms/{}/stream",
]


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("whose", ["person", "address"])
async def test_whoever_opens_pages_too_fast_is_asked_to_wait(
    frozen: Context, alice: Person, code: str, path: str, whose: str
) -> None:
    if whose == "person":
        _spend(frozen, limits.PAGES, _person_of(frozen, alice))
    else:
        _spend(frozen, limits.PAGES_OF_ADDRESS, "192.0.2.1")
    reply = await alice.get(path.format(code))
    assert reply.status == 429
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.page.one("h1").words == "A little slower, please"
    assert "opened many pages just now. Please try again in a second." in reply.text
    assert frozen.metrics.refusals.labels("pages")._value.get() == 1


@pytest.mark.parametrize("path", READING[:-1])
async def test_a_rate_of_one_person_is_not_their_neighbours(
    frozen: Context, alice: Person, bob: Person, code: str, path: str
) -> None:
    _spend(frozen, limits.PAGES, _person_of(frozen, alice))
    for _ in range(2 * limits.PAGES_OF_ADDRESS.burst):  # what is refused does not use up the address
        await alice.get(path.format(code))
    assert (await bob.get(path.format(code))).status == 200


async def test_a_school_of_a_thousand_opens_its_rooms_from_one_address(frozen: Context) -> None:
    for n in range(1000):
        person, address = (limits.PAGES, f"pupil {n}"), (limits.PAGES_OF_ADDRESS, "192.0.2.1")
        assert frozen.own_limits.take_both(person, address) == 0
        person, address = (limits.RESUMES, f"pupil {n}"), (limits.RESUMES_OF_ADDRESS, "192.0.2.1")
        assert frozen.own_limits.take_both(person, address, limits.PATIENCE) == 0


async def test_strangers_without_a_cookie_are_counted_by_their_address(
    frozen: Context, client: Person, code: str
) -> None:
    assert (await client.get(f"/rooms/{code}")).status == 200
    _spend(frozen, limits.PAGES_OF_STRANGERS, "192.0.2.1")
    assert (await client.get(f"/rooms/{code}")).status == 429
    assert (await client.get("/")).status == 429


@pytest.mark.parametrize("path", READING[:-1])
async def test_strangers_do_not_keep_the_members_at_their_address_out(
    frozen: Context, alice: Person, code: str, path: str
) -> None:
    _spend(frozen, limits.PAGES_OF_STRANGERS, "192.0.2.1")
    _spend(frozen, limits.OPENINGS_OF_STRANGERS, "192.0.2.1")
    assert (await alice.get(path.format(code))).status == 200
    async with alice.in_room(code) as live:
        await live.say("here")


async def test_strangers_with_a_cookie_take_nothing_of_the_members_rate(
    frozen: Context, client: Person, code: str
) -> None:
    mine = await client.create()
    assert (await client.get(f"/rooms/{mine}")).status == 200
    before = dict(frozen.own_limits._due)
    assert (await client.get(f"/rooms/{code}")).status == 200  # an invitation
    strangers = limits.PAGES_OF_STRANGERS.name, "192.0.2.1"
    after = dict(frozen.own_limits._due)
    assert after.pop(strangers) > 1000.0
    assert after == pytest.approx({key: due for key, due in before.items() if key != strangers})


async def test_a_member_whose_page_cannot_be_read_does_not_pay_for_it(
    frozen: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await alice.get(f"/rooms/{code}")).status == 200
    before = dict(frozen.own_limits._due)

    async def fails(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(type(frozen.store), "snapshot", fails)
    assert (await alice.get(f"/rooms/{code}")).status == 503
    assert frozen.own_limits._due == pytest.approx(before)


async def test_what_an_address_refuses_does_not_use_up_the_person() -> None:
    own = limits.OwnLimits(now=lambda: 0.0)
    _use_up(own, limits.PAGES_OF_ADDRESS, "192.0.2.1")
    for _ in range(2 * limits.PAGES.burst):
        assert own.take_both((limits.PAGES, "ann"), (limits.PAGES_OF_ADDRESS, "192.0.2.1"))
    assert not own.take(limits.PAGES, "ann")


def _use_up(own: limits.OwnLimits, rate: limits.Rate, subject: str) -> None:
    while not own.take(rate, subject):
        pass


async def test_a_text_refused_while_its_page_is_refused_too_is_given_back(
    frozen: Context, alice: Person, code: str
) -> None:
    _spend(frozen, limits.PAGES, _person_of(frozen, alice))
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
    _spend(chat, limits.RESUMES, _person_of(chat, alice))
    waits: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("chat.web.sending.asyncio.sleep", quick)
    await bob.write(code, "missed")
    async with alice.live(code) as live:
        await live.resume(page)
        assert texts(await live.frame()) == ["missed"]
    assert 0 < max(waits) <= limits.PATIENCE


@pytest.mark.parametrize("rate", [limits.RESUMES, limits.CATCH_UPS])
async def test_a_page_far_over_the_rate_is_told_to_come_back_and_then_gets_everything(
    chat: Context, alice: Person, bob: Person, code: str, rate: Rate, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    await bob.write(code, "missed")
    monkeypatch.setattr(limits, "PATIENCE", 0.0)
    monkeypatch.setattr("chat.live.feed.RING", 0)  # everything has to be read from the log
    now = 1000.0
    monkeypatch.setattr(chat.own_limits, "_now", lambda: now)
    _spend(chat, rate, _person_of(chat, alice))
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


# Bytes ------------------------------------------------------------------------------------------------

QUOTES = '"' * 8190  # five times as long as HTML


async def _write_long(chat: Context, code: str, count: int) -> None:
    for start in range(0, count, 50):
        await asyncio.gather(
            *(
                chat.store.append(code, 1, f"k{n}", f"{n} {QUOTES[:8180]}")
                for n in range(start, min(start + 50, count))
            )
        )


async def test_pages_of_long_texts_are_bounded_in_bytes_and_lead_back_to_the_first(
    chat: Context, alice: Person, code: str
) -> None:
    await _write_long(chat, code, 20)
    found: list[str] = []
    query = ""
    while True:
        reply = await alice.get(f"/rooms/{code}{query}")
        assert len(reply.text.encode()) < 256 * 1024
        found = [text.split()[0] for text in texts(reply.page)] + found
        older = reply.page.all("#older a")
        if not older:
            break
        query = "?" + older[0]["href"].partition("?")[2]
        part = await alice.get(f"/rooms/{code}/earlier{query}")
        assert len(part.text.encode()) < 256 * 1024
        assert texts(part.page) == texts((await alice.get(f"/rooms/{code}{query}")).page)
    assert found == [str(n) for n in range(20)]


async def test_who_lacks_much_gets_it_in_frames_of_bounded_bytes(
    chat: Context, alice: Person, code: str
) -> None:
    page = await alice.look(code)
    await _write_long(chat, code, 60)
    async with alice.live(code) as live:
        await live.resume(page, since=0)
        while len(live.texts) < 60:
            await live.frame()
    assert [text.split()[0] for text in live.texts] == [str(n) for n in range(60)]
    assert max(len(frame.encode()) for frame in live.raw) < 256 * 1024
    assert len(live.raw) > 30


async def test_twenty_sockets_that_resume_and_do_not_read_hold_one_frame_each(
    chat: Context, alice: Person, bob: Person, code: str
) -> None:
    """960 texts of 8,190 quotation marks; each socket used to take 42 MiB."""
    await _write_long(chat, code, 960)
    gate = asyncio.Event()
    page = await alice.look(code)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context((alice, bob)[n % 2].live(code)) for n in range(20)]
        for live in sockets:
            live.hold_back(gate)
            await live.resume(page, since=0)
        await until(lambda: chat.hub.sending.in_flight > 0)
        connections = list(chat.hub.connections._by_id.values())
        await until(lambda: all((connection.cursor or 0) > 0 for connection in connections))
        for _ in range(200):  # they have all the time to take more
            await asyncio.sleep(0)
        assert chat.hub.sending.in_flight < 20 * 3 * 256 * 1024
        assert chat.hub.rendered.held <= 32 * 1024 * 1024
        assert chat.hub.catching_up.held <= 8 * 1024 * 1024
        gate.set()
    await until(lambda: chat.hub.sending.in_flight == 0)


async def test_over_the_budget_a_page_is_told_to_come_back_and_then_gets_everything(
    chat: Context, alice: Person, bob: Person, code: str
) -> None:
    page = await alice.look(code)
    await _write_long(chat, code, 3)
    chat.hub.sending.most = 1000
    async with alice.live(code) as live:
        await live.resume(page, since=0)
        assert await live.ended() == LATER
    assert live.texts == []
    assert chat.metrics.refusals.labels("sending")._value.get() == 1
    chat.hub.sending.most = 0
    stream = await bob.get(f"/rooms/{code}/stream")
    assert (stream.status, stream.headers["Refresh"]) == (503, "10")
    chat.hub.sending.most = 64 * 1024 * 1024
    async with alice.live(code) as live:
        await live.resume(page, since=0)
        while len(live.texts) < 3:
            await live.frame()
    assert [text.split()[0] for text in live.texts] == ["0", "1", "2"]
    assert chat.hub.sending.in_flight == 0


async def test_readers_at_the_same_place_share_one_read_also_one_after_the_other(
    chat: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    await _write_long(chat, code, 40)
    reads = 0

    async def counted(go_on: Any, *args: Any) -> Any:
        nonlocal reads
        reads += 1
        return await go_on()

    async with alice.live(code) as live:
        await live.resume(page, since=0)
        while len(live.texts) < 40:
            await live.frame()
        calls.intercept(monkeypatch, chat.store, log.changes, counted)
        for _ in range(3):
            async with alice.live(code) as other:
                await other.resume(page, since=0)
                while len(other.texts) < 40:
                    await other.frame()
                assert other.texts == live.texts
    assert reads == 0
