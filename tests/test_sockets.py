"""The WebSocket: who gets in, what is answered, what comes back, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import calls
import pytest
from deployments import BOTH, ONE
from dom import Element
from people import Exchange, FakeClock, Live, Person, Turn, notices, on_its_way, texts, until
from postgres import the_server
from quart import Quart
from quart.testing.connections import WebsocketResponseError

from chat import limits
from chat.context import Context
from chat.live import frames, goodbyes
from chat.live.connection import LATER, POLICY, RESTART
from chat.live.connections import SOCKETS
from chat.model.members import Member
from chat.model.notices import folded
from chat.model.receipts import BODIES
from chat.store import OutcomeUnknown, Unavailable, log, members
from chat.views.look import LOOK
from chat.web import acknowledging, fields

NOBODYS = "ZZZZ2222"


@pytest.fixture(params=BOTH)
def deployment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _acknowledge_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "ACKNOWLEDGE", 0.0)


def _failing(error: Exception) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


async def _refusal(person: Person, code: str, **headers: str) -> Any:
    """The response to a handshake that is refused before the socket is accepted."""
    async with person.live(code, **headers) as live:
        assert not live.connection.accepted
        with pytest.raises(WebsocketResponseError) as refused:
            await live.frame()
    return refused.value.response


async def _acknowledged(live: Live) -> tuple[int, str]:
    """How many controls go, and the new value of `acked`, when the server says so."""
    value = (await live.until("hx-partial[hx-target=#acked] input")).value
    target = next(p["hx-target"] for p in live.frames[-1].all("hx-partial") if "nth-child" in p["hx-target"])
    return int(target.removeprefix(":is(#texts,#replies)>:nth-child(-n+").removesuffix(")")), value


# Admission --------------------------------------------------------------------------------------------


async def test_a_socket_from_elsewhere_is_refused_before_it_is_accepted(alice: Person, code: str) -> None:
    for origin in [
        "",
        "null",
        "http://evil.example",
        "http://localhost:81",
        "http://localhost.evil.example",
        "http://[",
    ]:
        assert (await _refusal(alice, code, origin=origin)).status_code == 403


async def test_a_member_of_this_very_site_is_admitted(alice: Person, code: str) -> None:
    async with alice.live(code) as live:
        assert live.connection.accepted


@pytest.mark.parametrize("room", ["the room", NOBODYS, "nonsense", "%00", "x" * 3000])
async def test_a_stranger_is_told_goodbye_and_to_stay_away(client: Person, code: str, room: str) -> None:
    async with client.live(code if room == "the room" else room) as live:
        await live.resume()
        assert await live.ended() == POLICY
    (frame,) = live.frames
    assert "You are not in this room." in frame.one("[role=alert]").text
    targets = {part["hx-target"] for part in frame.all("hx-partial")}
    assert targets == {"#foot", "#triggers", "#signs", "#messages", "#roster", ".narrow", "#rail"}
    assert frame.one("a")["href"].startswith("/rooms/")


async def test_nobody_learns_from_a_socket_whether_a_room_exists(client: Person, code: str) -> None:
    async with client.live(code) as one, client.live(NOBODYS) as other:
        assert await one.ended() == await other.ended()
    assert one.raw[0].replace(code, "") == other.raw[0].replace(NOBODYS, "")


async def test_a_stranger_sees_nothing_of_the_room(alice: Person, client: Person, code: str) -> None:
    await alice.write(code, "secret")
    async with client.live(code) as live:
        await alice.write(code, "secret too")
        await live.ended()
    assert "secret" not in "".join(live.raw)
    assert "Alice" not in "".join(live.raw)


async def test_a_stranger_cannot_write(alice: Person, client: Person, code: str) -> None:
    async with client.live(code) as live:
        await live.say("planted")
        assert await live.ended() == POLICY
    assert await alice.texts(code) == []


async def test_a_careless_code_reaches_the_room(alice: Person, code: str) -> None:
    async with alice.live(f"{code[:4]}-{code[4:]}".lower()) as live:
        await live.say("hello")
        await _acknowledged(live)
    assert await alice.texts(code) == ["hello"]


async def test_a_store_that_is_away_refuses_before_it_accepts(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.intercept(monkeypatch, chat.store, members.find_seat, _failing(Unavailable("away")))
    assert (await _refusal(alice, code)).status_code == 503


async def test_a_fault_of_ours_refuses_before_it_accepts(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls.intercept(monkeypatch, chat.store, members.find_seat, _failing(RuntimeError("oops")))
    response = await _refusal(alice, code)
    assert response.status_code == 500
    assert b"oops" not in await response.get_data(as_text=False)
    assert "request-failed path=sockets.live" in caplog.text


# Resuming ---------------------------------------------------------------------------------------------


async def test_nothing_is_pushed_before_the_page_says_what_it_has(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.live(code) as live:
        await bob.write(code, "one", "two")
        assert live.quiet
        await live.resume(await alice.look(code), since=0)
        await live.frame()
    assert live.texts == ["one", "two"]


async def test_a_page_is_brought_exactly_what_it_lacks_in_one_frame(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "seen")
    page = await alice.look(code)
    await bob.write(code, *(f"missed {n}" for n in range(5)))
    async with alice.live(code) as live:
        await live.resume(page)
        frame = await live.frame()
        assert texts(frame) == [f"missed {n}" for n in range(5)]
        await bob.write(code, "and now")
        assert texts(await live.frame()) == ["and now"]


async def test_a_page_of_an_empty_room_lacks_everything(alice: Person, bob: Person, code: str) -> None:
    page = await alice.look(code)
    await bob.write(code, "first")
    async with alice.live(code) as live:
        await live.resume(page)
        assert texts(await live.frame()) == ["first"]


async def test_what_is_pushed_is_what_the_page_shows(alice: Person, bob: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await bob.write(code, "hello <b> https://example.com\nbye")
        await live.frame()
    assert live.raw[-1].strip() in (await alice.get(f"/rooms/{code}")).text


async def test_everybody_is_sent_the_same_bytes(alice: Person, bob: Person, code: str) -> None:
    async with alice.in_room(code) as hers, bob.in_room(code) as his:
        await alice.write(code, "hello")
        await hers.frame()
        await his.frame()
    assert hers.raw == his.raw


async def test_a_page_that_missed_nothing_gets_nothing(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "seen")
    async with alice.in_room(code) as live:
        await bob.write(code, "new")
        assert texts(await live.frame()) == ["new"]


async def test_a_page_of_another_epoch_gets_the_newest_page(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "one", "two")
    for epoch in ("another", "", None, 7, ["x"], {"a": 1}, "\ud800", "x" * 5000):
        async with alice.live(code) as live:
            await live.resume(epoch=epoch, since="1")
            frame = await live.frame()
            assert texts(frame.one("hx-partial[hx-target=#messages]")) == ["one", "two"]
            fresh = json.loads(frame.one("hx-partial[hx-target=#resume] #resume")["hx-vals"])
            assert fresh == json.loads((await alice.look(code)).one("#resume")["hx-vals"])


async def test_after_the_newest_page_came_the_room_goes_on(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "one")
    async with alice.live(code) as live:
        await live.resume(epoch="another", since="1")
        await live.frame()
        await bob.write(code, "two")
        assert texts(await live.frame()) == ["two"]


async def test_a_page_more_than_a_thousand_revs_behind_gets_the_newest_page(
    alice: Person, code: str, chat: Context
) -> None:
    page = await alice.look(code)
    for start in range(0, 1001, 250):
        await asyncio.gather(
            *(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(start, start + 250))
        )
    async with alice.live(code) as live:
        await live.resume(page)
        frame = await live.frame()
        newest = frame.one("hx-partial[hx-target=#messages]")
        assert texts(newest)[-1] == "m1249"
        assert len(texts(newest)) == 50
        assert newest.has("#older a")
        assert newest.has("ol#live")


async def test_a_senseless_since_means_nothing_is_known(alice: Person, bob: Person, code: str) -> None:
    await bob.write(code, "one")
    senseless: list[object] = [None, "", "abc", -5, "-5", [], {}, False, "0x1", "²", 0.5, 1.5]
    for since in senseless:
        async with alice.live(code) as live:
            await live.resume(await alice.look(code), since=since)
            assert texts(await live.frame()) == ["one"], since


async def test_a_since_from_the_future_harms_nobody(alice: Person, bob: Person, code: str) -> None:
    async with alice.live(code) as live, bob.in_room(code) as other:
        await live.resume(await alice.look(code), since="9" * 15)
        await live.say("still here")
        await _acknowledged(live)
        await other.until("li", "still here")


async def test_resuming_again_on_the_same_socket_starts_from_there(
    alice: Person, bob: Person, code: str
) -> None:
    page = await alice.look(code)
    await bob.write(code, "one", "two")
    async with alice.live(code) as live:
        for _ in range(2):
            await live.resume(page)
            assert texts(await live.frame()) == ["one", "two"]


def _restore(url: str) -> None:
    """As a back-up would: what comes next is another history."""
    if url.startswith("postgresql:"):
        the_server().sql(f"UPDATE {url.partition('search_path=')[2]}.room SET epoch = 'restored'", "postgres")
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        db.execute("UPDATE room SET epoch = 'restored'")
    db.close()


async def test_after_a_restored_back_up_everybody_gets_the_newest_page(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    await bob.write(code, "one")
    async with alice.in_room(code) as live:
        _restore(chat.settings.database_url)
        await chat.hub.repairs.check()
        assert texts((await live.frame()).one("hx-partial[hx-target=#messages]")) == ["one"]
        await bob.write(code, "two")
        assert texts(await live.frame()) == ["two"]


# The composer -----------------------------------------------------------------------------------------


async def test_a_text_is_acknowledged_once_it_is_stored(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("hello")
        assert await _acknowledged(live) == (1, "1")
        assert await alice.texts(code) == ["hello"]
    assert live.texts == ["hello"]


async def test_a_text_is_not_acknowledged_before_it_is_stored(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, append = asyncio.Event(), chat.store.append

    async def slowly(*args: Any) -> Any:
        await gate.wait()
        return await append(*args)

    monkeypatch.setattr(chat.store, "append", on_its_way(slowly))
    async with alice.in_room(code) as live:
        await live.say("hello")
        await asyncio.sleep(0.05)
        assert live.quiet
        gate.set()
        assert await _acknowledged(live) == (1, "1")


async def test_two_quick_sends_of_a_page_are_two_messages(alice: Person, code: str) -> None:
    """The second leaves before the first is acknowledged: the first control is still there and goes along."""
    async with alice.in_room(code) as live:
        await live.say("one")
        await live.say("one", "two")
        done = 0
        while done < 2:
            controls, acked = await _acknowledged(live)
            done += controls
        assert (done, acked) == (2, "2")
    assert await alice.texts(code) == ["one", "two"]
    assert live.texts == ["one", "two"]


async def test_the_same_text_twice_is_two_messages(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("ha", acked=0)
        await _acknowledged(live)
        await live.say("ha", acked=1)
        assert await _acknowledged(live) == (1, "2")
    assert await alice.texts(code) == ["ha", "ha"]


async def test_a_repeated_frame_stores_nothing_and_removes_no_second_control(
    alice: Person, code: str
) -> None:
    async with alice.in_room(code) as live:
        for _ in range(3):
            await live.say("hello")
        assert await _acknowledged(live) == (1, "1")
        await live.say("end", acked=1)
        assert await _acknowledged(live) == (1, "2")
    assert await alice.texts(code) == ["hello", "end"]


async def test_two_different_texts_under_one_key_are_both_kept(alice: Person, code: str) -> None:
    """A page cannot say this, but a client may; no text is lost, and no control but the first one goes."""
    async with alice.in_room(code) as live:
        await live.say("one")
        await live.say("two")
        assert await _acknowledged(live) == (1, "1")
        await live.until("li", "two") if "two" not in live.texts else None
        await live.say("three", acked=1)
        assert await _acknowledged(live) == (1, "2")
    assert await alice.texts(code) == ["one", "two", "three"]


async def test_a_client_of_its_own_may_use_a_key_per_message_and_no_count(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        for n in range(5):
            await live.send(body=f"m{n}", key=f"key {n}")
        await live.send(body="m2", key="key 2")  # repeated
        await live.send(body="end", key="k" * 64)
        await live.until("li", "end")
    assert await alice.texts(code) == [f"m{n}" for n in range(5)] + ["end"]


async def test_text_in_flight_is_neither_lost_nor_doubled_by_a_new_connection(
    alice: Person, code: str
) -> None:
    page = await alice.look(code)
    async with alice.live(code) as live:
        await live.say("stored, not acknowledged", acked=0)
        await until(lambda: not live.quiet)
    async with alice.live(code) as live:
        await live.resume(page, key="page", acked="0", body=["stored, not acknowledged", "never arrived"])
        done = 0
        while done < 2:
            controls, acked = await _acknowledged(live)
            done += controls
        assert (done, acked) == (2, "2")
        while len(live.texts) < 2:
            await live.frame()
    assert await alice.texts(code) == ["stored, not acknowledged", "never arrived"]
    assert live.texts == ["stored, not acknowledged", "never arrived"]


async def test_a_resume_with_one_text_is_no_different(alice: Person, code: str) -> None:
    page = await alice.look(code)
    for _ in range(2):
        async with alice.live(code) as live:
            await live.resume(page, key="page", acked="0", body="in flight")
            assert await _acknowledged(live) == (1, "1")
            if "in flight" not in live.texts:
                await live.until("li", "in flight")
    assert await alice.texts(code) == ["in flight"]


async def test_two_pages_of_one_person_do_not_disturb_each_other(alice: Person, code: str) -> None:
    async with alice.in_room(code) as one, alice.in_room(code) as other:
        await one.say("same", key="page 1")
        await other.say("same", key="page 2")
        assert await _acknowledged(one) == (1, "1")
        assert await _acknowledged(other) == (1, "1")
    assert await alice.texts(code) == ["same", "same"]


async def test_messages_of_one_socket_keep_their_order(
    alice: Person, bob: Person, code: str, chat: Context, app: Quart
) -> None:
    app.extensions["chat"] = replace(chat, limits=limits.Limits(enabled=False))
    async with alice.in_room(code) as live, bob.in_room(code) as reader:
        for n in range(200):
            await live.say(f"m{n}", key="page", acked=n)
        await reader.until("li", "m199")
    assert reader.texts == [f"m{n}" for n in range(200)]


async def test_the_acknowledgement_waits_until_the_next_control_is_there(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acknowledging, "ACKNOWLEDGE", 0.2)
    async with alice.in_room(code) as live:
        asked = asyncio.get_running_loop().time()
        await live.say("hello")
        await live.until("li", "hello")
        assert asyncio.get_running_loop().time() - asked < 0.2, "the message itself does not wait"
        await _acknowledged(live)
        assert asyncio.get_running_loop().time() - asked >= 0.2


# Refused texts ----------------------------------------------------------------------------------------


async def _refused(live: Live) -> Element:
    form = await live.until("hx-partial[hx-target=#refused] form")
    assert form.parent
    assert form.parent["hx-swap"] == "beforeend"
    return form


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("x" * 8193, "Not sent: 1 character too long. Shorten it or send it in two parts."),
        ("\n" + "漢" * 2731, "Not sent: 1 character too long. Shorten it or send it in two parts."),
        ("  ", "Please write something first."),
        ("\u202e\u3164\u0301", "Please write something first."),
        (
            "</textarea><script>" + "x" * 8193,
            "Not sent: 20 characters too long. Shorten it or send it in two parts.",
        ),
        (
            "\ud800" * 9000 + "x" * 8193,
            "Not sent: 1 character too long. Shorten it or send it in two parts.",
        ),
        ("\ud800", "Please write something first."),
    ],
    ids=["8193 bytes", "8193 bytes of Chinese", "blank", "invisible", "markup", "surrogates", "a surrogate"],
)
async def test_a_refused_text_appears_beside_the_composer_with_its_reason(
    alice: Person, code: str, body: str, reason: str
) -> None:
    async with alice.in_room(code) as live:
        await live.say(body)
        form = await _refused(live)
        assert form.one("[role=alert]").words == reason
        assert form.one("textarea[name=body]").value == body.replace("\ud800", "?")
        assert form.one("textarea[name=body]")["aria-label"]
        assert next(button.words for button in form.all("button")) == "Send again"
        if not any(frame.has("#acked") for frame in live.frames):
            await _acknowledged(live)
        assert any("nth-child(-n+1)" in raw for raw in live.raw), "its control is dealt with"
    assert await alice.texts(code) == []


async def test_a_refused_text_is_not_lost_behind_an_alert(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    leaves = [first, second]

    async def take(*_: Any) -> float:
        await leaves.pop(0).wait()
        return 0.0

    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        gate = await live.stall(connection, bob.write(code, "something to send"))  # a slow phone
        monkeypatch.setattr(chat.limits, "take", take)
        monkeypatch.setattr(chat.limits, "take_now", lambda *_: False)
        await live.say("precious" + "x" * 9000, key="page")
        await live.send(k="unknown")
        await until(lambda: not leaves)
        first.set()
        await until(lambda: "precious" in connection.slots.text)
        second.set()
        await until(lambda: "Something went wrong" in connection.slots.text)
        gate.set()
        assert (await _refused(live)).one("textarea").value.startswith("precious")


async def test_a_refused_text_is_not_lost_behind_an_outage(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        gate = await live.stall(connection, bob.write(code, "something to send"))
        monkeypatch.setattr(type(chat.store), "append", on_its_way(_failing(Unavailable("full"))))
        await live.send(key="page", body=["precious" + "x" * 9000, "cannot be stored"])
        await until(lambda: connection.closing)
        gate.set()
        assert (await _refused(live)).one("textarea").value.startswith("precious")


async def test_a_page_that_does_not_read_has_a_bounded_outbox(
    app: Quart, alice: Person, code: str, chat: Context
) -> None:
    """As many texts as one frame holds, refused: nothing more is taken until the page has read them."""
    app.extensions["chat"] = replace(chat, limits=limits.Limits(enabled=False))
    gate = asyncio.Event()
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        live.hold_back(gate)
        for n in range(10):
            await live.send(key=f"key {n}", body=["x" * 9000] * BODIES)
        await until(lambda: live.connection._send_queue.qsize() < 9 and connection.unanswered)
        await asyncio.sleep(0.1)
        assert len(connection.slots) <= 2 * BODIES
        gate.set()
        refused = 0
        while refused < 10 * BODIES:
            await _refused(live)
            refused += len(live.frames[-1].all("form.refused"))


async def test_a_refused_text_with_an_emoji_comes_back_as_it_was(alice: Person, code: str) -> None:
    text = "🩷 &#129655; <é> 字 " + "x" * 9000
    async with alice.in_room(code) as live:
        await live.say(text)
        assert (await _refused(live)).one("textarea").value == text


async def test_a_refused_text_sent_again_is_stored_and_its_form_goes(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.in_room(code) as live:
        await live.say("x" * 9000)
        form = await _refused(live)
        assert "hx-ws:send" in form
        fields = {control["name"]: control.value for control in form.all("input")}
        await live.send(**fields, body="shorter")
        gone = await live.until(f"hx-partial[hx-target=#{form.id}]")
        assert gone["hx-swap"] == "delete"
        assert not any(frame.has(f"hx-partial[hx-target=#{form.id}] textarea") for frame in live.frames)
    assert await bob.texts(code) == ["shorter"]


async def test_a_text_that_was_stored_and_is_refused_as_a_repeat_is_not_stored_again(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    """Stored, the connection died before the answer, and by the time of the repeat too much was written."""
    async with alice.in_room(code) as live:
        await live.send(key="page", acked="0", body="hello")
        await live.until("li .text", "hello")
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        while chat.own_limits.take(limits.BYTES, connection.member.person, 30, 100_000) <= 30:
            pass
        await live.send(key="page", acked="0", body="hello")
        form = await _refused(live)
        fields = {control["name"]: control.value for control in form.all("input")}
        chat.own_limits._due.clear()
        await live.send(**fields, body=form.one("textarea").value.strip())
        await live.until(f"hx-partial[hx-target=#{form.id}]")
    assert await bob.texts(code) == ["hello"]


async def test_a_repeated_frame_is_refused_once(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        for _ in range(3):
            await live.say("x" * 9000)
        await live.say("end", key="other")
        await live.until("li", "end")
        assert len([form for frame in live.frames for form in frame.all("form.refused")]) == 1


async def test_sent_again_and_refused_again_it_comes_back(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("x" * 9000)
        form = await _refused(live)
        fields = {control["name"]: control.value for control in form.all("input")}
        await live.send(**fields, body="y" * 9000)
        again = await _refused(live)
        assert again.id != form.id
        assert again.one("textarea").value == "y" * 9000
        assert any(frame.has(f"hx-partial[hx-target=#{form.id}]") for frame in live.frames)
    assert await alice.texts(code) == []


async def test_send_again_pressed_twice_stores_once(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        for _ in range(2):
            await live.send(key="abc", again="abc", body="once")
        await live.say("end")
        await live.until("li", "end")
    assert await alice.texts(code) == ["once", "end"]


async def test_send_again_by_an_ordinary_form_works_too(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("x" * 9000)
        form = await _refused(live)
    fields = {control["name"]: control.value for control in form.all("input")}
    assert form["action"] == f"/rooms/{code}/messages"
    assert (await alice.post(form["action"], fields | {"body": "shorter"})).status == 303
    assert await alice.texts(code) == ["shorter"]


async def test_a_strange_again_selects_nothing_on_the_page(alice: Person, code: str) -> None:
    strange = ['x"] *', "é", "", "a b", "<b>", 7, None, ["a"]]
    async with alice.in_room(code) as live:
        for n, again in enumerate(strange):
            await live.send(key=f"k{n}", again=again, body=f"text {n}")
            await live.until("li", f"text {n}")
        await live.say("end", key="other")
        await live.until("li", "end")
    targets = [part["hx-target"] for frame in live.frames for part in frame.all("hx-partial")]
    assert not [target for target in targets if target.startswith("#refused-")]


async def test_an_impossible_key_is_refused_with_the_text(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        for key in ("", "k" * 65, "a\nb", "\0", "\ud800"):
            await live.say(f"precious {key!r}", key=key)
            form = await _refused(live)
            assert form.one("textarea").value == f"precious {key!r}"
            assert "reload the page" in form.one("[role=alert]").text


async def test_a_failing_store_sends_the_page_away_to_come_back_with_its_text(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    for failure in (Unavailable("away"), OutcomeUnknown("perhaps")):
        with monkeypatch.context() as patch:
            patch.setattr(chat.store, "append", on_its_way(_failing(failure)))
            async with alice.live(code) as live:
                await live.resume(page)
                await live.say("precious")
                assert await live.ended() == LATER
            assert any("Keep writing" in raw for raw in live.raw)
            assert not any(frame.has("#acked") for frame in live.frames)
    async with alice.live(code) as live:
        await live.resume(page, key="page", acked="0", body="precious")
        assert await _acknowledged(live) == (1, "1")
    assert await alice.texts(code) == ["precious"]


async def test_a_page_that_cannot_be_brought_up_to_date_comes_back_later(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await alice.look(code)
    calls.intercept(monkeypatch, chat.store, log.heads, _failing(Unavailable("away")))
    async with alice.live(code) as live:
        await live.resume(page)
        assert await live.ended() == LATER
    monkeypatch.undo()
    async with alice.in_room(code) as live:
        await alice.write(code, "better")
        await live.until("li", "better")


async def test_a_fault_of_ours_is_said_politely_and_noted(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with alice.in_room(code) as live:
        with monkeypatch.context() as patch:
            patch.setattr(chat.store, "append", on_its_way(_failing(RuntimeError("oops"))))
            await live.say("precious")
            form = await live.until("form.refused")
        assert "Something went wrong" in form.text
        assert form.one("textarea").text.strip() == "precious"
        assert "oops" not in "".join(live.raw)
        await live.say("precious", acked=1)
        await live.until("li", "precious")
    assert "post-failed" in caplog.text


# Rates ------------------------------------------------------------------------------------------------


async def test_texts_over_the_rate_wait_their_turn_and_none_is_lost(
    app: Quart, chat: Context, alice: Person, code: str
) -> None:
    app.extensions["chat"] = replace(chat, limits=limits.Limits())  # by the real clock
    start = asyncio.get_running_loop().time()
    async with alice.in_room(code) as live:
        for n in range(13):
            await live.say(f"m{n}", acked=n)
        await live.until("li", "m12")
    assert asyncio.get_running_loop().time() - start >= 0.5
    assert await alice.texts(code) == [f"m{n}" for n in range(13)]
    assert not any(frame.has("form.refused") for frame in live.frames)


class Shuffled(limits.Limits):
    """Answers late questions first, as Redis may that is asked over several connections."""

    asked = 0

    def take_now(self, rate: limits.Rate, subject: str) -> bool:
        return False

    async def take(self, rate: limits.Rate, subject: str, patience: float = 0.0, count: int = 1) -> float:
        wait = await super().take(rate, subject, patience, count)
        self.asked += 1
        await asyncio.sleep(0.1 / self.asked)
        return wait


async def test_texts_keep_their_order_however_long_each_asks_for_the_rate(
    app: Quart, chat: Context, alice: Person, code: str
) -> None:
    app.extensions["chat"] = replace(chat, limits=Shuffled())
    async with alice.in_room(code) as live:
        await live.say("one", "two", "three")
        await live.say("four", key="another")
        await live.until("li", "four")
    assert await alice.texts(code) == ["one", "two", "three", "four"]


class ClosedLimits(limits.Limits):
    """Nobody is answered before the gate opens. A cancellation may be swallowed, as redis-py does on 3.11."""

    def __init__(self, swallows: bool) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self._swallows = swallows

    def take_now(self, rate: limits.Rate, subject: str) -> bool:
        return False

    async def take(self, rate: limits.Rate, subject: str, patience: float = 0.0, count: int = 1) -> float:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            if not self._swallows:
                raise
        return await super().take(rate, subject, patience, count)


async def _forever(*_: Any) -> None:
    await asyncio.Event().wait()


async def _posted() -> None:
    await until(lambda: not [t for t in asyncio.all_tasks() if "_submit_waiting" in repr(t.get_coro())])


@pytest.mark.parametrize("swallows", [False, True], ids=["cancelled", "cancelled in vain"])
async def test_texts_that_wait_when_their_connection_ends_are_not_stored_behind_the_page_s_back(
    app: Quart, chat: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch, swallows: bool
) -> None:
    """The page sends them again, in order: one that came in later would be out of it."""
    closed = ClosedLimits(swallows)
    app.extensions["chat"] = replace(chat, limits=closed)
    page = await alice.look(code)
    async with alice.live(code) as live:
        monkeypatch.setattr(chat.hub, "join", _forever)
        await live.resume(page, key="page", acked="0", body=["one", "two"])
        await until(lambda: [t for t in asyncio.all_tasks() if "_submit_waiting" in repr(t.get_coro())])
        await chat.hub.connections.terminate()
        assert await live.ended() == RESTART
    closed.gate.set()
    await _posted()
    assert await alice.texts(code) == []


async def test_after_a_text_that_failed_those_behind_it_are_not_stored_either(
    app: Quart, chat: Context, alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while the connection is busy with something else and has yet to hear of it."""
    append, failures = chat.store.append, [Unavailable("away")]

    def appended(*text: Any) -> Any:
        if failures:
            raise failures.pop()
        return append(*text)

    page = await alice.look(code)
    async with alice.live(code) as live:
        monkeypatch.setattr(chat.hub, "join", _forever)
        monkeypatch.setattr(chat.store, "append", appended)
        await live.resume(page, key="page", acked="0", body=["one", "two"])
        await until(lambda: not failures)
        await _posted()
    assert await alice.texts(code) == []


