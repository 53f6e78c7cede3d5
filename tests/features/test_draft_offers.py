"""What somebody has begun is told to their other pages, and to nobody else's, whatever the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock, Mock

import pytest
from dom import Element
from people import Live, Person, ids, seconds_until
from quart import Quart

from chat.context import Context
from chat.live import draft_offers
from chat.store import Unavailable

from .test_drafts import begins_edit, stored, types

PUT = "hx-partial[hx-target=#composer]"
TAKEN = "hx-partial[hx-target=.drafts]"


def begun(shown: Element) -> list[str]:
    """The rooms of a list that it says have a draft."""
    return [row["href"].removeprefix("/rooms/") for row in shown.all("#rooms a") if row.all(".begun")]


class Told:
    """What a page says is begun: in other rooms, and beside its own text."""

    def __init__(self, live: Live, chats: list[Context]) -> None:
        self._live, self._chats = live, chats
        self.rooms: dict[str, bool] = {}
        self.others: list[str] = []
        self.frames = 0

    async def tick(self) -> None:
        """A second passes."""
        for chat in self._chats:
            await chat.drafts.offers.tick()
            await chat.unread_titles.elsewhere.tick()
        while not self._live.quiet:
            self._see(await self._live.frame())

    def _see(self, frame: Element) -> None:
        for row in [row for row in frame.all("a") if row.all(".tile")]:
            self.rooms[row["href"].removeprefix("/rooms/")] = bool(row.all(".begun"))
        if frame.all(TAKEN):
            self.others = [quote.text for put in frame.all(PUT) for quote in put.all("blockquote")]
            self.frames += 1

    async def until(self, so: Callable[[], bool]) -> None:
        """Seconds pass until it is so."""
        await seconds_until(so, self.tick)


async def test_lists_of_rooms_say_where_a_text_was_begun(
    alice: Person, bob: Person, code: str, other: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(other) as live:
        await types(live, page, "hello", chats)
        assert begun((await alice.get("/")).page) == [other], "though it is yet to be stored"
        row = (await alice.get(f"/rooms?rail={code}", hx_request="true")).page.one(f"[href=/rooms/{other}]")
        assert row.one(".last").words.startswith("Draft")
        assert begun((await alice.get(f"/rooms?rail={other}", hx_request="true")).page) == []
        assert begun((await bob.get("/")).page) == []
        await live.send(body="hello", life=f"{page}.0", reply="")
        await live.until(".text", "hello")
        assert begun((await alice.get("/")).page) == []


async def test_an_edit_that_was_begun_is_no_text_to_be_sent(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    await alice.write(code, "a mesage")
    id = ids(await alice.look(code))[0]
    async with alice.in_room(code) as live:
        await begins_edit(live, page, id, "a message", chats)
        assert begun((await alice.get("/")).page) == []


async def test_what_was_sent_is_dropped_though_the_node_that_knew_of_it_ended(
    alice: Person, code: str, chats: list[Context], page: str
) -> None:
    async with alice.in_room(code) as live:
        await types(live, page, "hello", chats)
        await stored(chats)
        await live.send(body="hello", life=f"{page}.0", reply="")
        await live.until(".text", "hello")
        for chat in chats:
            chat.drafts.forget(code, 1)  # as if it had been killed
    assert begun((await alice.get("/")).page) == [code]
    await alice.look(code)
    assert begun((await alice.get("/")).page) == []


async def test_a_page_is_told_where_a_text_was_begun_and_that_it_was_sent(
    alice: Person, bob: Person, code: str, other: str, apps: list[Quart], chats: list[Context], page: str
) -> None:
    phone = alice.at(apps[-1])
    async with alice.in_room(code) as live, bob.in_room(code) as his, phone.in_room(other) as pocket:
        told, nobody = Told(live, chats), Told(his, chats)
        await told.tick()
        await types(pocket, page, "hello", chats)
        await stored(chats)
        await told.until(lambda: told.rooms == {other: True})
        await pocket.send(body="hello", life=f"{page}.0", reply="")
        await pocket.until(".text", "hello")
        await stored(chats)
        await told.until(lambda: told.rooms == {other: False})
        await nobody.tick()
        assert not any(nobody.rooms.values())


async def test_two_pages_that_began_different_texts_are_offered_each_others(
    alice: Person, code: str, apps: list[Quart], chats: list[Context]
) -> None:
    phone = alice.at(apps[-1])
    async with alice.in_room(code) as live, phone.in_room(code) as pocket, alice.in_room(code) as third:
        desk, handset, reader = (Told(one, chats) for one in (live, pocket, third))
        await types(live, "desk", "at the desk", chats)
        await stored(chats)
        await desk.tick()
        assert (desk.others, desk.frames) == ([], 0), "it is alone"
        await types(pocket, "phone", "on the phone", chats)
        await stored(chats)
        await desk.until(lambda: desk.others == ["on the phone"])
        await handset.until(lambda: handset.others == ["at the desk"])
        await types(pocket, "phone", "on the phone, and on", chats)
        await stored(chats)
        await desk.until(lambda: desk.others == ["on the phone, and on"])
        await pocket.send(body="on the phone, and sent", life="phone.0", reply="")
        await pocket.until(".text", "and sent")
        await stored(chats)
        await desk.until(lambda: desk.others == [])
        await handset.until(lambda: handset.others == ["at the desk"])
        await reader.tick()
        assert reader.frames == 0, "nothing was typed there"


async def test_what_is_offered_can_be_chosen(alice: Person, code: str, chats: list[Context]) -> None:
    async with alice.in_room(code) as live, alice.in_room(code) as second:
        await types(live, "desk", "at the desk", chats)
        await types(second, "phone", "on the phone", chats)
        await stored(chats)
        told = Told(live, chats)
        await told.until(lambda: bool(told.others))
        _, drop = live.frames[-1].all(f"{PUT} button")
        fields = {"choice": drop.value, "body": "at the desk", "life": "desk.0"}
        assert (await alice.post(drop["hx-post"], fields)).status == 303
        await told.until(lambda: told.others == [])


async def test_a_page_that_began_with_a_draft_goes_on_with_it(
    alice: Person, code: str, chats: list[Context]
) -> None:
    async with alice.in_room(code) as live:
        await types(live, "phone", "hello", chats)
    base = (await alice.look(code)).one("#composer [name=draft]").value
    async with alice.in_room(code) as live, alice.in_room(code) as second:
        desk = Told(live, chats)
        await types(live, "desk", "hello there", chats, draft=base)
        await stored(chats)
        await desk.tick()
        assert desk.frames == 0
        await types(second, "third", "something else", chats)
        await stored(chats)
        await desk.until(lambda: desk.others == ["something else"])


async def test_of_many_only_the_newest_are_offered(alice: Person, code: str, chats: list[Context]) -> None:
    async with alice.in_room(code) as live:
        for n in range(draft_offers.OFFERED + 2):
            await types(live, f"page{n}", f"text {n}", chats)
            await stored(chats)
        told = Told(live, chats)
        await told.until(lambda: bool(told.others))
        assert told.others == ["text 3", "text 2", "text 1"]


@asynccontextmanager
async def desk_and_phone(alice: Person, code: str, chats: list[Context]) -> AsyncIterator[tuple[Live, Live]]:
    """Two pages of Alice, on each of which something was begun."""
    async with alice.in_room(code) as desk, alice.in_room(code) as phone:
        await types(desk, "desk", "at the desk", chats)
        await types(phone, "phone", "on the phone", chats)
        await stored(chats)
        yield desk, phone


async def test_a_page_that_cannot_be_told_silences_no_other(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_and_phone(alice, code, chats):
        offers = chats[0].drafts.offers
        offers._due[code, 2] = None
        with monkeypatch.context() as patched:
            patched.setattr(offers, "_render", Mock(side_effect=RuntimeError("ours")))
            await offers.tick()
        assert not offers._due


async def test_a_store_that_does_not_answer_is_not_asked_again(
    alice: Person, code: str, chats: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_and_phone(alice, code, chats) as (live, second):
        offers = chats[0].drafts.offers
        assert offers._due == {(code, 1): None}
        with monkeypatch.context() as patched:
            patched.setattr(chats[0].store, "read", AsyncMock(side_effect=Unavailable("away")))
            await offers.tick()
        assert not offers._due
        await types(second, "phone", "on the phone, and on", chats)
        await stored(chats)
        told = Told(live, chats)
        await told.until(lambda: told.others == ["on the phone, and on"])
