"""Who is typing: others see it for a few seconds, and it is nothing but a hint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from people import FakeClock, Live, Person, until

from chat.cluster.signs import HEED_BYTES, SIGNS, dump_signs, load_signs
from chat.context import Context
from chat.live.typing import LASTS, PACE, QUIET, TYPISTS, WRITERS
from chat.model.changes import Change
from chat.model.messages import Message
from chat.model.rooms import Position
from chat.model.signs import LABEL, Sign
from chat.store.log import heads

PUSHED = "hx-partial[hx-target=#typing]"
Pass = Callable[[float], None]


@pytest.fixture
def by(chats: list[Context], clock: FakeClock) -> Pass:
    """Let time pass, and every node show what is due then."""
    for chat in chats:
        chat.typing._now = clock

    def by(seconds: float) -> None:
        clock.pass_by(seconds)
        for chat in chats:
            chat.typing.tick()

    return by


@pytest.fixture
async def hers(alice: Person, code: str) -> AsyncIterator[Live]:
    async with alice.in_room(code) as live:
        yield live


@pytest.fixture
async def his(bob: Person, code: str) -> AsyncIterator[Live]:
    async with bob.in_room(code) as live:
        yield live


async def shown(live: Live) -> str:
    """What the page is shown next of who is typing."""
    return (await live.until(PUSHED)).words


def pushes(live: Live) -> list[str]:
    return [part.words for frame in live.frames for part in frame.all(PUSHED)]


async def read(live: Live, writer: Person, code: str) -> list[str]:
    """What was pushed until now of who is typing: a text comes behind it."""
    await writer.write(code, "that was all")
    await live.until(".text", "that was all")
    return pushes(live)


def is_known(chats: list[Context], code: str, seat: int, until: float = 0.0) -> bool:
    """Whether every node knows that somebody with this seat types, until then or longer."""
    rooms = [chat.typing._rooms.get(code) for chat in chats]
    return all(room and room.typists.get(seat, ("", -1.0))[1] >= until for room in rooms)


async def test_others_see_who_is_typing(hers: Live, his: Live, by: Pass) -> None:
    await hers.send(k="typing")
    assert await shown(his) == "Alice is typing…"


async def test_nobody_reads_of_oneself(
    alice: Person, code: str, chats: list[Context], hers: Live, his: Live, by: Pass
) -> None:
    async with alice.in_room(code) as other:
        await hers.send(k="typing")
        assert await shown(his) == "Alice is typing…"
        await his.send(k="typing")
        await until(partial(is_known, chats, code, 2))
        by(PACE)
        assert await shown(hers) == "Bob is typing…"
        assert pushes(hers) == ["Bob is typing…"]
        assert await shown(other) == "Bob is typing…"
        by(LASTS + 1)
        assert await shown(hers) == ""


async def test_it_is_gone_some_seconds_after_the_last_sign(
    chats: list[Context], code: str, clock: FakeClock, hers: Live, his: Live, by: Pass
) -> None:
    await hers.send(k="typing")
    assert await shown(his) == "Alice is typing…"
    by(3)
    await hers.send(k="typing")
    await until(partial(is_known, chats, code, 1, until=clock.now + LASTS))
    by(2)
    by(1)
    assert his.quiet, "she has typed on"
    by(LASTS)
    assert await shown(his) == ""


async def test_a_text_ends_it_and_the_sign_after_it_says_nothing(
    alice: Person, code: str, chats: list[Context], hers: Live, his: Live, by: Pass
) -> None:
    await hers.send(k="typing")
    assert await shown(his) == "Alice is typing…"
    by(PACE)
    await hers.say("hello")
    await his.until(".text", "hello")
    by(PACE)
    assert await shown(his) == ""
    by(1)
    await hers.send(k="typing")  # htmx's throttle sends the last event late
    await hers.send(body="again", key="page", acked="0")
    await his.until(".text", "again")
    by(PACE)
    assert not any(chat.typing._rooms for chat in chats)
    by(QUIET)
    await hers.send(k="typing")
    assert await shown(his) == "Alice is typing…"


async def test_three_are_named_and_more_are_several(
    alice: Person, code: str, chats: list[Context], his: Live, by: Pass
) -> None:
    async with AsyncExitStack() as stack:
        told: list[str] = []
        for seat, name in enumerate(("Cid", "Dan", "Eve", "Fay"), start=3):
            person = Person(alice.app, name)
            await person.join(code)
            live = await stack.enter_async_context(person.in_room(code))
            await live.send(k="typing")
            await until(partial(is_known, chats, code, seat))
            by(PACE if told else 0)
            told.append(await shown(his))
        assert told == [
            "Cid is typing…",
            "Cid and Dan are typing…",
            "Cid, Dan and Eve are typing…",
            "Several people are typing…",
        ]


async def test_it_is_shown_once_a_second_at_most(
    alice: Person, chats: list[Context], hers: Live, his: Live, by: Pass, code: str
) -> None:
    cid = Person(alice.app, "Cid")
    await cid.join(code)
    async with cid.in_room(code) as third:
        await hers.send(k="typing")
        assert await shown(third) == "Alice is typing…"
        await his.send(k="typing")
        await until(partial(is_known, chats, code, 2))
        by(PACE / 2)
        by(PACE / 4)
        assert await read(third, cid, code) == ["Alice is typing…"]
        by(PACE / 2)
        assert await shown(third) == "Alice and Bob are typing…"


async def test_who_comes_meanwhile_is_shown_it_too(hers: Live, bob: Person, code: str, by: Pass) -> None:
    async with bob.in_room(code) as first:
        await hers.send(k="typing")
        assert await shown(first) == "Alice is typing…"
        async with bob.in_room(code) as second:
            assert await shown(second) == "Alice is typing…"


async def test_who_comes_before_the_others_are_shown_it_is_not_left_with_it(
    alice: Person, chats: list[Context], hers: Live, his: Live, by: Pass, code: str
) -> None:
    cid = Person(alice.app, "Cid")
    await cid.join(code)
    await hers.send(k="typing")
    assert await shown(his) == "Alice is typing…"
    await his.send(k="typing")
    await until(partial(is_known, chats, code, 2))  # and nobody is shown it yet
    async with cid.in_room(code) as late:
        assert await shown(late) == "Alice is typing…"


async def test_a_look_alike_is_told_apart(alice: Person, bob: Person, code: str, his: Live, by: Pass) -> None:
    other = Person(alice.app, "Alice")
    await other.join(code)
    async with other.in_room(code) as live:
        await live.send(k="typing")
        part = await his.until(PUSHED)
        assert (part.one("bdi").text, part.one(".mark").text) == ("Alice", "2")


async def test_it_is_no_change_of_the_room(chat: Context, code: str, hers: Live, his: Live, by: Pass) -> None:
    before = (await chat.store.read(heads, [code]))[code]
    await hers.send(k="typing")
    await shown(his)
    assert (await chat.store.read(heads, [code]))[code] == before


async def test_what_is_typed_is_shown_to_nobody(hers: Live, his: Live, by: Pass) -> None:
    await hers.send(k="typing", text="a secret", label="Mallory", seat=99)
    assert await shown(his) == "Alice is typing…"


async def test_only_so_many_are_known_and_only_of_open_rooms(
    chat: Context, code: str, hers: Live, by: Pass
) -> None:
    for seat in range(100, 100 + 3 * TYPISTS):
        chat.typing.note(Sign("typing", code, seat, f"P{seat}"))
        chat.typing.note(Sign("typing", f"ROOM{seat}", seat, "Nobody"))
    assert list(chat.typing._rooms) == [code]
    assert len(chat.typing._rooms[code].typists) == TYPISTS
    by(LASTS + PACE)
    by(LASTS + PACE)
    assert not chat.typing._rooms


async def test_signs_again_and_again_are_one(chat: Context, code: str, hers: Live, by: Pass) -> None:
    sign = Sign("typing", code, 9, "Cid")
    assert [chat.typing.note(sign) for _ in range(3)] == [True, False, False]
    by(2)
    assert chat.typing.note(sign)


async def test_few_of_those_who_have_written_are_known(chat: Context, by: Pass) -> None:
    def written(author: int) -> Change:
        return Change("ROOM", Message(author, author, 0, author, "P", 1, "text"), Position("", author))

    chat.typing.note_written(map(written, range(1, WRITERS + 10)))
    assert len(chat.typing._quiet) == WRITERS
    by(QUIET)
    chat.typing.note_written([written(1)])
    assert len(chat.typing._quiet) == 1


def test_a_sign_passes_through_redis_and_what_is_none_is_refused() -> None:
    signs = [Sign("typing", "ROOM", seat, "\U0001f642" * (LABEL // 2)) for seat in range(SIGNS)]
    payload = dump_signs("a", signs).encode()
    assert len(payload) < HEED_BYTES
    assert load_signs(payload, "b", "ROOM".__eq__) == signs
    assert load_signs(payload, "a", "ROOM".__eq__) == [], "its own"
    assert load_signs(payload, "b", "OTHER".__eq__) == []
    mixed = dump_signs("a", [Sign("typing", "ROOM", 1, "Ann"), Sign("typing", "OTHER", 2, "Bob")]).encode()
    assert [sign.label for sign in load_signs(mixed, "b", "OTHER".__eq__)] == ["Bob"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[1]",
        '[["typing","ROOM",1]]',
        '[["typing","ROOM","1","Ann"]]',
        '[["typing",5,1,"Ann"]]',
        f'[["typing","ROOM",1,"{"x" * (LABEL + 1)}"]]',
        "[" * 100_000,
        " " * (HEED_BYTES + 1),
    ],
    ids=str.__len__,
)
def test_what_is_no_sign_is_refused(body: str) -> None:
    with pytest.raises((ValueError, TypeError, RecursionError)):
        load_signs(f"signs a ROOM\n{body}".encode(), "b", "ROOM".__eq__)