# Over several nodes rates go by Redis's clock, which nobody steers: tests/test_redis_limits.py.
@pytest.mark.parametrize("deployment", [ONE])
async def test_a_text_that_would_wait_longer_than_20_seconds_is_refused_at_once(
    alice: Person, code: str, chat: Context, clock: FakeClock
) -> None:
    page = await alice.look(code)
    person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
    for _ in range(10 + 100 + 1):
        await chat.limits.take(limits.MESSAGES, person, patience=1000)
    async with alice.live(code) as live:
        await live.resume(page)
        await live.say("too much")
        form = await _refused(live)
        assert "too many at once" in form.one("[role=alert]").text
        assert form.one("textarea").value == "too much"
        clock.pass_by(60)
        fields = {control["name"]: control.value for control in form.all("input")}
        await live.send(**fields, body="too much")
        await live.until("li", "too much")
    assert await alice.texts(code) == ["too much"]


def test_a_flush_of_a_hundred_queued_texts_fits_the_patience() -> None:
    assert limits.PATIENCE == 20.0
    assert limits.PATIENCE / limits.MESSAGES.every + limits.MESSAGES.burst >= 100


@pytest.mark.parametrize("deployment", [ONE])  # as above
async def test_garbage_is_paced_like_texts(alice: Person, code: str, chat: Context) -> None:
    async with alice.in_room(code) as live:
        person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
        await live.send_text("garbage")
        await live.until("[role=alert]")
        spent = 0
        while not await chat.limits.take(limits.MESSAGES, person):
            spent += 1
        assert spent == limits.MESSAGES.burst - 1


