"""A sound for who is mentioned: opted in, for a window without the focus, and not one after the other."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import sound
from people import FakeClock, Live, Person, until

from chat.context import Context
from chat.live.connection import Connection
from chat.live.sounds import APART, Sounds
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.meta import frozen
from chat.model.rooms import Position
from chat.views.look import LOOK

PUSHED = "hx-partial audio"
ALICE, BOB = 1, 2


@pytest.fixture
def his(chats: list[Context], clock: FakeClock) -> Context:
    """What Bob's node works with."""
    chats[-1].sounds._now = clock
    return chats[-1]


async def choose(person: Person, sound: str) -> None:
    assert (await person.post("/settings", {"sound": sound})).status == 303


@pytest.fixture
async def live(bob: Person, code: str, his: Context) -> AsyncIterator[Live]:
    await choose(bob, "on")
    async with bob.in_room(code) as live:
        yield live


def mention(chat: Context, code: str, seats: object, author: int = ALICE, rev: int = 9) -> None:
    message = Message(9, rev, 0, author, "Alice", 1, "@Bob", meta=frozen({"mentions": seats}))
    chat.sounds.note([Change(code, message, Position("", rev))])


def waiting(chat: Context) -> int:
    """How many pages are about to sound."""
    return sum("sound" in one.slots for one in chat.hub.connections)


async def test_who_is_mentioned_hears_it(his: Context, code: str, live: Live) -> None:
    mention(his, code, [BOB])
    audio = await live.until(PUSHED)
    assert "autoplay" in audio
    assert audio["src"].endswith("/mention.wav")


async def test_who_is_not_mentioned_or_writes_it_hears_nothing(his: Context, code: str, live: Live) -> None:
    mention(his, code, [])
    mention(his, code, [ALICE, 99])
    mention(his, code, [BOB], author=BOB)
    mention(his, code, [BOB], rev=10)  # a text that was changed later
    mention(his, "ANOTHER", [BOB])
    for nonsense in ("2", None, 2, [str(BOB)], [[BOB]]):
        mention(his, code, nonsense)
    assert waiting(his) == 0


async def test_who_looks_at_the_page_hears_nothing(his: Context, code: str, live: Live) -> None:
    await live.send(k="focus")
    await until(lambda: his.reading._focused)
    mention(his, code, [BOB])
    assert waiting(his) == 0
    await live.send(k="blur")
    await until(lambda: not his.reading._focused)
    mention(his, code, [BOB])
    await live.until(PUSHED)


async def test_two_at_once_are_one_sound(
    his: Context, bob: Person, code: str, clock: FakeClock, live: Live
) -> None:
    async with bob.in_room(code):
        mention(his, code, [BOB])
        mention(his, code, [BOB])
        assert waiting(his) == 1, "of several pages one sounds"
        await until(lambda: waiting(his) == 0)
        clock.pass_by(APART - 1)
        mention(his, code, [BOB])
        assert waiting(his) == 0
        clock.pass_by(1)
        mention(his, code, [BOB])
        assert waiting(his) == 1


async def test_who_did_not_ask_for_it_hears_nothing(his: Context, bob: Person, code: str) -> None:
    async with bob.in_room(code):
        mention(his, code, [BOB])
        assert waiting(his) == 0
    await choose(bob, "on")
    await choose(bob, "off")
    async with bob.in_room(code):
        mention(his, code, [BOB])
        assert waiting(his) == 0


async def test_who_is_ignored_makes_no_sound(his: Context, bob: Person, code: str, live: Live) -> None:
    await bob.post(f"/rooms/{code}/ignore", {"seat": str(ALICE), "on": "1"})
    await live.until("link[id=ignored]")
    mention(his, code, [BOB])
    assert waiting(his) == 0


async def test_nothing_is_kept_of_pages_that_have_ended(his: Context, bob: Person, code: str) -> None:
    await choose(bob, "on")
    async with bob.in_room(code):
        mention(his, code, [BOB])
        assert his.sounds._pages
    await until(lambda: not his.sounds._pages)
    assert not his.sounds._next_at


async def test_it_is_chosen_among_the_settings(bob: Person) -> None:
    for chosen in ("on", "off"):
        await choose(bob, chosen)
        fields = (await bob.get("/settings")).page.all("input[name=sound]")
        assert [field["value"] for field in fields if "checked" in field] == [chosen]
    assert (await bob.post("/settings", {"sound": "loud"})).status == 422


def test_the_sound_is_the_one_that_is_made_here(deployment: str) -> None:
    assert sound.FILE.read_bytes() == sound.made()
    assert len(sound.made()) < 5000


NONSENSE = "bytes=5-4", "bytes=99999-", "bytes=-5", "x", "bytes=0-1,3-4", "bytes=0-1 ", "bytes=" + "1" * 999


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        ("", 200, 0, None),
        ("bytes=0-1", 206, 0, 2),
        ("bytes=100-", 206, 100, None),
        ("bytes=0-999999999", 206, 0, None),
        *((nonsense, 200, 0, None) for nonsense in NONSENSE),
    ],
)
async def test_a_player_may_ask_for_a_part(
    bob: Person, his: Context, asked: str, status: int, first: int, end: int | None
) -> None:
    reply = await bob.get(his.assets.url("mention.wav"), range=asked, accept_encoding="gzip")
    assert (reply.status, reply.body) == (status, sound.made()[first:end])
    assert reply.headers["Content-Type"] == "audio/wav"
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert int(reply.headers["Content-Length"]) == len(reply.body)


def test_ten_thousand_people_go_at_once() -> None:
    sounds = Sounds(lambda look: "", lambda connection: False)
    pages = [Connection(Member("code", n, f"person {n}", "Ann", 1), LOOK) for n in range(10_000)]
    for page in pages:
        sounds.add(page)
    start = time.perf_counter()
    for page in pages:
        sounds.remove(page)
    assert time.perf_counter() - start < 0.5
    assert not sounds._pages
    assert not sounds._open
