"""A person's rooms, what was said last in each and how much of it is unread, in both stores."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import calls
import pytest
from store_model import Clock
from test_records import put
from test_store import BACKENDS

from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Edit
from chat.store import NO_ROOM, Store, read_positions
from chat.store.my_rooms import COUNTED, MyRoom, home_of, my_rooms, rooms_by_time
from chat.store.records import dump_meta
from chat.store.rooms import UNUSED
from chat.store.transaction import Rows, Transaction
from chat.store.unread import Reader, readers_of

ROOM, OTHER = "BCDFGHJK", "22222222"
ME = "person-a"

_keys = itertools.count()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    store = BACKENDS[request.param](tmp_path)(clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    yield store
    await store.close()


@pytest.fixture
async def alice(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, ME, "Alice")


@pytest.fixture
async def bob(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, "person-b", "Bob")


async def say(store: Store, member: Member, body: str = "hello") -> Change:
    return await store.append(member.code, member.number, f"key-{next(_keys)}", body)


async def say_much(store: Store, member: Member, count: int) -> None:
    for write in [say(store, member, f"number {n}") for n in range(count)]:
        await write


async def read(store: Store, member: Member, rev: int) -> None:
    await store.write(NO_ROOM, read_positions.save, [(member.code, member.number, rev)])


async def rooms(store: Store, person: str = ME) -> list[MyRoom]:
    return await store.snapshot(my_rooms, person)


async def room(store: Store, person: str = ME) -> MyRoom:
    (only,) = await rooms(store, person)
    return only


async def rev(store: Store) -> int:
    return (await calls.heads(store, [ROOM]))[ROOM].rev


async def test_it_is_what_others_wrote_since_one_came(store: Store, bob: Member) -> None:
    await say(store, bob, "before")
    alice = await calls.take_seat(store, ROOM, ME, "Alice")
    assert (await room(store)).unread == 0
    said = await say(store, bob, "after")
    found = await room(store)
    assert (found.room.code, found.member, found.last, found.unread) == (ROOM, alice, said.message, 1)


async def test_reading_only_raises(store: Store, alice: Member, bob: Member) -> None:
    one, two, three = [await say(store, bob) for _ in range(3)]
    for position, unread in [(two, 1), (one, 1), (three, 0), (one, 0)]:
        await read(store, alice, position.message.id)
        assert (await room(store)).unread == unread
    assert (await room(store)).read == three.message.id


async def test_what_is_read_is_set_back_no_further_than_it_was(
    store: Store, alice: Member, bob: Member
) -> None:
    ids = [(await say(store, bob)).message.id for _ in range(3)]
    await read(store, alice, ids[1])
    for rev, unread in [(ids[2], 1), (ids[0], 2), (ids[1], 2), (0, 3)]:
        await store.write(NO_ROOM, read_positions.set_back, ROOM, alice.number, rev)
        assert (await room(store)).unread == unread
    await store.write(NO_ROOM, read_positions.set_back, "ZZZZZZZZ", alice.number, 0)
    await read(store, alice, ids[2])
    assert (await room(store)).unread == 0


async def test_it_does_not_count_what_cannot_be_unread(store: Store, alice: Member, bob: Member) -> None:
    await say(store, alice, "my own")
    await calls.announce(store, ROOM, "entered", [bob.number])
    gone, edited = await say(store, bob, "deleted"), await say(store, bob, "edited")
    await calls.amend(store, ROOM, gone.message.id, Delete())
    await calls.amend(store, ROOM, edited.message.id, Edit("another"))
    assert (await room(store)).unread == 1
    await calls.rename_seat(store, ROOM, ME, "Ann")  # what she wrote under another name is hers
    assert (await room(store)).unread == 1
    await read(store, alice, edited.message.id)  # of a seat that has ended
    assert (await room(store)).unread == 1


async def test_readers_are_found_all_at_once(store: Store, alice: Member, bob: Member) -> None:
    """With every seat of their person, and where they have read nothing too."""
    said = await say(store, bob)
    await calls.rename_seat(store, ROOM, ME, "Ann")
    ann = await calls.find_seat(store, ROOM, ME)
    assert ann
    await read(store, ann, said.message.id)
    asked: list[str] = []
    numbers = [ann.number, bob.number, 777]
    assert await store.read(_counted, asked, numbers) == {
        ann.number: Reader(said.message.id, frozenset({alice.number, ann.number})),
        bob.number: Reader(0, frozenset({bob.number})),
    }
    assert len(asked) == 1


async def _counted(tx: Transaction, asked: list[str], numbers: Sequence[int]) -> dict[int, Reader]:
    return await readers_of(cast("Transaction", Counting(tx, asked)), ROOM, numbers)


class Counting:
    """A transaction that keeps what it is asked."""

    def __init__(self, tx: Transaction, asked: list[str]) -> None:
        self._tx, self._asked, self.dialect = tx, asked, tx.dialect

    async def fetch(self, sql: str, *values: Any) -> Rows:
        self._asked.append(sql)
        return await self._tx.fetch(sql, *values)


async def test_reading_is_no_change_of_the_room(store: Store, alice: Member, bob: Member) -> None:
    said, heard = await say(store, bob), list[Change]()
    store.listen(heard.extend)
    await read(store, alice, said.message.id)
    assert (heard, await rev(store)) == ([], said.position.rev)


async def test_what_is_yet_to_be_written_cannot_be_read(store: Store, alice: Member, bob: Member) -> None:
    await read(store, alice, 10**14)
    await say(store, bob)
    assert (await room(store)).unread == 1


async def test_positions_of_nobody_are_passed_over(store: Store, alice: Member, bob: Member) -> None:
    said = await say(store, bob)
    rows = [("ZZZZZZZZ", 1, 1), (ROOM, 99, 1), (ROOM, alice.number, said.message.id), ("a\0b", 1, 1)]
    await store.write(NO_ROOM, read_positions.save, rows)
    assert (await room(store)).unread == 0


async def test_who_comes_back_has_nothing_to_catch_up_with(store: Store, alice: Member, bob: Member) -> None:
    await calls.end_seat(store, ROOM, ME)
    await say(store, bob)
    assert await rooms(store) == []
    await calls.take_seat(store, ROOM, ME, "Alice")
    assert (await room(store)).unread == 0


async def test_counting_is_bounded(store: Store, alice: Member, bob: Member) -> None:
    await say_much(store, bob, COUNTED - 1)
    assert (await room(store)).unread == COUNTED - 1
    await say_much(store, bob, 2)
    assert (await room(store)).unread == COUNTED
    assert (await room(store, bob.person)).unread == 0


async def test_looking_for_what_counts_is_bounded(
    store: Store, alice: Member, bob: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.my_rooms.LOOKED_AT", 5)
    await say_much(store, alice, 4)  # as if none of that had been noted
    await say_much(store, bob, 2)
    assert (await room(store)).unread == 1


async def test_the_last_line_is_a_text_if_there_is_one_near(
    store: Store, alice: Member, bob: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.my_rooms.LOOKED_BACK", 4)
    assert (await room(store)).last is None
    await calls.announce(store, ROOM, "entered", [alice.number])
    found = (await room(store)).last
    assert found is not None
    assert found.kind == "notice"
    text, other = await say(store, bob, "a\0text"), await say(store, bob)
    await calls.amend(store, ROOM, other.message.id, Delete())
    await calls.announce(store, ROOM, "entered", [bob.number])
    assert (await room(store)).last == text.message
    await calls.announce(store, ROOM, "away", [alice.number])
    found = (await room(store)).last
    assert found is not None
    assert found.kind == "notice"


async def test_a_room_is_lively_if_somebody_else_is_there(store: Store, alice: Member, bob: Member) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number])
    assert not (await room(store)).is_lively
    await calls.announce(store, ROOM, "entered", [bob.number])
    assert (await room(store)).is_lively
    await calls.announce(store, ROOM, "away", [bob.number])
    assert not (await room(store)).is_lively


async def test_where_something_was_said_last_comes_first(
    store: Store, alice: Member, bob: Member, clock: Clock
) -> None:
    clock.now += 1
    await calls.open_room(store, OTHER)
    await calls.take_seat(store, OTHER, ME, "Ann")
    assert [one.room.code for one in await rooms(store)] == [OTHER, ROOM]
    assert (await store.snapshot(home_of, ME)).name == "Ann"
    clock.now += 1
    await say(store, bob)
    assert [one.room.code for one in await rooms(store)] == [ROOM, OTHER]
    assert (await store.snapshot(home_of, ME)).name == "Alice"


async def test_a_room_that_expired_is_not_listed(store: Store, alice: Member, clock: Clock) -> None:
    await calls.rename_seat(store, ROOM, ME, "Ann")
    clock.now += UNUSED / 1000 + 1
    while await calls.expire(store):
        assert await rooms(store) == []
    assert await store.snapshot(home_of, ME) == ("", [])


async def test_a_name_is_known_after_the_last_room_was_left(
    store: Store, alice: Member, clock: Clock
) -> None:
    clock.now += 1
    await calls.rename_seat(store, ROOM, ME, "Ann")
    await calls.end_seat(store, ROOM, ME)
    assert await store.snapshot(home_of, ME) == ("Ann", [])
    assert await store.snapshot(home_of, "nobody") == ("", [])


async def test_a_nul_in_a_meta_is_no_fault(store: Store, alice: Member, bob: Member) -> None:
    """An archive may say anything. The texts that JSON escapes in the same letters stay as they are."""
    for strange in ("\0", "\0\0", "\\u0000", "\\\0", "\x01\x1f"):
        meta = {"mentions": [alice.number, strange], strange: strange}
        await store.write(ROOM, put, ROOM, "text", meta, "@Alice", bob.number)
    await store.write(ROOM, _set_meta, alice, {"ignored": ["\0"], "\0": "\0"})
    found = await room(store)
    assert (found.unread, found.mentions) == (5, 5)


async def _set_meta(tx: Transaction, member: Member, meta: dict[str, Any]) -> None:
    sql = "UPDATE seat SET meta = $1 WHERE person = $2 AND number = $3"
    await tx.fetch(sql, dump_meta(meta), member.person, member.number)


async def test_few_of_many_rooms_are_shown(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.my_rooms.CONSIDERED", 5)
    monkeypatch.setattr("chat.store.my_rooms.SHOWN", 3)
    codes = [f"{n:08}" for n in range(6)]
    members = []
    for code in codes:
        clock.now += 1
        await calls.open_room(store, code)
        members.append(await calls.take_seat(store, code, ME, "Alice"))
    for n in (1, 0):
        clock.now += 1
        await say(store, members[n])
    shown = [one.room.code for one in await rooms(store)]
    assert shown == [codes[1], codes[5], codes[4]]


async def test_a_room_in_which_nothing_was_said_is_as_new_as_it_was_made(
    store: Store, alice: Member, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search in all rooms looks through so many, the newest first."""
    monkeypatch.setattr("chat.store.my_rooms.CONSIDERED", 3)
    times = []
    for code in ("22222222", "33333333", "44444444"):
        clock.now += 1
        times.append((code, clock.ms))
        await calls.open_room(store, code)
        await calls.take_seat(store, code, ME, "Alice")
    clock.now += 1
    await say(store, alice)
    found = await store.read(rooms_by_time, ME)
    assert [(room.code, newest) for room, _, newest in found] == [(ROOM, clock.ms), *times[:0:-1]]