# Garbage ----------------------------------------------------------------------------------------------

GARBAGE: dict[str, str | bytes] = {
    "nothing": "",
    "no json": "hello",
    "broken json": '{"body": "x"',
    "a list": '["body", "key"]',
    "a number": "7",
    "a huge number": "9" * 100_000,
    "a float": "1e999",
    "nan": "NaN",
    "null": "null",
    "true": "true",
    "a string": '"body"',
    "an empty object": "{}",
    "deeply nested lists": "[" * 100_000 + "]" * 100_000,
    "deeply nested objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "deeply nested text": '{"key": "k", "body": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "binary": b"\x00\xff\xfe",
    "binary json": b'{"body": "x", "key": "k"}',
    "empty binary": b"",
    "nul": "\0",
    "a byte order mark": "\ufeff{}",
    "a surrogate": '"\\ud800"',
    "unknown fields": '{"what": 1, "is": [2], "this": {"a": null}}',
    "another kind": '{"k": "delete", "id": 1}',
    "kind of a wrong type": '{"k": {"k": "resume"}}',
    "a surrogate for a kind": '{"k": "\\ud800"}',
    "no key": '{"body": "x"}',
    "key null": '{"body": "x", "key": null}',
    "key a number": '{"body": "x", "key": 7}',
    "key a list": '{"body": "x", "key": ["k"]}',
    "body null": '{"body": null, "key": "k"}',
    "body a number": '{"body": 7, "key": "k"}',
    "body an object": '{"body": {"a": "b"}, "key": "k"}',
    "body a list of numbers": '{"body": ["x", 7], "key": "k"}',
    "body a list of lists": '{"body": [["x"]], "key": "k"}',
    "too many bodies": json.dumps({"body": ["x"] * 101, "key": "k"}),
    "only headers": '{"headers": {"HX-Request": "true"}}',
}


