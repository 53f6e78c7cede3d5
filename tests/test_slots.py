"""Slots of a page and panels of a room: the newest of each arrives, and no text that was written is lost."""

from __future__ import annotations

import sys

import pytest
from people import Person, until
from test_sockets import _refused

from chat.context import Context
from chat.live.connection import LATER, Connection
from chat.live.slots import PANEL_BYTES, PANELS, SLOT_BYTES, SLOTS, Panels, Slots
from chat.model.members import Member
from chat.views.look import LOOK, Render

BEAT = '<hx-partial hx-target="#beat" hx-swap="innerHTML"><p>{}</p></hx-partial>'


def _always(fragment: str) -> Render:
    return lambda look: fragment


def test_the_newest_of_each_slot_is_kept() -> None:
    slots = Slots()
    for slot, fragment in (("a", "old "), ("b", "b "), ("a", "new ")):
        slots.show(slot, fragment)
    assert slots.text == "new b "
    assert slots.take() == {"a": "new ", "b": "b "}
    assert len(slots) == 0


def test_slots_are_full_by_number_and_by_bytes_held() -> None:
    many, long = Slots(), Slots()
    for n in range(SLOTS):
        assert not many.is_full
        many.show(f"slot {n}", "x")
    assert many.is_full
    for _ in range(100):
        long.show("same", "x" * (SLOT_BYTES // 2))
    assert not long.is_full
    long.show("other", "x" * (SLOT_BYTES // 2))
    assert long.is_full
    long.take()
    assert not long.is_full


def test_a_page_with_too_much_in_its_slots_comes_back_and_loses_nothing() -> None:
    connection = Connection(Member("BCDFGHJK", 1, "person", "Ann", 1), LOOK)
    for n in range(SLOTS + 10):
        connection.answer(f"refused {n}", f"{n} ")
    assert connection.closing
    assert connection.closing.code == LATER
    assert len(connection.take_slots()) == SLOTS + 10
    assert not connection.unanswered


def test_panels_are_given_to_whom_they_are_new() -> None:
    panels = Panels()
    panels.show("roster", _always("Ann "), [LOOK])
    seen = panels.version
    panels.show("topic", _always("old "), [LOOK])
    panels.show("topic", _always("new "), [LOOK])
    assert panels.since(0, LOOK) == "Ann new "
    assert panels.since(seen, LOOK) == "new "
    assert panels.since(panels.version, LOOK) == ""


def test_panels_are_bounded_by_number_and_by_bytes_held() -> None:
    panels = Panels()
    for n in range(PANELS):
        panels.show(f"panel {n}", _always("x"), [LOOK])
    with pytest.raises(ValueError, match="does not fit"):
        panels.show("one more", _always("x"), [LOOK])
    panels.show("panel 0", _always("x" * (PANEL_BYTES - PANELS * sys.getsizeof("x"))), [LOOK])
    with pytest.raises(ValueError, match="does not fit"):
        panels.show("panel 0", _always("x" * PANEL_BYTES), [LOOK])


async def test_a_slow_socket_gets_the_newest_state_of_each_panel_and_slot(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    async with alice.in_room(code) as live:
        feed = chat.hub.feeds[code]
        (connection,) = feed.connections
        gate = await live.stall(connection, bob.write(code, "something to send"))  # a slow phone
        await bob.write(code, "what came meanwhile")
        for n in range(50):
            feed.show("topic", _always(BEAT.format(f"topic {n}")))
            chat.hub.connections.show(connection.member.person, "unread", BEAT.format(f"unread {n}"))
        gate.set()
        await live.until("p", "topic 49")
    last = live.raw[-1]
    order = [last.index(text) for text in ("what came meanwhile", "topic 49", "unread 49")]
    assert order == sorted(order)
    assert all(f"topic {n}<" not in "".join(live.raw) for n in range(49))
    assert all(f"unread {n}<" not in "".join(live.raw) for n in range(49))


async def test_every_refused_text_comes_back_to_a_page_that_reads_slowly(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    texts = ["one", "two", "three"]
    async with alice.in_room(code) as live:
        (connection,) = chat.hub.feeds[code].connections
        gate = await live.stall(connection, bob.write(code, "something to send"))
        await live.send(key="page", body=[text + "x" * 9000 for text in texts])
        await until(lambda: all(text + "x" in connection.slots.text for text in texts))
        chat.hub.connections.show(connection.member.person, "alert", BEAT.format("an alert"))
        gate.set()
        await _refused(live)
        forms = [form for frame in live.frames for form in frame.all("form.refused")]
    assert [form.one("textarea").value.rstrip("x") for form in forms] == texts


async def test_a_fragment_for_a_person_reaches_all_their_pages_and_nobody_else(
    alice: Person, bob: Person, code: str, chat: Context
) -> None:
    async with alice.in_room(code) as one, alice.in_room(code) as other, bob.in_room(code) as his:
        person = next(m.person for m in chat.presence.people(code) if m.name == "Alice")
        chat.hub.connections.show(person, "unread", BEAT.format("for Alice"))
        for live in (one, other):
            await live.until("p", "for Alice")
        await alice.write(code, "afterwards")
        await his.until(".text", "afterwards")
    assert "for Alice" not in "".join(his.raw)
