"""Those who have a seat and are not here: among the people, on every page and on every node."""

from __future__ import annotations

from unittest.mock import AsyncMock

import calls
import pytest
from dom import Element
from people import Person, Turn

from chat.context import Context
from chat.live.away import AWAY
from chat.live.presence import GRACE, PACE
from chat.store import Unavailable
from chat.store.members import announce, members_of, take_seat


def people(page: Element) -> tuple[list[str], list[str]]:
    """Who is here, and who is away."""
    return (
        [item.words for item in page.all("#roster li")],
        [item.words for item in page.all("#roster [role=listitem]")],
    )


def pushed(frame: Element) -> tuple[list[str], list[str]]:
    (panel,) = frame.all("hx-partial[hx-target=#roster]")
    here, away = panel.all("li"), panel.all("[role=listitem]")
    return [item.words for item in here], [item.words for item in away]


async def test_who_closes_the_last_tab_is_away_on_every_page(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    async with alice.in_room(code) as live:
        async with bob.in_room(code):
            await turn(2)
            assert people(await alice.look(code)) == (["Alice", "Bob"], [])
        await turn(GRACE + 1)
        await turn(2)
        await live.until("hx-partial[hx-target=#roster] [role=listitem]", "Bob")
        assert pushed(live.frames[-1]) == (["Alice"], ["Bob"])
        assert people(await alice.look(code)) == (["Alice"], ["Bob"])
        async with bob.in_room(code):
            await turn(2)
            await turn(2)
            await live.until("hx-partial[hx-target=#roster] li", "Bob")
            assert pushed(live.frames[-1]) == (["Alice", "Bob"], [])


async def test_who_asks_for_a_page_is_not_away_on_it(bob: Person, code: str, turn: Turn) -> None:
    async with bob.in_room(code):
        await turn(2)
    await turn(GRACE + 1)
    await turn(2)
    assert people(await bob.look(code)) == (["Bob"], [])


async def test_who_has_never_been_here_is_not_away(alice: Person, code: str) -> None:
    assert people(await alice.look(code)) == (["Alice"], [])


async def test_who_leaves_for_good_while_away_is_no_longer_listed_on_any_node(
    alice: Person, bob: Person, code: str, turn: Turn
) -> None:
    """Though nobody comes or goes: the notice says so."""
    async with alice.in_room(code) as live:
        async with bob.in_room(code):
            await turn(2)
        await turn(GRACE + 1)
        await turn(2)
        await live.until("hx-partial[hx-target=#roster] [role=listitem]", "Bob")
        await bob.post(f"/rooms/{code}/leave")
        await live.until("li.notice", "Bob left for good")
        await turn(2)
        while pushed(await live.frame()) != (["Alice"], []):
            pass


async def test_a_rename_while_away_is_shown(alice: Person, bob: Person, code: str, turn: Turn) -> None:
    async with alice.in_room(code):
        async with bob.in_room(code):
            await turn(2)
        await turn(GRACE + 1)
        await bob.post(f"/rooms/{code}/name", {"name": "Robert"})
        await turn(GRACE + 1)
        await turn(2)
        assert people(await alice.look(code)) == (["Alice"], ["Robert"])


async def test_the_list_is_bounded_and_the_others_are_counted(
    alice: Person, code: str, chat: Context, turn: Turn
) -> None:
    async with alice.in_room(code):
        await turn(2)
    await turn(GRACE + 1)
    await turn(2)
    seats = []
    for number in range(AWAY + 3):
        seat = await chat.store.write(code, take_seat, code, f"person-{number}", f"P{number:03}")
        seats.append(seat.number)
    await chat.store.write(code, announce, code, "entered", seats)
    await chat.store.write(code, announce, code, "away", seats)
    page = await alice.look(code)
    assert people(page) == (["Alice"], [f"P{number:03}" for number in range(AWAY)])
    assert page.one("#roster small").words == str(AWAY + 3)
    assert [part.words for part in page.all("#roster p.more")] == ["and 3 more", "Ignore somebody"]


async def test_without_the_store_the_list_is_as_it_was(
    alice: Person, bob: Person, code: str, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        async with bob.in_room(code):
            await turn(2)
        await turn(GRACE + 1)
        await turn(2)
        await live.until("hx-partial[hx-target=#roster] [role=listitem]", "Bob")
        chat = alice.app.extensions["chat"]
        calls.intercept(monkeypatch, chat.store, members_of, AsyncMock(side_effect=Unavailable("away")))
        chat.presence.refresh([code], urgent=True)
        await turn(PACE)
        await live.until("hx-partial[hx-target=#roster] [role=listitem]", "Bob")


async def test_names_of_those_away_are_text(alice: Person, bob: Person, code: str, turn: Turn) -> None:
    await bob.post(f"/rooms/{code}/name", {"name": "<b>Bob</b>"})
    async with bob.in_room(code):
        await turn(2)
    await turn(GRACE + 1)
    await turn(2)
    page = await alice.look(code)
    assert people(page)[1] == ["<b>Bob</b>"]
    assert not page.one("#roster").has("b")


async def test_a_page_of_a_room_that_is_open_here_reads_nobody(
    alice: Person, bob: Person, code: str, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code):
        async with bob.in_room(code):
            await turn(2)
        await turn(GRACE + 1)
        await turn(2)
        reading = AsyncMock(side_effect=Unavailable("away"))
        calls.intercept(monkeypatch, alice.app.extensions["chat"].store, members_of, reading)
        assert people(await alice.look(code)) == (["Alice"], ["Bob"])
        assert people(await bob.at(alice.app).look(code)) == (["Alice", "Bob"], [])
        assert reading.await_count == 0