async def test_garbage_is_refused_politely_and_the_connection_lives(
    app: Quart, alice: Person, code: str, chat: Context, caplog: pytest.LogCaptureFixture
) -> None:
    app.extensions["chat"] = replace(chat, limits=limits.Limits(enabled=False))
    async with alice.in_room(code) as live:
        for kind, garbage in GARBAGE.items():
            await (live.send_bytes(garbage) if isinstance(garbage, bytes) else live.send_text(garbage))
            alert = await live.until("hx-partial[hx-target=#notice] [role=alert]")
            assert alert.words == "Something went wrong. Please reload the page.", kind
            await live.say(f"alive after {kind}", key=kind)
            await live.until("li", f"alive after {kind}")
    assert live.texts == [f"alive after {kind}" for kind in GARBAGE]
    assert "Traceback" not in caplog.text


STRANGE: dict[str, dict[str, object]] = {
    "acked null": {"acked": None},
    "acked a word": {"acked": "many"},
    "acked negative": {"acked": -3},
    "acked huge": {"acked": int("9" * 4000)},
    "acked a huge text": {"acked": "9" * 100_000},
    "acked a float": {"acked": 1.5},
    "acked infinite": {"acked": float("inf")},
    "acked a list": {"acked": [1]},
    "acked an object": {"acked": {"a": 1}},
    "acked true": {"acked": True},
    "acked a superscript": {"acked": "²"},
    "a surrogate in the key's neighbour": {"x": "\ud800"},
    "unknown fields": {"a": 1, "b": [{}], "HEADERS": {}, "headers": "none"},
    "since and epoch": {"since": "x", "epoch": 7},
    "another kind": {"k": "message"},
}


