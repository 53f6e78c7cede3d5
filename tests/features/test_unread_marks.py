"""Marking a text as unread: it is new again on every device, and no open page reads it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from unittest.mock import AsyncMock

import calls
import pytest
from people import Live, Person, Reply, ids, seconds_until, until
from quart import Quart

from chat.context import Context
from chat.live import unread_marks
from chat.model.signs import Sign
from chat.store import Unavailable, read_positions

from .test_unread import NAVIGATION, focused, line, say, told, unread


@pytest.fixture
def his(chats: list[Context]) -> Context:
    """What Bob's node works with."""
    return chats[-1]


@pytest.fixture
async def three(alice: Person, bob: Person, code: str) -> list[int]:
    """The ids of three texts of Alice's, which Bob has read."""
    await alice.write(code, "one", "two", "three")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    return ids(await alice.look(code))[-3:]


async def mark(person: Person, code: str, id: int) -> Reply:
    return await person.post(f"/rooms/{code}/{id}/unread")


async def is_held(his: Context) -> None:
    await until(lambda: his.unread_marks._held and not focused(his))


async def test_a_text_is_unread_again_with_everything_after_it(
    alice: Person, bob: Person, code: str, three: list[int]
) -> None:
    assert await unread(bob) == ""
    reply = await mark(bob, code, three[1])
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/{three[1]}")
    assert await unread(bob) == "2 unread"
    page = (await bob.get(reply.headers["Location"])).page
    assert page.one("#unread").words == "From here on, everything counts as unread."
    assert await unread(bob) == "2 unread", "the page of a message reads nothing"
    assert await unread(alice) == ""
    assert line(await bob.look(code)) == ["2 new messages", "two"]
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    assert await unread(bob) == ""


async def test_the_page_of_a_message_has_a_form_for_it(
    alice: Person, bob: Person, code: str, three: list[int]
) -> None:
    form = (await bob.get(f"/rooms/{code}/{three[0]}")).page.one("#unread")
    assert form.one("button").words == "Mark unread"
    await bob.post(form["action"])
    assert await unread(bob) == "3 unread"


async def test_what_is_unread_before_it_stays_so(
    alice: Person, bob: Person, code: str, three: list[int]
) -> None:
    await mark(bob, code, three[0])
    await mark(bob, code, three[2])
    assert await unread(bob) == "3 unread"


def _is_lowered(chat: Context, code: str, rev: int) -> bool:
    return chat.reading.due.get((code, 2), 0) < rev


async def test_what_a_node_has_yet_to_store_does_not_read_it_again(
    alice: Person, bob: Person, code: str, three: list[int], chats: list[Context], apps: list[Quart]
) -> None:
    async with bob.at(apps[0]).in_room(code), bob.at(apps[-1]).in_room(code):
        for chat in chats:
            chat.reading.note(code, 2, three[2])
        await mark(bob, code, three[1])
        for chat in chats:
            await until(partial(_is_lowered, chat, code, three[1]))
            await chat.reading.save()
    assert await unread(bob) == "2 unread"


async def test_an_open_page_says_so_and_counts_in_its_title_until_one_comes_back(
    alice: Person, bob: Person, code: str, three: list[int], his: Context
) -> None:
    async with bob.in_room(code) as live:
        await live.send(k="focus")
        await until(lambda: focused(his))
        await live.send(act="unread", id=str(three[1]))
        assert (await live.until("hx-partial[hx-target=#notice] .hint")).words == "Marked as unread."
        assert not live.frames[-1].has("[role=status]"), "the region is there before"
        assert (await told(live, his)).startswith("(2) ")
        await say(alice, code, live, "four")
        assert (await told(live, his)).startswith("(3) ")
        assert await unread(bob) == "3 unread"
        await live.send(k="focus")
        assert not (await live.until("title")).words.startswith("(")
        assert await unread(bob) == ""


