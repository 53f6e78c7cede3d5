"""Two looks that differ: each reader gets their own, however what they see was kept."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from typing import Any, get_type_hints

import pytest
from dom import Element
from hypothesis import given
from hypothesis import strategies as st
from people import Live, Person, until
from quart import Quart
from shapes import Shapes

from chat.context import Context
from chat.live.connection import Connection
from chat.live.feed import Feed
from chat.live.heartbeats import Heartbeats
from chat.model.members import Member
from chat.model.messages import KEY_LENGTH, Message, Previous
from chat.model.rooms import Position
from chat.views import messages
from chat.views.look import LOOK, Look
from chat.views.messages import RenderedMessages
from chat.views.reader import Choices, Reader, look_named
from chat.views.renderer import Renderer
from chat.zones import UNKNOWN, all_zones, same_clock

TWELVE = Look(clock="12")
GERMAN = Look("de", "Europe/Berlin")
TIMES = {LOOK: "08:16", TWELVE: "08:16 AM"}


def ms(text: str) -> int:
    """In UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@contextmanager
def of(look: Look) -> Iterator[None]:
    """A caller that asks meanwhile has this look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chat.views.reader.reader_for", lambda *_: Reader(look))
        yield


def times(seen: Element) -> set[str]:
    return {time.words for time in seen.all("li .by a time")}


def _topic(n: int, look: Look) -> str:
    return f"<p class=topic>{n} {look.language}</p>"


async def _time_of(text: str, live: Live) -> str:
    await live.until("li .text", text)
    message = next(item for item in live.frames[-1].all("li") if text in item.text)
    return message.one(".by a time").words


@pytest.mark.parametrize("path", ["", "/earlier?before=9", "/2", "?before=9"])
async def test_pages_are_in_the_look_of_their_readers(alice: Person, code: str, path: str) -> None:
    await alice.write(code, "a", "b")
    for look in (LOOK, TWELVE, LOOK, TWELVE):
        with of(look):
            assert times((await alice.get(f"/rooms/{code}{path}")).page) == {TIMES[look]}


async def test_pushes_and_what_is_caught_up_are_in_the_look_of_the_page(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.join(code)
    with of(TWELVE):
        page = await bob.look(code)
        async with bob.live(code) as his, alice.live(code) as hers:
            with of(LOOK):
                await alice.write(code, "before they follow")
            for live in (his, hers):
                await live.resume(page, since=0)
                assert await _time_of("before they follow", live) == TIMES[TWELVE]
    async with alice.in_room(code) as hers:
        with of(TWELVE):
            page = await bob.look(code)
            async with bob.live(code) as his:
                await his.resume(page)
                for text in ("one", "two"):
                    await alice.write(code, text)
                    for live, look in ((his, TWELVE), (hers, LOOK)):
                        assert await _time_of(text, live) == TIMES[look]


async def test_panels_are_in_the_look_of_the_page(alice: Person, code: str, chat: Context) -> None:
    async with alice.in_room(code) as hers:
        with of(GERMAN):
            async with alice.in_room(code) as his:
                feed = chat.hub.feeds[code]
                for n in range(2):
                    feed.show("topic", partial(_topic, n))
                    await his.until(".topic", f"{n} de")
                    await hers.until(".topic", f"{n} en")
                async with alice.in_room(code) as late:
                    await late.until(".topic", "1 de")


async def test_the_roster_is_rendered_in_each_look(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Look] = []

    def roster(people: object, frozen: bool, look: Look, away: object) -> str:
        rendered.append(look)
        return f"<p class=roster>{look.language}</p>"

    monkeypatch.setattr(chat.presence, "_roster", roster)
    async with alice.in_room(code) as hers:
        with of(GERMAN):
            async with alice.in_room(code) as his:
                chat.presence.refresh([code], urgent=True)
                await chat.presence.tick()
                await his.until(".roster", "de")
                await hers.until(".roster", "en")
    assert sorted(rendered[-2:]) == [GERMAN.words, LOOK.words]


async def test_alerts_are_in_the_look_of_the_page(chat: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = [Connection(Member("BCDFGHJK", 1, "person", "Ann", 1), look) for look in (LOOK, GERMAN)]
    for connection in connections:
        chat.hub.connections.admit(connection)
    monkeypatch.setattr(chat.hub.health._alerts, "outage", lambda outage, look: f"{outage} {look.language}")
    chat.hub.health._set_health(down=True)
    assert [connection.take_slots() for connection in connections] == [
        {"outage": "store en"},
        {"outage": "store de"},
    ]


async def test_heartbeats_are_in_the_look_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeats = Heartbeats(lambda look: f"beat {look.language}", lambda frames, changes: None)
    sent: list[bytes] = []

    def write(frame: bytes) -> bool:
        sent.append(frame)
        return True

    member = Member("BCDFGHJK", 1, "person", "Ann", 1)
    slow = Connection(member, GERMAN)
    free = [Connection(member, look, write_frame=write) for look in (LOOK, GERMAN)]
    waiting = [asyncio.create_task(connection.ready()) for connection in free]
    for connection in (*free, slow):
        heartbeats.add(connection)
    monkeypatch.setattr("chat.live.heartbeats.SECOND", 0)
    beating = asyncio.create_task(heartbeats.run())
    await until(lambda: len(sent) > 3 and len(slow.slots))
    for task in (beating, *waiting):
        task.cancel()
    assert set(sent) == {b"\x81\x07beat en", b"\x81\x07beat de"}
    assert slow.take_slots() == {"beat": "beat de"}


async def flushed(shapes: messages.Shapes, looks: Sequence[Look]) -> list[bytes]:
    """What one message is for pages of these looks, all of them free."""
    written: list[bytes] = []

    def write(data: bytes) -> bool:
        written.append(data)
        return True

    rendered = RenderedMessages(shapes)
    feed: Feed[Connection] = Feed("BCDFGHJK", rendered, lambda frames, changes: None, rendered.forget)
    for number, look in enumerate(looks, 1):
        connection = Connection(Member("BCDFGHJK", number, "p", "Ann", 1), look, write_frame=write)
        connection.cursor = 0
        feed.connections.add(connection)
    waiting = [asyncio.create_task(connection.ready()) for connection in feed.connections]
    await until(lambda: all(connection.idle for connection in feed.connections))
    feed.apply_next(Message(1, 1, 1, 1, "Ann", 1, "text"), Position("", 1))
    feed.flush()
    for task in waiting:
        task.cancel()
    return written


async def test_pages_of_equal_looks_share_their_frames(compiled: tuple[object, Renderer]) -> None:
    first, second = await flushed(compiled[1].messages, [Look(clock="12"), Look(clock="12")])
    assert first is second


async def test_what_looks_have_in_common_is_made_once_for_a_flush() -> None:
    shapes = Shapes()
    written = await flushed(shapes, [LOOK, Look("de"), Look("fr"), Look("de")])
    assert {frame[2:] for frame in written} == {b"+1=text ", b"+1=text(de) ", b"+1=text(fr) "}
    assert shapes.made == [1]


def test_everything_is_rendered_for_a_look(compiled: tuple[object, Renderer]) -> None:
    """None has a usual look: mypy finds a caller that forgets that of the reader."""
    for name, part in vars(compiled[1]).items():
        for method, function in inspect.getmembers(part, inspect.ismethod):
            if not method.startswith("_") and get_type_hints(function)["return"] != Callable[[Look], str]:
                parameters = inspect.signature(function).parameters
                look = parameters.get("look") or parameters.get("reader")
                assert look, f"{name}.{method}"
                assert look.default is inspect.Parameter.empty, f"{name}.{method}"


async def test_what_was_chosen_shows_on_pages_and_pushes(alice: Person, bob: Person, code: str) -> None:
    """08:16 in UTC, by the clock of the tests."""
    alice.client.set_cookie("localhost", "look", Choices(zone="Asia/Kathmandu", clock="12").cookie)
    await alice.write(code, "text")
    assert times((await alice.get(f"/rooms/{code}")).page) == {"02:01 PM"}
    assert times((await bob.get(f"/rooms/{code}")).page) == {"08:16"}
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await bob.write(code, "pushed")
        assert (await _time_of("pushed", hers), await _time_of("pushed", his)) == ("02:01 PM", "08:16")
    reply = await bob.get(f"/rooms/{code}", accept_language="ar-EG, en;q=0.5")
    assert (reply.page.one("html")["lang"], reply.page.one("html")["dir"]) == ("ar", "rtl")
    assert "h12" not in reply.page.one("html").classes
    assert "h12" in (await alice.look(code)).one("html").classes
    assert "Accept-Language" in reply.headers["Vary"]


async def test_a_cookie_of_garbage_is_none(alice: Person, code: str) -> None:
    for cookie in ("~" * 99, "x" * 4000, "de~Mars/Base", "%00"):
        alice.client.set_cookie("localhost", "look", cookie)
        reply = await alice.get(f"/rooms/{code}")
        assert reply.status == 200
        assert "UTC" in reply.page.one("#utc").words


async def test_the_operator_s_zone_is_that_of_who_has_chosen_none(
    alice: Person, code: str, app: Quart, chat: Context
) -> None:
    settings = replace(chat.settings, timezone="Europe/Berlin", language="de")
    app.extensions["chat"] = replace(chat, settings=settings)
    await alice.write(code, "text")
    page = (await alice.get(f"/rooms/{code}")).page
    assert times(page) == {"09:16"}
    assert page.one("html")["lang"] == "de"
    assert not page.has("#utc")


@pytest.mark.parametrize(
    "changed", [{}, {"mark": 2}, {"meta": {"edited": 1}}, {"kind": "notice", "author": None, "body": None}]
)
async def test_many_looks_in_one_room_share_their_templates(
    compiled: tuple[object, Renderer], monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    """With a zone for each of 200 people the templates are rendered twice for each language."""
    engine, rendered = compiled[1].engine, []
    shape = engine._shape

    def counted(language: str) -> Callable[..., str]:
        rendered.append(language)
        return shape(language)

    monkeypatch.setattr(engine, "_shape", counted)
    looks = [Look(*one) for one in product(("en", "de"), list(all_zones())[:50], ("12", "24"))]
    before, at = Previous(1, ms("2026-11-26T20:00")), ms("2026-11-27T12:00")
    message = replace(Message(2, 2, at, 1, "Ann", 1, "text", before=before), **changed)
    render = compiled[1].messages.message("BCDFGHJK", message)
    shown = [render(look) for look in looks]
    assert len(rendered) <= 4
    monkeypatch.undo()
    assert shown == [engine.message("BCDFGHJK", message, look) for look in looks]


async def test_few_fragments_of_a_message_are_kept(
    compiled: tuple[object, Renderer],
) -> None:
    rendered = RenderedMessages(compiled[1].messages)
    message = Message(1, 1, 1, 1, "Ann", 1, "text")
    looks = [Look("en", zone) for zone in list(all_zones())[:100]]
    first, again = (rendered.messages(looks, "BCDFGHJK", message) for _ in range(2))
    assert first == again
    assert rendered.held < 100_000


async def test_an_open_page_stays_in_its_look_whatever_was_chosen_since(alice: Person, code: str) -> None:
    """Else it would show times of two zones, once its socket has connected again."""
    alice.client.set_cookie("localhost", "look", Choices(zone="Asia/Kathmandu").cookie)
    page = await alice.look(code)
    said = json.loads(page.one("#resume")["hx-vals"])["look"]
    for text, chosen in (("one", Choices()), ("two", Choices("de", "Asia/Tokyo", "12"))):
        alice.client.set_cookie("localhost", "look", chosen.cookie)
        async with alice.live(code) as live:
            await live.resume(page, look=said)
            await alice.write(code, text)
            assert await _time_of(text, live) == "14:01"


@pytest.mark.parametrize("said", ["", "~", "xx~~24", "en~Mars~24", "x" * 9999, "en~Europe/Berlin"])
async def test_a_page_that_says_no_look_is_in_that_of_its_reader(alice: Person, code: str, said: str) -> None:
    page = await alice.look(code)
    async with alice.live(code) as live:
        await live.resume(page, look=said)
        await alice.write(code, "text")
        assert await _time_of("text", live) == "08:16"


@given(st.sampled_from(sorted(all_zones())), st.sampled_from(["en", "ar"]), st.sampled_from(["12", "24"]))
def test_a_page_says_which_look_it_is_in(zone: str, language: str, hours: str) -> None:
    for name in (same_clock(zone), UNKNOWN):
        look = Look(language, name, hours)
        assert look_named(look.token) == look
        assert len(look.token) <= KEY_LENGTH