async def test_a_text_with_strange_company_is_still_a_text(
    app: Quart, alice: Person, code: str, chat: Context
) -> None:
    app.extensions["chat"] = replace(chat, limits=limits.Limits(enabled=False))
    async with alice.in_room(code) as live:
        for kind, company in STRANGE.items():
            await live.send(body=f"with {kind}", key=kind, **company)
            await live.until("li", f"with {kind}")
    assert await alice.texts(code) == [f"with {kind}" for kind in STRANGE]


async def test_a_text_of_odd_characters_reaches_everybody(alice: Person, bob: Person, code: str) -> None:
    odd = ["a\ud800b", "a\0b", "a\x1bb", "a\u2028b", "\ufffe x", "e\u0301" * 500, "\u202ex", "x" * 8192]
    async with bob.in_room(code) as reader, alice.in_room(code) as live:
        for text in odd:
            await live.say(text, key=str(odd.index(text)))
            await reader.until("li .text")
    assert reader.texts == [re.sub("[\ud800\0\x1b]", "", text) for text in odd]


async def test_an_empty_list_of_texts_is_nothing(alice: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.send(body=[], key="k")
        await live.say("end")
        assert await _acknowledged(live) == (1, "1")
    assert await alice.texts(code) == ["end"]


async def test_whoever_does_not_read_is_not_answered_any_further(
    app: Quart, alice: Person, code: str, chat: Context
) -> None:
    """What is refused to a sender who reads nothing fills one note, not the memory."""
    app.extensions["chat"] = replace(chat, limits=limits.Limits(enabled=False))
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        gate = asyncio.Event()
        live.hold_back(gate)
        for n in range(20):
            await live.say("x" * 9000, key=f"k{n}")
        await until(lambda: live.connection._send_queue.qsize() < 19 and connection.unanswered)
        await asyncio.sleep(0.1)
        assert len(connection.slots.text) < 2 * 9000
        gate.set()
        for _ in range(20):
            await _refused(live)


# People, notices and rosters --------------------------------------------------------------------------


async def test_entering_is_told_to_everybody_in_the_conversation(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    async with alice.in_room(code) as live:
        await turn()
        assert notices(await live.frame()) == ["Alice is here for the first time"]
        async with bob.in_room(code):
            await turn(2)
            amended = await live.until("hx-partial li.notice", "Bob")
            assert amended.all("p")[-1].words.startswith("Alice and Bob are here for the first time")
            assert amended.parent
            assert amended.parent["hx-target"] == f"#{amended.id}"
    assert notices(await alice.look(code)) == ["Alice and Bob are here for the first time"]


async def test_the_roster_is_pushed_with_its_count(alice: Person, bob: Person, code: str, turn: Turn) -> None:
    async with alice.in_room(code) as live, bob.in_room(code), bob.in_room(code):
        await turn()
        await turn(2)
        roster = await live.until("hx-partial[hx-target=#roster]")
        assert [label.text for label in roster.all("li bdi")] == ["Alice", "Bob"]
        assert roster.one(".count").text == "2"


async def test_whoever_comes_back_sees_who_is_here(alice: Person, bob: Person, code: str, turn: Turn) -> None:
    async with alice.in_room(code), bob.in_room(code):
        await turn()
        await turn(2)
    async with alice.in_room(code) as live:
        await turn(20)
        await turn(2)
        roster = await live.until("hx-partial[hx-target=#roster]")
        while [label.text for label in roster.all("li bdi")] != ["Alice"]:
            roster = await live.until("hx-partial[hx-target=#roster]")


async def test_whoever_is_slow_to_resume_sees_who_is_here_all_the_same(
    alice: Person, code: str, chat: Context, turn: Turn
) -> None:
    page = await alice.look(code)
    async with alice.live(code) as live:
        await live.send(k="pending")  # it is here, and follows nothing yet
        await until(lambda: chat.presence.people(code))
        for _ in range(2):
            await turn(2)  # there is nobody yet who could be shown a roster
        await live.resume(page)
        await until(lambda: code in chat.hub.feeds and chat.hub.feeds[code].loaded.is_set())
        await live.until("li.notice")
        await turn(2)
        roster = await live.until("hx-partial[hx-target=#roster]")
    assert [label.text for label in roster.all("li bdi")] == ["Alice"]


async def test_a_heartbeat_shows_that_the_server_is_there(alice: Person, code: str, chat: Context) -> None:
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        connection.show("beat", chat.render.alerts.heartbeat(LOOK))
        assert (await live.until("hx-partial[hx-target=#beat]")).words


async def test_connections_are_counted_while_they_last(alice: Person, code: str, chat: Context) -> None:
    async with alice.in_room(code):
        assert b"chat_connections 1.0" in chat.metrics.text()
    assert b"chat_connections 0.0" in chat.metrics.text()
    assert chat.hub.feeds == {}


# Endings ----------------------------------------------------------------------------------------------


async def test_leaving_tells_every_socket_of_the_person_goodbye(
    alice: Person, bob: Person, code: str
) -> None:
    async with alice.in_room(code) as one, alice.in_room(code) as other, bob.in_room(code) as his:
        await alice.post(f"/rooms/{code}/leave")
        for live in (one, other):
            assert await live.ended() == POLICY
            assert "You left this room." in live.frames[-1].one("[role=alert]").text
        await his.until("li.notice", "Alice")
        await bob.write(code, "bye")
        await his.until("li", "bye")


async def test_a_page_that_drops_the_farewell_comes_back_and_is_told_again(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chromium drops what arrives while a page closes its socket because it is being left."""
    monkeypatch.setattr(goodbyes, "CONFIRM", 0.1)
    async with alice.in_room(code) as live:
        live.confirms = False
        await alice.post(f"/rooms/{code}/leave")
        assert await live.ended() == LATER
    async with alice.live(code) as again:
        await again.resume()  # is no answer to it
        assert await again.ended() == POLICY
        assert "not in this room" in again.frames[-1].one("[role=alert]").text


async def test_a_farewell_may_be_confirmed_when_the_page_is_back(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goodbyes, "CONFIRM", 0.1)
    async with alice.in_room(code) as live:
        live.confirms = False
        await alice.post(f"/rooms/{code}/leave")
        assert await live.ended() == LATER
    await alice.join(code)
    async with alice.live(code) as again:
        await again.send(k="farewell")
        assert await again.ended() == POLICY
        assert not again.frames, "it shows one already"


async def test_a_page_that_only_confirms_a_farewell_turns_no_other_tab_out(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was asleep when it was turned out confirms that on its next connection."""
    monkeypatch.setattr(goodbyes, "CONFIRM", 0.1)
    async with AsyncExitStack() as stack:
        surplus, *others = [await stack.enter_async_context(alice.in_room(code)) for _ in range(SOCKETS)]
        surplus.confirms = False
        others.append(await stack.enter_async_context(alice.in_room(code)))
        assert await surplus.ended() == LATER
        async with alice.live(code) as again:
            await again.send(k="farewell")
            assert await again.ended() == POLICY
        await alice.write(code, "everywhere")
        for tab in others:
            await tab.until("li", "everywhere")


async def test_a_confirmation_contains_what_htmx_adds(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goodbyes, "CONFIRM", 60.0)
    address = f"https://chat.example.org/rooms/{NOBODYS}?" + "x" * fields.QUERY
    headers = {"HX-Request": "true", "HX-Source": "i", "HX-Current-URL": address, "Accept": "text/html"}
    async with bob.live(NOBODYS) as live:
        live.confirms = False
        await live.until(".farewell")
        for _ in range(goodbyes.OTHERS):
            await live.say("too late")
        await live.send(k="farewell", headers=headers)
        assert await live.ended() == POLICY


async def test_a_page_that_only_confirms_a_farewell_is_not_here(
    alice: Person, code: str, chat: Context
) -> None:
    async with alice.live(code) as again:
        assert not chat.presence.people(code)
        await again.send(k="farewell")
        assert await again.ended() == POLICY
    assert not chat.presence.people(code)
    async with alice.live(code) as page:
        await page.resume()
        await until(lambda: [member.name for member in chat.presence.people(code)] == ["Alice"])


async def test_a_person_has_few_sockets_that_have_said_nothing(alice: Person, code: str) -> None:
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(alice.live(code)) for _ in range(SOCKETS + 1)]
        assert await silent[0].ended() == POLICY
        assert "more than 10 tabs" in silent[0].raw[-1]
        assert all(live.quiet for live in silent[1:])


async def test_only_short_frames_are_looked_into_for_a_confirmation(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger has no pace of their own, so what else they send is neither read nor taken for long."""
    monkeypatch.setattr(goodbyes, "CONFIRM", 60.0)
    read: list[object] = []
    monkeypatch.setattr(frames, "parse", read.append)
    async with bob.live(NOBODYS) as live:
        live.confirms = False
        await live.frame()
        for _ in range(goodbyes.OTHERS + 1):
            await live.send(k="farewell", more="x" * 200_000)
        assert await live.ended() == LATER
    assert not read


async def test_a_person_has_few_farewells_that_are_not_confirmed(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goodbyes, "CONFIRM", 60.0)
    async with AsyncExitStack() as stack:
        told = [await stack.enter_async_context(alice.in_room(code)) for _ in range(SOCKETS)]
        for live in told:
            live.confirms = False
        await alice.post(f"/rooms/{code}/leave")
        for live in told:
            await live.until(".farewell")
        ends = {asyncio.create_task(live.ended()): live for live in told}
        for _ in range(2):
            newest = await stack.enter_async_context(alice.live(code))
            newest.confirms = False
            await newest.until(".farewell")
            (end,), _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert end.result() == LATER
            del ends[end]
        for live in ends.values():
            await live.send(k="farewell")
        assert await asyncio.gather(*ends) == [POLICY] * (SOCKETS - 2)


async def test_until_it_confirms_a_page_gets_nothing_and_does_not_count(
    alice: Person, bob: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goodbyes, "CONFIRM", 60.0)
    async with bob.in_room(code) as his, alice.in_room(code) as hers:
        (connection,) = [one for one in chat.hub.feeds[code].connections if one.member.name == "Alice"]
        hers.confirms = False
        await alice.post(f"/rooms/{code}/leave")
        await hers.until(".farewell")
        assert connection.feed is None
        assert "Alice" not in [member.name for member in chat.presence.people(code)]
        told = len(hers.raw)
        await bob.write(code, "between us")
        await his.until("li", "between us")
        await hers.send(k="farewell")
        assert await hers.ended() == POLICY
        assert len(hers.raw) == told


async def test_leaving_ends_a_socket_that_has_not_resumed_yet(alice: Person, code: str) -> None:
    async with alice.live(code) as live:
        await alice.post(f"/rooms/{code}/leave")
        assert await live.ended() == POLICY


async def test_whoever_left_for_good_is_gone_from_the_roster_at_once(
    alice: Person, bob: Person, code: str, exchange: Exchange, turn: Turn
) -> None:
    async with alice.in_room(code), bob.in_room(code):
        await turn()
        await turn(2)
        await alice.post(f"/rooms/{code}/leave")
        await exchange()
        assert [label.text for label in (await bob.look(code)).all("#roster bdi")] == ["Bob"]
        await turn()
    assert notices(await bob.look(code)) == [
        "Alice and Bob are here for the first time · Alice left for good"
    ]


async def test_whoever_left_and_came_back_under_the_same_name_is_welcome(
    alice: Person, bob: Person, code: str
) -> None:
    async with bob.in_room(code) as his:
        async with alice.in_room(code) as live:
            await alice.post(f"/rooms/{code}/leave")
            assert await live.ended() == POLICY
        await alice.join(code, "Alice")
        async with alice.in_room(code) as live:
            await bob.write(code, "welcome back")
            await live.until("li", "welcome back")
            await live.say("thanks")
            await his.until("li", "thanks")
    async with alice.in_room(code) as live:  # the feed is a new one
        await live.say("still here")
        await live.until("li", "still here")


async def test_a_seat_that_ended_elsewhere_ends_its_sockets(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    """As if another process had ended it: the log alone says so."""
    async with alice.in_room(code) as live, bob.in_room(code) as his:
        person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
        await calls.end_seat(chat.store, code, person)
        assert await live.ended() == POLICY
        await his.until("li.notice", "Alice")


@pytest.mark.parametrize(
    ("verb", "said"),
    [("left", "You left this room."), ("removed", "You are not in this room any more.")],
)
async def test_a_page_says_why_its_seat_ended(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, verb: str, said: str
) -> None:
    """A newer release may write a kind of notice that this one does not know."""
    monkeypatch.setattr(
        "chat.store.members.folded", lambda *args: (replace(folded(*args)[0], verb=verb), False)
    )
    async with alice.in_room(code) as live:
        person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
        await calls.end_seat(chat.store, code, person)
        assert (await live.until(".farewell")).text.startswith(said)
        await live.send(k="farewell")
        assert await live.ended() == POLICY


async def test_a_page_says_why_its_seat_ended_though_its_person_is_back_meanwhile(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it ended and why are one look at the seat."""
    seats = []

    async def come_back(original: Callable[[], Awaitable[Member | None]], *_: object) -> Member | None:
        seats.append(await original())
        await calls.take_seat(chat.store, code, person, "Alice")
        return seats[-1]

    async with alice.in_room(code) as live:
        person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
        calls.intercept(monkeypatch, chat.store, members.find_seat, come_back)
        await calls.end_seat(chat.store, code, person)
        assert (await live.until(".farewell")).text.startswith("You left this room.")
        await live.send(k="farewell")
        assert await live.ended() == POLICY
    assert seats == [None]


async def test_writing_without_a_seat_is_the_end(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.live(code) as live:
        person = chat.identities.person(next(iter(alice.client.cookie_jar or ())).value) or ""
        await calls.end_seat(chat.store, code, person)
        await live.say("one last word")
        assert await live.ended() == POLICY


@asynccontextmanager
async def _many(person: Person, code: str, count: int) -> AsyncIterator[list[Live]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(person.in_room(code)) for _ in range(count)]


async def test_an_eleventh_socket_of_a_person_ends_the_oldest(alice: Person, bob: Person, code: str) -> None:
    async with _many(alice, code, 12) as lives:
        for live in lives[:2]:
            assert await live.ended() == POLICY
            assert "more than 10 tabs" in live.frames[-1].one("[role=alert]").text
        await bob.write(code, "hello")
        for live in lives[2:]:
            await live.until("li", "hello")


async def test_sockets_that_never_resume_are_counted_too(alice: Person, code: str) -> None:
    async with AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(alice.live(code)) for _ in range(11)]
        assert await lives[0].ended() == POLICY
        await lives[-1].say("hello")
        assert await _acknowledged(lives[-1]) == (1, "1")


async def test_at_the_end_of_the_server_every_socket_is_told_to_come_back(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    async with alice.in_room(code) as hers, bob.in_room(code) as his, alice.live(code) as silent:
        await alice.write(code, "last words")
        for chat in chats:
            await chat.hub.connections.terminate()
        assert await hers.ended() == RESTART
        assert await his.ended() == RESTART
        assert "last words" in hers.texts
        assert not any("farewell" in raw for raw in hers.raw)
        assert await silent.ended() == RESTART


async def test_a_reader_who_is_slow_gets_everything_in_one_frame_and_holds_up_nobody(
    alice: Person, bob: Person, code: str, apps: list[Quart], chats: list[Context]
) -> None:
    for app in apps:
        app.extensions["chat"] = replace(app.extensions["chat"], limits=limits.Limits(enabled=False))
    async with alice.in_room(code) as slow, bob.in_room(code) as quick:
        gate = asyncio.Event()
        slow.hold_back(gate)
        for n in range(50):
            await bob.write(code, f"m{n}")
            await quick.until("li", f"m{n}")
        assert slow.quiet
        theirs, last = [chat.hub.feeds[code] for chat in chats], chats[-1].hub.feeds[code].position
        await until(lambda: all(feed.position == last for feed in theirs))
        gate.set()
        await slow.until("li", "m49")
    assert slow.texts == quick.texts == [f"m{n}" for n in range(50)]
    assert len(slow.frames) == 2, "what was on its way, and all the rest"