async def test_a_page_that_loses_its_connection_meanwhile_does_not_read_it(
    alice: Person, bob: Person, code: str, three: list[int], his: Context
) -> None:
    page = await bob.look(code)
    assert page.one("#focus").value == "1"
    async with bob.in_room(code) as live:
        await live.send(k="focus")
        await until(lambda: focused(his))
        await mark(bob, code, three[1])
        said = await live.until("#focus")
        assert said.value == ""
    async with bob.live(code) as live:
        await live.resume(page, focus=said.value)
        await is_held(his)
        await say(alice, code, live, "four")
        assert await unread(bob) == "3 unread"
        await live.send(k="focus")
        assert (await live.until("#focus")).value == "1"
        assert await unread(bob) == ""


async def held(bob: Person, code: str, id: int, his: Context, live: Live) -> None:
    await live.send(k="focus")
    await until(lambda: focused(his))
    await mark(bob, code, id)
    await is_held(his)


async def test_who_types_has_come_back(
    alice: Person, bob: Person, code: str, three: list[int], his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bob.in_room(code) as live:
        await held(bob, code, three[1], his, live)
        await live.send(k="typing")  # htmx may say so late
        await say(alice, code, live, "four")
        assert await unread(bob) == "3 unread"
        monkeypatch.setattr(unread_marks, "LATE", 0)
        await live.send(k="typing")
        await until(lambda: focused(his))
        assert await unread(bob) == ""


async def test_who_sends_a_text_or_leaves_the_window_has_come_back(
    alice: Person, bob: Person, code: str, three: list[int], his: Context
) -> None:
    async with bob.in_room(code) as live:
        await held(bob, code, three[1], his, live)
        await bob.write(code, "mine")
        await until(lambda: focused(his))
        assert await unread(bob) == ""
        await held(bob, code, three[1], his, live)
        await live.send(k="blur")
        await until(lambda: not his.unread_marks._held)
        assert await unread(bob) == "2 unread"
        await held(bob, code, three[1], his, live)
    await until(lambda: not his.unread_marks._held)


async def test_it_holds_on_all_of_their_devices(
    alice: Person, bob: Person, code: str, three: list[int], apps: list[Quart], chats: list[Context]
) -> None:
    phone = bob.at(apps[0])
    async with bob.in_room(code) as live, phone.in_room(code) as pocket:
        for page, chat in ((live, chats[-1]), (pocket, chats[0])):
            await page.send(k="focus")
            await until(partial(focused, chat))
        await chats[0].unread_titles.tick()
        await mark(bob, code, three[1])
        assert (await pocket.until("#focus")).value == ""
        assert (await told(pocket, chats[0])).startswith("(2) ")
        for chat in chats:
            await chat.reading.save()
        assert await unread(bob) == "2 unread"


async def test_ones_own_newest_text_cannot_be_unread(
    alice: Person, bob: Person, code: str, three: list[int]
) -> None:
    await bob.write(code, "mine")
    [mine] = ids(await bob.look(code))[-1:]
    reply = await mark(bob, code, mine)
    assert reply.status == 422
    assert reply.page.one("[role=alert]").words == "Nobody else has written here or after it."
    await alice.write(code, "four")
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    assert (await mark(bob, code, mine)).status == 303
    assert await unread(bob) == "1 unread"


async def test_a_deleted_text_cannot_be_unread(
    alice: Person, bob: Person, code: str, three: list[int]
) -> None:
    await alice.post(f"/rooms/{code}/{three[1]}/delete")
    for id in (three[1], 0, 999, 10**15):
        assert (await mark(bob, code, id)).status == 404
    assert await unread(bob) == ""


async def test_where_nothing_can_be_stored_it_says_so(
    alice: Person, bob: Person, code: str, three: list[int], his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        calls.intercept(
            broken, his.store, read_positions.set_back, AsyncMock(side_effect=Unavailable("away"))
        )
        assert (await mark(bob, code, three[1])).status == 503
    assert await unread(bob) == ""


async def test_a_page_on_which_marking_failed_is_read_as_before(
    alice: Person, bob: Person, code: str, three: list[int], his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bob.in_room(code) as live:
        await live.send(k="focus")
        await until(lambda: focused(his))
        with monkeypatch.context() as broken:
            calls.intercept(
                broken, his.store, read_positions.set_back, AsyncMock(side_effect=Unavailable("away"))
            )
            assert (await mark(bob, code, three[1])).status == 503
        await say(alice, code, live, "four")
        assert await unread(bob) == ""


async def test_other_nodes_hear_of_a_mark_before_it_is_stored(
    bob: Person, code: str, three: list[int], his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Sign] = []

    async def set_back(original: Callable[[], Awaitable[None]], *where: object) -> None:
        assert heard == [Sign(unread_marks.KIND, code, 2, str(three[1] - 1))]
        await original()

    monkeypatch.setattr(his.hub.bus, "sign", heard.append)
    calls.intercept(monkeypatch, his.store, read_positions.set_back, set_back)
    assert (await mark(bob, code, three[1])).status == 303


async def test_what_is_read_after_a_mark_that_was_heard_stays_read(
    bob: Person, code: str, three: list[int], his: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the node was just storing a mark of somebody else when it heard of it."""
    begun, gate = asyncio.Event(), asyncio.Event()

    async def set_back(original: Callable[[], Awaitable[None]], *where: object) -> None:
        begun.set()
        await gate.wait()
        await original()

    calls.intercept(monkeypatch, his.store, read_positions.set_back, set_back)
    his.reading.note(code, 2, three[2])
    marking = asyncio.create_task(his.reading.set_back(code, 1, 0))
    await begun.wait()
    his.reading.hear_back(code, 2, three[0])
    gate.set()
    await marking
    his.reading.note(code, 2, three[2])
    await his.reading.save()
    assert await unread(bob) == ""


async def test_what_another_node_is_just_storing_does_not_undo_a_mark(
    bob: Person,
    code: str,
    three: list[int],
    chats: list[Context],
    apps: list[Quart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    other, node = chats[0], chats[-1]

    async def save(original: Callable[[], Awaitable[None]], rows: object) -> None:
        begun.set()
        await gate.wait()
        await original()

    async with bob.at(apps[0]).in_room(code), bob.at(apps[-1]).in_room(code):
        calls.intercept(monkeypatch, other.store, read_positions.save, save)
        other.reading.note(code, 2, three[2])
        saving = asyncio.create_task(other.reading.save())
        await begun.wait()
        marking = asyncio.create_task(mark(bob.at(apps[-1]), code, three[1]))  # one node waits for its own
        if other is not node:
            await marking
            await until(lambda: other.reading.due[code, 2] < three[1])
        gate.set()
        await saving
        await marking
    assert await unread(bob) == "2 unread"


@pytest.mark.parametrize("label", ["", "x", "-1", "٧", "1.5"])
async def test_a_sign_of_another_kind_marks_nothing(
    bob: Person, code: str, three: list[int], his: Context, label: str
) -> None:
    async with bob.in_room(code) as live:
        await live.send(k="focus")
        await until(lambda: focused(his))
        his.unread_marks.hear(Sign(unread_marks.KIND, code, 2, label))
        assert focused(his)


async def test_a_text_of_somebody_else_can_be_unread_however_much_one_wrote_after_it(
    alice: Person, bob: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.unread.TEXTS", 2)
    await alice.write(code, "one")
    id = ids(await bob.look(code))[-1]
    for n in range(3):
        await bob.write(code, f"mine {n}")
    await mark(bob, code, id)
    assert await unread(bob) == "1 unread"


async def test_a_page_that_lacks_the_text_gets_a_line_with_a_button_that_works(
    bob: Person, code: str, chat: Context, his: Context
) -> None:
    """Its form is on every live page, for the button may come later."""
    await bob.get(f"/rooms/{code}", **NAVIGATION)
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(70)))
    head = ids(await bob.look(code))[-1]
    await bob.post(f"/rooms/{code}/read", {"id": str(head)})
    page = (await bob.get(f"/rooms/{code}", **NAVIGATION)).page
    async with bob.live(code) as live:
        await live.resume(page)
        await until(lambda: his.unread_titles.pages_of(code, 2))
        await mark(bob, code, head - 60)

        async def second() -> None:
            await his.unread_titles.tick()
            while not live.quiet:
                await live.frame()

        await seconds_until(lambda: any(frame.has(".new button") for frame in live.frames), second)
        (button,) = [button for frame in live.frames for button in frame.all(".new button")]
        assert page.one(f"#{button['form']}")["action"] == f"/rooms/{code}/read"
