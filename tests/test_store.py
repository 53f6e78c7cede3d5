"""The contract of every store: what chat.store.Store promises, and a random walk against a model."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar
from unittest.mock import patch

import calls
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from postgres import the_server
from store_model import VERSIONS, Clock, ModelRoom, Reader

from chat.features import reactions
from chat.model.changes import Change
from chat.model.errors import Forbidden, Refused
from chat.model.members import Member
from chat.model.messages import BODY_BYTES, Amendment, Delete, Edit, Message, Previous, Version
from chat.model.meta import NO_META, Meta, with_meta
from chat.model.quotes import START, Quoted
from chat.model.rooms import Position
from chat.store import (
    NO_ROOM,
    AlreadyExists,
    NotFound,
    Resync,
    Store,
    Unavailable,
    log,
    members,
    messages,
    past,
    read_positions,
    rooms,
    versions,
)
from chat.store.log import change_message
from chat.store.my_rooms import home_of
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Transaction
from chat.store.visits import visit
from chat.store.windows import UNBOUNDED, weight

T = TypeVar("T")
Place = Callable[..., Store]  # makes stores that all keep the same data; takes `clock`

ROOM = "BCDFGHJK"
OTHER = "22222222"
NOWHERE = "ZZZZZZZZ"


def _sqlite_place(directory: Path) -> Place:
    return partial(SQLiteStore, str(directory / "chat.db"))


def _postgres_place(directory: Path) -> Place:
    return partial(PostgresStore, the_server().schema())


BACKENDS: dict[str, Callable[[Path], Place]] = {"sqlite": _sqlite_place, "postgres": _postgres_place}


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(place: Place, clock: Clock) -> AsyncIterator[Store]:
    store = place(clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    yield store
    await store.close()


@pytest.fixture
async def alice(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, "person-a", "Alice")


@pytest.fixture
async def bob(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, "person-b", "Bob")


_keys = itertools.count()


async def say(store: Store, member: Member, body: str) -> Change:
    return await store.append(member.code, member.number, f"key-{next(_keys)}", body)


async def everything(store: Store, code: str = ROOM) -> list[Message]:
    return (await calls.history(store, code, limit=100_000)).messages


# Rooms


async def test_an_opened_room_is_found(store: Store, clock: Clock) -> None:
    room = await calls.open_room(store, OTHER)
    assert await calls.find_room(store, OTHER) == room
    assert (room.code, room.opened) == (OTHER, clock.ms)
    assert room.epoch


async def test_a_code_is_given_to_one_room_only(store: Store) -> None:
    with pytest.raises(AlreadyExists):
        await calls.open_room(store, ROOM)


async def test_of_many_who_open_the_same_room_at_once_one_succeeds(store: Store) -> None:
    results = await asyncio.gather(
        *(calls.open_room(store, OTHER) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(r, AlreadyExists) for r in results) == 19


async def test_the_first_to_say_a_fact_decides_it(store: Store) -> None:
    assert await calls.get_or_set(store, "key", "one") == "one"
    assert await calls.get_or_set(store, "key", "two") == "one"
    assert await calls.get_or_set(store, "other", "two") == "two"


@pytest.mark.parametrize("code", [NOWHERE, "", "a\0b", "\0"])
async def test_an_unknown_room_is_missing_everywhere(store: Store, code: str) -> None:
    assert await calls.find_room(store, code) is None
    assert await calls.find_seat(store, code, "person-a") is None
    assert await calls.seats_of(store, code, "person-a") == []
    assert await calls.end_seat(store, code, "person-a") is None
    assert await calls.announce(store, code, "entered", [1]) is None
    assert await calls.present(store, code) == []
    assert await calls.heads(store, [code]) == {}
    missing: list[Awaitable[object]] = [
        calls.take_seat(store, code, "person-a", "Alice"),
        store.append(code, 1, "k", "hello"),
        calls.amend(store, code, 1, Delete()),
        calls.history(store, code),
        calls.changes(store, code, Position("", 0)),
    ]
    for attempt in missing:
        with pytest.raises(NotFound):
            await attempt


async def test_it_answers_a_ping(store: Store) -> None:
    await store.ping()


# Messages


async def test_a_message_comes_back_as_it_was_written(store: Store, alice: Member, clock: Clock) -> None:
    done = await say(store, alice, "hello")
    room = await calls.find_room(store, ROOM)
    assert room
    assert done.message == Message(1, 1, clock.ms, alice.number, "Alice", 1, "hello")
    assert (done.code, done.position, done.duplicate) == (ROOM, Position(room.epoch, 1), False)
    assert await everything(store) == [done.message]


@pytest.mark.parametrize(
    "body", ["a\0b", "\x1a0\x1a\0", "שלום", "👩‍👩‍👧", "'; DROP TABLE message; --", "x" * 8192, "\n\t ", "￿"]
)
async def test_any_text_survives(store: Store, alice: Member, body: str) -> None:
    await say(store, alice, body)
    assert [m.body for m in await everything(store)] == [body]


async def test_a_lone_surrogate_is_refused_and_leaves_nothing(store: Store, alice: Member) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        await say(store, alice, "\ud800")
    done, refused = await asyncio.gather(
        say(store, alice, "hello"), say(store, alice, "\udfff"), return_exceptions=True
    )
    assert isinstance(refused, ValueError)
    assert isinstance(done, Change)
    assert done.position.rev == 1
    assert await everything(store) == [done.message]


async def test_the_same_key_is_the_same_message(store: Store, alice: Member) -> None:
    told: list[Change] = []
    store.listen(told.extend)
    first = await store.append(ROOM, alice.number, "once", "hello")
    again = await store.append(ROOM, alice.number, "once", "something else")
    assert (again.message, again.position, again.duplicate) == (first.message, first.position, True)
    assert await everything(store) == [first.message]
    assert told == [first]


async def test_the_same_key_at_the_same_moment_writes_once(store: Store, alice: Member) -> None:
    attempts = [store.append(ROOM, alice.number, "once", "hello") for _ in range(50)]
    dones = await asyncio.gather(*attempts)
    assert [d.duplicate for d in dones].count(False) == 1
    assert {d.message.id for d in dones} == {1}


async def test_the_same_key_of_somebody_else_is_another_message(
    store: Store, alice: Member, bob: Member
) -> None:
    await store.append(ROOM, alice.number, "once", "hello")
    assert not (await store.append(ROOM, bob.number, "once", "hello")).duplicate


async def test_a_key_still_counts_after_48_hours(store: Store, alice: Member, clock: Clock) -> None:
    await store.append(ROOM, alice.number, "once", "hello")
    clock.now += 48 * 3600
    await say(store, alice, "two days later")
    await say(store, alice, "and again")
    assert (await store.append(ROOM, alice.number, "once", "hello")).duplicate


async def test_a_retry_after_leaving_is_answered(store: Store, alice: Member) -> None:
    await store.append(ROOM, alice.number, "once", "hello")
    await calls.end_seat(store, ROOM, alice.person)
    assert (await store.append(ROOM, alice.number, "once", "hello")).duplicate


@pytest.mark.parametrize("extra", [None, partial(log.head_of, code=ROOM)])
@pytest.mark.parametrize("number", [0, -1, 2, 2**63, -(2**70)])
async def test_nobody_writes_from_a_seat_that_does_not_exist(
    store: Store, alice: Member, number: int, extra: Any
) -> None:
    with pytest.raises(NotFound):
        await store.append(ROOM, number, "k", "hello", extra)
    assert await everything(store) == []


async def counted(tx: Transaction) -> Meta:
    """As the extra of a text: how many messages are before it."""
    page = await log.history(tx, ROOM)
    return with_meta(NO_META, before=len(page.messages))


async def refused(tx: Transaction) -> Meta:
    raise Refused("Not this one.", "reply")


async def answer(tx: Transaction, id: int) -> Meta:
    """As the extra of a text that answers another one."""
    if (await calls.find_message(tx, ROOM, id)).body is None:
        raise NotFound("It is gone.")
    return with_meta(NO_META, reply=id)


async def test_what_a_text_carries_is_found_out_in_its_turn(store: Store, alice: Member, bob: Member) -> None:
    told: list[Change] = []
    store.listen(told.extend)
    writes = [
        store.append(ROOM, seat.number, f"key {n}", f"text {n}", counted if n % 3 == 2 else None)
        for n, seat in enumerate([alice, alice, alice, bob, alice, bob, bob])
    ]
    done = await asyncio.gather(*writes)
    assert [(m.id, m.body, dict(m.meta)) for m in await everything(store)] == [
        (n + 1, f"text {n}", {"before": n} if n % 3 == 2 else {}) for n in range(7)
    ]
    assert told == done
    assert [change.message for change in done] == await everything(store)
    assert done[2].message.before == Previous(alice.number, done[1].message.at)


async def test_a_text_whose_extra_is_refused_is_not_stored_and_those_behind_it_are(
    store: Store, alice: Member
) -> None:
    extras = (None, refused, counted, None)
    writes = [store.append(ROOM, alice.number, f"{n}", f"{n}", extra) for n, extra in enumerate(extras)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[1], Refused)
    assert results[1].field == "reply"
    assert [(m.id, m.body) for m in await everything(store)] == [(1, "0"), (2, "2"), (3, "3")]
    assert (await store.append(ROOM, alice.number, "1", "1")).message.id == 4


async def test_the_extra_of_a_key_that_was_used_is_not_asked(store: Store, alice: Member) -> None:
    first = await store.append(ROOM, alice.number, "once", "hello", counted)
    for extra in (counted, refused, None):
        again = await store.append(ROOM, alice.number, "once", "hello", extra)
        assert (again.message, again.position, again.duplicate) == (first.message, first.position, True)
    plain = await store.append(ROOM, alice.number, "plain", "hello")
    assert (await store.append(ROOM, alice.number, "plain", "hello", refused)).message == plain.message
    assert await everything(store) == [first.message, plain.message]


async def test_nobody_writes_from_a_seat_that_ended(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    with pytest.raises(NotFound):
        await say(store, alice, "hello")


async def test_a_time_is_the_clocks_and_order_is_not(store: Store, alice: Member, clock: Clock) -> None:
    """One write while the clock is five hours ahead spoils no later time."""
    true = clock.now
    for seconds in (0, 5 * 3600, 1, -3600, 2):
        clock.now = true + seconds
        done = await say(store, alice, f"{seconds}")
        assert done.message.at == clock.ms
        assert done.message.before is None or seconds != 1 or done.message.before.at == clock.ms + 17_999_000
    texts = [m for m in await everything(store) if m.kind == "text"]
    assert [m.body for m in texts] == ["0", "18000", "1", "-3600", "2"]
    assert [m.at for m in texts] == [int((true + s) * 1000) for s in (0, 18000, 1, -3600, 2)]
    assert [m.body for m in (await calls.history(store, ROOM, before=texts[3].id, limit=2)).messages] == [
        "18000",
        "1",
    ]
    since = Position((await calls.history(store, ROOM)).position.epoch, texts[1].rev)
    assert [m.body for m in (await calls.changes(store, ROOM, since)).created] == ["1", "-3600", "2"]


async def test_notices_and_edits_carry_the_clocks_time_too(
    store: Store, alice: Member, bob: Member, clock: Clock
) -> None:
    clock.now += 5 * 3600
    await calls.announce(store, ROOM, "entered", [alice.number])
    clock.now -= 5 * 3600
    second = await calls.announce(store, ROOM, "entered", [bob.number])
    assert second
    assert second.message.at == clock.ms, "it is not folded into a notice of a time that has not come"
    text = await say(store, alice, "hello")
    clock.now -= 60
    edited = await calls.amend(store, ROOM, text.message.id, Edit("hallo"))
    assert edited.message.edited == clock.ms


async def test_a_message_knows_the_one_before_it(
    store: Store, alice: Member, bob: Member, clock: Clock
) -> None:
    first = await say(store, alice, "one")
    clock.now += 1
    second = await say(store, bob, "two")
    clock.now += 1
    notice = await calls.announce(store, ROOM, "entered", [alice.number])
    third = await say(store, bob, "three")
    assert notice
    await calls.amend(store, ROOM, first.message.id, Delete())
    stored = await everything(store)
    assert stored[0].before is None
    assert stored[1].before == (alice.number, first.message.at)
    assert stored[2].before == (bob.number, second.message.at)
    assert stored[3].before == (None, notice.message.at)
    assert stored[1:] == [second.message, notice.message, third.message]


async def test_many_senders_leave_no_hole_in_the_revs(store: Store) -> None:
    await calls.open_room(store, OTHER)
    told: list[Change] = []
    store.listen(told.extend)

    async def sender(code: str, number: int) -> None:
        member = await calls.take_seat(store, code, f"person-{number}", f"Name {number}")
        for _ in range(10):
            await say(store, member, "hello")

    await asyncio.gather(*(sender(code, n) for n in range(30) for code in (ROOM, OTHER)))
    for code in (ROOM, OTHER):
        assert [m.id for m in await everything(store, code)] == list(range(1, 301))
        assert [d.position.rev for d in told if d.code == code] == list(range(1, 301))


async def test_changes_are_told_before_their_writers_continue(store: Store, alice: Member) -> None:
    events: list[object] = []
    store.listen(lambda changes: events.extend(c.position.rev for c in changes))
    done = await say(store, alice, "hello")
    events.append("continued")
    assert events == [done.position.rev, "continued"]


async def test_a_listener_that_fails_does_not_fail_the_writer(
    store: Store, alice: Member, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(changes: Sequence[Change]) -> None:
        raise RuntimeError("broken listener")

    store.listen(broken)
    assert (await say(store, alice, "hello")).position.rev == 1
    assert "broken listener" in caplog.text


# Functions of a transaction


async def two_changes(tx: Transaction, refused: bool) -> str:
    """What no operation of ours does: two changes in one write, of which it returns neither."""
    for number in (1, 2):
        message = await calls.find_message(tx, ROOM, 1)
        await change_message(tx, ROOM, message, meta=with_meta(message.meta, number=number))
    if refused:
        raise Refused("Not like this.")
    return "done"


async def test_every_change_of_a_write_is_told_whatever_it_returns(store: Store, alice: Member) -> None:
    await say(store, alice, "hello")
    told: list[Change] = []
    store.listen(told.extend)
    assert await store.write(ROOM, two_changes, False) == "done"
    assert [change.position.rev for change in told] == [2, 3]
    assert await everything(store) == [told[-1].message]


async def test_what_a_write_did_before_it_refused_is_not_kept(store: Store, alice: Member) -> None:
    first = await say(store, alice, "hello")
    told: list[Change] = []
    store.listen(told.extend)
    results = await asyncio.gather(
        say(store, alice, "before"),
        store.write(ROOM, two_changes, True),
        say(store, alice, "after"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Change, Refused, Change]
    assert [change.position.rev for change in told] == [2, 3]
    assert [(m.rev, m.body) for m in await everything(store)] == [(1, "hello"), (2, "before"), (3, "after")]
    assert (await everything(store))[0] == first.message


# Edits and deletions


async def test_an_edit_changes_the_text_in_place(store: Store, alice: Member, clock: Clock) -> None:
    first, second = await say(store, alice, "helo"), await say(store, alice, "two")
    clock.now += 10
    done = await calls.amend(store, ROOM, first.message.id, Edit("hello"))
    message = done.message
    assert (message.id, message.rev, message.at) == (1, 3, first.message.at)
    assert (message.body, message.edited, done.position.rev) == ("hello", clock.ms, 3)
    assert await everything(store) == [message, second.message]


async def test_a_deleted_text_is_nowhere(store: Store, alice: Member) -> None:
    room = await calls.find_room(store, ROOM)
    assert room
    await store.append(ROOM, alice.number, "once", "secret")
    await calls.amend(store, ROOM, 1, Edit("secret two"))
    done = await calls.amend(store, ROOM, 1, Delete())
    assert (done.message.body, done.message.edited, done.message.rev) == (None, None, 3)
    results = [
        await calls.history(store, ROOM),
        await calls.changes(store, ROOM, Position(room.epoch, 0)),
        await calls.changes(store, ROOM, Position(room.epoch, 1)),
        await store.append(ROOM, alice.number, "once", "whatever"),
    ]
    assert "secret" not in repr(results)
    assert [m.id for m in await everything(store)] == [1]


async def edit(store: Store, member: Member, id: int, *bodies: str) -> None:
    for body in bodies:
        await calls.amend(store, ROOM, id, Edit(body))


async def test_an_edit_keeps_what_was_said_before(store: Store, alice: Member, clock: Clock) -> None:
    first, other = await say(store, alice, "a\0\x1a"), await say(store, alice, "another")
    times = [clock.ms]
    for body in ("two", "three"):
        clock.now += 10
        times.append(clock.ms)
        await edit(store, alice, first.message.id, body)
    assert await calls.earlier_texts(store, ROOM, first.message.id) == [
        Version(1, times[0], "a\0\x1a"),
        Version(3, times[1], "two"),
    ]
    assert await calls.earlier_texts(store, ROOM, other.message.id) == []


async def test_of_many_versions_the_newest_are_kept(store: Store, alice: Member) -> None:
    await say(store, alice, "0")
    await say(store, alice, "of another message")
    await edit(store, alice, 2, "changed")
    await edit(store, alice, 1, *(f"{n}" for n in range(1, versions.KEPT + 5)))
    kept = [version.body for version in await calls.earlier_texts(store, ROOM, 1)]
    assert kept == [f"{n}" for n in range(4, versions.KEPT + 4)]
    assert [version.body for version in await calls.earlier_texts(store, ROOM, 2)] == ["of another message"]


async def test_versions_of_a_message_take_few_bytes(store: Store, alice: Member) -> None:
    longest = "é" * (BODY_BYTES // 2)
    await say(store, alice, longest)
    await edit(store, alice, 1, *(f"{n}{longest[1:]}" for n in range(8)), "short", "shorter")
    kept = await calls.earlier_texts(store, ROOM, 1)
    assert [version.body[0] for version in kept] == ["5", "6", "7", "s"]
    assert sum(len(version.body.encode()) for version in kept) <= versions.KEPT_BYTES


async def test_a_deleted_message_has_no_versions(store: Store, alice: Member, bob: Member) -> None:
    for member in (alice, bob):
        await say(store, member, "secret")
    await edit(store, alice, 1, "another secret", "a third")
    await edit(store, bob, 2, "still there")
    await calls.amend(store, ROOM, 1, Delete())
    assert await calls.earlier_texts(store, ROOM, 1) == []
    assert [version.body for version in await calls.earlier_texts(store, ROOM, 2)] == ["secret"]


async def test_a_deleted_text_cannot_be_changed(store: Store, alice: Member) -> None:
    await say(store, alice, "hello")
    await calls.amend_own(store, alice, 1, Delete())
    for change in (Delete(), Edit("back")):
        with pytest.raises(NotFound):
            await calls.amend_own(store, alice, 1, change)


async def test_nobody_changes_what_somebody_else_wrote(store: Store, alice: Member, bob: Member) -> None:
    await say(store, alice, "hello")
    for member in (
        bob,
        replace(alice, person="somebody"),
        replace(bob, number=99),
    ):
        with pytest.raises(Forbidden):
            await calls.amend_own(store, member, 1, Edit("bye"))
    assert (await everything(store))[0].body == "hello"


async def test_a_person_changes_what_they_wrote_from_a_former_seat(store: Store, alice: Member) -> None:
    await say(store, alice, "hello")
    await calls.end_seat(store, ROOM, alice.person)
    again = await calls.take_seat(store, ROOM, alice.person, "Alicia")
    assert again.number != alice.number
    with pytest.raises(Forbidden):
        await calls.amend_own(store, alice, 1, Edit("bye"))
    done = await calls.amend_own(store, again, 1, Edit("bye"))
    assert (done.message.body, done.message.name) == ("bye", "Alice")


async def test_notices_and_unknown_messages_cannot_be_changed(store: Store, alice: Member) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number])
    for id in (1, 2, 0, -1, 2**63):
        with pytest.raises(NotFound):
            await calls.amend_own(store, alice, id, Delete())


# Seats


async def test_seats_are_numbered_and_found(store: Store, alice: Member, bob: Member) -> None:
    assert [alice.number, bob.number] == [1, 2]
    assert await calls.find_seat(store, ROOM, "person-a") == alice
    assert await calls.find_seat(store, ROOM, "person-c") is None
    assert await calls.seats_of(store, ROOM, "person-b") == [2]


async def test_a_person_holds_one_seat(store: Store, alice: Member) -> None:
    taken = await asyncio.gather(*(calls.take_seat(store, ROOM, "person-a", f"Name {n}") for n in range(10)))
    assert set(taken) == {alice}


async def test_a_look_alike_of_somebody_else_is_marked(store: Store) -> None:
    names = ["Ian", "lan", "ian", "IAN", "Ιan", "Eve"]
    seats = [await calls.take_seat(store, ROOM, f"person-{n}", name) for n, name in enumerate(names)]
    assert [s.mark for s in seats] == [1, 2, 2, 3, 4, 1]


async def test_the_name_of_somebody_who_left_stays_theirs(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    assert (await calls.take_seat(store, ROOM, "person-x", "ALICE")).mark == 2
    assert await calls.take_seat(store, ROOM, alice.person, "Alice") == alice


async def test_nobody_is_a_look_alike_of_themselves(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    other = await calls.take_seat(store, ROOM, alice.person, "alice")
    assert (other.number, other.mark) == (2, 1)
    assert await calls.seats_of(store, ROOM, alice.person) == [1, 2]


async def test_a_visit_shows_a_member_their_seats_and_the_messages(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    other = await calls.take_seat(store, ROOM, alice.person, "alice")
    texts = [(await say(store, other, f"{n}")).message for n in range(4)]
    read = partial(past.earlier, before=texts[3].id, limit=2)
    found = await store.snapshot(visit, ROOM, alice.person, read)
    assert found is not None
    assert (found.member, found.seats) == (other, [1, 2])
    older = await calls.history(store, ROOM, texts[3].id, 2)
    assert found.page == replace(older, later=True)
    assert await store.snapshot(visit, ROOM, "somebody else", read) is None
    assert await store.snapshot(visit, "ZZZZZZZZ", alice.person, read) is None


async def test_the_rooms_of_a_person_are_those_with_a_seat_of_theirs(store: Store, alice: Member) -> None:
    for code in ("BBBBBBBB", "CCCCCCCC"):
        await calls.open_room(store, code)
        await calls.take_seat(store, code, alice.person, "Alice")
    await calls.end_seat(store, "CCCCCCCC", alice.person)
    assert sorted(await calls.rooms_of(store, alice.person, 10)) == sorted([ROOM, "BBBBBBBB", "CCCCCCCC"])
    assert len(await calls.rooms_of(store, alice.person, 2)) == 2
    assert await calls.rooms_of(store, "nobody", 10) == []


async def test_seats_that_pass_to_an_id_nobody_has_are_lost_to_their_person(
    store: Store, alice: Member, bob: Member
) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number, bob.number])
    await say(store, alice, "mine")
    await calls.end_seat(store, ROOM, alice.person)
    await calls.take_seat(store, ROOM, alice.person, "Alicia")
    done = await calls.end_seat(store, ROOM, alice.person, successor="gone")
    assert done
    assert done.message.notice
    assert [part.verb for part in done.message.notice.parts] == ["left"]
    assert await calls.find_seat(store, ROOM, alice.person) is None
    assert await calls.find_seat(store, ROOM, "gone") is None
    assert await calls.seats_of(store, ROOM, alice.person) == []
    assert await calls.seats_of(store, ROOM, "gone") == [1, 3]
    assert await calls.rooms_of(store, alice.person, 10) == []
    assert await calls.find_seat(store, ROOM, bob.person) == bob
    again = await calls.take_seat(store, ROOM, alice.person, "Alice")
    assert (again.number, again.mark) == (4, 2)


async def test_ended_seats_pass_on_without_a_word(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    before = await everything(store)
    assert await calls.end_seat(store, ROOM, alice.person, successor="gone") is None
    assert await everything(store) == before
    assert await calls.seats_of(store, ROOM, "gone") == [alice.number]


async def test_a_rename_ends_one_seat_takes_another_and_tells_the_room_in_one_write(
    store: Store, alice: Member, bob: Member
) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number])
    before = await say(store, alice, "as Alice")
    done = await calls.rename_seat(store, ROOM, alice.person, "Bob")
    assert done
    notice = done.message.notice
    assert notice
    assert (notice.verb, notice.names, notice.ended) == ("renamed", ("Alice", "Bob (2)"), (alice.number,))
    assert done.position.rev == before.position.rev + 1
    renamed = await calls.find_seat(store, ROOM, alice.person)
    assert renamed
    assert (renamed.number, renamed.name, renamed.mark) == (3, "Bob", 2)
    assert await calls.present(store, ROOM) == [renamed], (
        "those who were here still are, and nobody is announced again"
    )
    with pytest.raises(NotFound):
        await say(store, alice, "from a seat that ended")
    await say(store, renamed, "as Bob")
    texts = [(m.name, m.mark, m.body) for m in await everything(store) if m.kind == "text"]
    assert texts == [("Alice", 1, "as Alice"), ("Bob", 2, "as Bob")]
    assert await calls.seats_of(store, ROOM, alice.person) == [1, 3]


async def test_a_rename_to_a_former_name_takes_up_that_seat(store: Store, alice: Member) -> None:
    await calls.rename_seat(store, ROOM, alice.person, "Carol")
    await calls.rename_seat(store, ROOM, alice.person, "Alice")
    assert await calls.find_seat(store, ROOM, alice.person) == alice
    names = [m.notice.names for m in await everything(store) if m.notice]
    assert names == [("Alice", "Carol"), ("Carol", "Alice")], "each a line of its own"


async def test_a_rename_to_the_same_name_writes_nothing(store: Store, alice: Member) -> None:
    assert await calls.rename_seat(store, ROOM, alice.person, alice.name) is None
    assert await everything(store) == []


async def test_nobody_is_renamed_who_holds_no_seat(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    for code, person in ((ROOM, alice.person), (ROOM, "person-x"), (OTHER, alice.person)):
        with pytest.raises(NotFound):
            await calls.rename_seat(store, code, person, "Carol")


async def test_a_rename_that_is_refused_leaves_the_seat_as_it_was(
    store: Store, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.members.NAMES", 2)
    await calls.announce(store, ROOM, "entered", [alice.number])
    await calls.rename_seat(store, ROOM, alice.person, "Carol")
    held, before = await calls.find_seat(store, ROOM, alice.person), await everything(store)
    with pytest.raises(Refused):
        await calls.rename_seat(store, ROOM, alice.person, "Dora")
    assert held
    assert await calls.find_seat(store, ROOM, alice.person) == held
    assert await calls.present(store, ROOM) == [held]
    assert await everything(store) == before
    await say(store, held, "still here")


async def test_renames_at_once_leave_one_seat(store: Store, alice: Member) -> None:
    await asyncio.gather(*(calls.rename_seat(store, ROOM, alice.person, f"Name {n}") for n in range(10)))
    held = await calls.find_seat(store, ROOM, alice.person)
    assert held
    names = [m.notice.names for m in await everything(store) if m.notice]
    assert [one[1] for one in names[:-1]] == [other[0] for other in names[1:]]
    assert names[-1][1] == held.name


# Who comes and goes


async def test_leaving_ends_the_seat_and_tells_the_room(store: Store, alice: Member, clock: Clock) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number])
    clock.now += 61
    done = await calls.end_seat(store, ROOM, alice.person)
    assert done
    notice = done.message.notice
    assert notice
    assert (done.message.kind, done.message.author, done.position.rev) == ("notice", None, 2)
    assert (notice.verb, notice.names, notice.count, notice.ended) == ("left", ("Alice",), 1, (1,))
    assert await calls.find_seat(store, ROOM, alice.person) is None
    assert await calls.present(store, ROOM) == []
    assert await everything(store) == [
        (await calls.history(store, ROOM, before=2)).messages[0],
        done.message,
    ]
    assert await calls.end_seat(store, ROOM, alice.person) is None


async def test_who_is_here_is_told_once(store: Store, alice: Member, bob: Member) -> None:
    carol = await calls.take_seat(store, ROOM, "person-c", "Carol")
    done = await calls.announce(store, ROOM, "entered", [bob.number, carol.number, 77, bob.number, 2**64])
    assert done
    assert done.message.notice
    assert (done.message.notice.names, done.message.notice.count) == (("Bob", "Carol"), 2)
    await calls.announce(store, ROOM, "away", [carol.number])
    await calls.announce(store, ROOM, "entered", [alice.number])
    assert await calls.announce(store, ROOM, "entered", [alice.number]) is None
    assert await calls.announce(store, ROOM, "entered", []) is None
    assert await calls.present(store, ROOM) == await calls.present(store) == [alice, bob]
    assert await calls.announce(store, ROOM, "away", iter([bob.number]))
    assert await calls.announce(store, ROOM, "away", [bob.number]) is None
    assert await calls.present(store, ROOM) == [alice]


async def test_a_room_is_told_of_first_arrivals_and_of_those_who_are_back(store: Store, clock: Clock) -> None:
    await store.write(OTHER, rooms.open_room, OTHER)
    ann = await calls.take_seat(store, OTHER, "person-a", "Ann")

    async def goes(verb: Literal["entered", "away"]) -> list[str] | None:
        clock.now += 61
        done = await calls.announce(store, OTHER, verb, [ann.number])
        assert await calls.present(store, OTHER) == ([ann] if verb == "entered" else [])
        return [part.verb for part in done.message.notice.parts] if done and done.message.notice else None

    assert [await goes("entered"), await goes("away"), await goes("entered")] == [["arrived"], None, None]
    assert (await calls.heads(store, [OTHER]))[OTHER].rev == 1, "the log is as before"
    await calls.end_seat(store, OTHER, ann.person)
    await calls.take_seat(store, OTHER, "person-a", "Ann")
    assert [await goes("entered"), await goes("away"), await goes("entered")] == [["returned"], None, None]
    await calls.rename_seat(store, OTHER, ann.person, "Anna")
    (anna,) = await calls.present(store, OTHER)
    assert await calls.announce(store, OTHER, "away", [anna.number]) is None
    assert await calls.announce(store, OTHER, "entered", [anna.number]) is None, "a rename was told"


async def test_a_room_that_wants_to_know_is_told_of_all(store: Store, clock: Clock) -> None:
    ann = await calls.take_seat(store, ROOM, "person-ann", "Ann")
    moves: list[tuple[Literal["entered", "away"], str]] = [("entered", "arrived"), ("away", "away")]
    for verb, told in [*moves, ("entered", "entered")]:
        clock.now += 61
        done = await store.write(ROOM, members.announce, ROOM, verb, [ann.number])
        assert done
        assert done.message.notice
        assert [part.verb for part in done.message.notice.parts] == [told]


async def test_what_a_notice_says_already_is_not_written_again(store: Store, alice: Member) -> None:
    for verb in ("entered", "away", "entered"):
        assert await store.write(ROOM, members.announce, ROOM, verb, [alice.number])
    assert await calls.announce(store, ROOM, "away", [alice.number]) is None
    assert await calls.present(store, ROOM) == []
    assert await calls.announce(store, ROOM, "entered", [alice.number]) is None
    assert await calls.present(store, ROOM) == [alice]
    assert (await calls.heads(store, [ROOM]))[ROOM].rev == 3


async def test_here_covers_every_room(store: Store, alice: Member) -> None:
    await calls.open_room(store, OTHER)
    other = await calls.take_seat(store, OTHER, "person-z", "Zoe")
    await calls.announce(store, OTHER, "entered", [other.number])
    await calls.announce(store, ROOM, "entered", [alice.number])
    assert await calls.present(store) == [alice, other]
    assert await calls.present(store, OTHER) == [other]


async def test_whoever_left_for_good_is_passed_over(store: Store, alice: Member) -> None:
    await calls.end_seat(store, ROOM, alice.person)
    assert await calls.announce(store, ROOM, "entered", [alice.number]) is None


async def test_a_crowd_is_one_notice(store: Store) -> None:
    for n in range(5):
        member = await calls.take_seat(store, ROOM, f"person-{n}", f"Name {n}")
        await calls.announce(store, ROOM, "entered", [member.number])
    (message,) = await everything(store)
    assert (message.id, message.rev) == (1, 5)
    assert message.notice
    assert (message.notice.names, message.notice.count) == (("Name 0", "Name 1", "Name 2"), 5)


async def test_a_notice_is_amended_only_while_new_and_last(
    store: Store, alice: Member, bob: Member, clock: Clock
) -> None:
    await calls.announce(store, ROOM, "entered", [alice.number])
    clock.now += 61
    await calls.announce(store, ROOM, "entered", [bob.number])
    await calls.announce(store, ROOM, "away", [bob.number])
    await say(store, alice, "hello")
    await calls.end_seat(store, ROOM, bob.person)
    kinds = [(m.id, m.notice.verb if m.notice else m.body) for m in await everything(store)]
    assert kinds == [(1, "arrived"), (2, "arrived"), (4, "hello"), (5, "left")]


# Reading


@pytest.mark.parametrize("body", ["a short one", "long " * 200, "\x1a\0" * 600])
async def test_a_reply_shows_what_it_answers_as_that_is_now(
    store: Store, alice: Member, bob: Member, body: str
) -> None:
    first = (await say(store, alice, body)).message
    done = await store.append(ROOM, bob.number, "key", "yes", partial(answer, id=first.id))
    reply = done.message
    assert reply.meta["reply"] == first.id
    assert reply.quoted
    assert reply.quoted == Quoted(first.id, alice.number, "Alice", 1, body[: START + 1])
    await calls.amend(store, ROOM, first.id, Edit("another text"))
    changed = (await everything(store))[1]
    assert changed == replace(reply, quoted=replace(reply.quoted, body="another text"))
    edited = await calls.amend(store, ROOM, reply.id, Edit("yes!"))
    assert edited.message == (await everything(store))[1]
    assert edited.message.quoted == changed.quoted
    await calls.amend(store, ROOM, first.id, Delete())
    window = await calls.changes(store, ROOM, done.position)
    assert [m.quoted and m.quoted.body for m in await everything(store)] == [None, None]
    assert (await everything(store))[1].quoted == replace(reply.quoted, body=None)
    assert [m.id for m in window.changed] == [reply.id, first.id]
    gone = await calls.amend(store, ROOM, reply.id, Delete())
    assert (gone.message.quoted, gone.message.meta) == (None, {})
    assert (await everything(store))[1] == gone.message


async def test_the_replies_to_some_messages_are_found_together(store: Store, alice: Member) -> None:
    first, second = (await say(store, alice, "one")).message.id, (await say(store, alice, "two")).message.id
    for n, id in enumerate((second, first, first)):
        await store.append(ROOM, alice.number, f"key-{n}", "yes", partial(answer, id=id))

    async def replies(*ids: int, since: int = 0, limit: int = 9) -> list[int]:
        found = await store.snapshot(messages.replies_to, ROOM, ids, since, limit)
        return [message.id for message in found]

    assert await replies(first, second) == [4, 5, 3]
    assert await replies(first, second, since=4) == [4, 5]
    assert await replies(second, first, limit=2) == [3, 4]


async def test_an_empty_room_has_an_empty_page(store: Store) -> None:
    page = await calls.history(store, ROOM)
    assert (page.messages, page.position.rev, page.more) == ([], 0, False)


async def test_pages_lead_back_to_the_beginning(store: Store, alice: Member) -> None:
    for n in range(25):
        await say(store, alice, f"{n}")
    page = await calls.history(store, ROOM, limit=10)
    pages = [page]
    while page.more:
        page = await calls.history(store, ROOM, before=page.messages[0].id, limit=10)
        pages.insert(0, page)
    assert [len(p.messages) for p in pages] == [5, 10, 10]
    assert [m.body for p in pages for m in p.messages] == [f"{n}" for n in range(25)]


@pytest.mark.parametrize(
    ("before", "limit", "ids"), [(0, 5, []), (-(2**70), 5, []), (2**70, 2, [2, 3]), (None, 0, [])]
)
async def test_absurd_pages_are_harmless(
    store: Store, alice: Member, before: int | None, limit: int, ids: list[int]
) -> None:
    for n in range(3):
        await say(store, alice, f"{n}")
    assert [m.id for m in (await calls.history(store, ROOM, before, limit)).messages] == ids


async def test_a_window_tells_the_new_from_the_changed(store: Store, alice: Member) -> None:
    for n in range(4):
        await say(store, alice, f"{n}")
    await calls.amend(store, ROOM, 2, Edit("edited"))  # rev 5
    head = (await calls.history(store, ROOM)).position
    window = await calls.changes(store, ROOM, Position(head.epoch, 3))
    assert ([m.id for m in window.created], [m.id for m in window.changed]) == ([4], [2])
    assert (window.position, window.head) == (head, 5)
    window = await calls.changes(store, ROOM, Position(head.epoch, 0), window=3)
    assert ([m.body for m in window.created], window.changed) == (["0", "edited", "2"], [])
    assert (window.position.rev, window.head) == (3, 5)
    window = await calls.changes(store, ROOM, Position(head.epoch, 2))
    assert ([m.id for m in window.created], [m.id for m in window.changed]) == ([3, 4], [2])
    window = await calls.changes(store, ROOM, head)
    assert (window.created, window.changed, window.position) == ([], [], head)


async def test_a_position_that_cannot_be_continued_from_is_refused(store: Store, alice: Member) -> None:
    await say(store, alice, "hello")
    epoch = (await calls.history(store, ROOM)).position.epoch
    for since in (Position("other", 1), Position(epoch, 2), Position(epoch, -1), Position(epoch, 2**70)):
        with pytest.raises(Resync):
            await calls.changes(store, ROOM, since)


LONG = "x" * 4000


@pytest.mark.parametrize("text", [LONG, "\U0001f600" * 1000, "ж" * 2000])
async def test_a_page_ends_where_its_messages_take_too_many_bytes(
    store: Store, alice: Member, text: str
) -> None:
    """A text takes what Python holds it in: four bytes a character if there is one emoji."""
    for n in range(30):
        await say(store, alice, f"{n} {text}")
    page = await calls.history(store, ROOM, most=50_000)
    pages = [page]
    while page.more:
        page = await calls.history(store, ROOM, page.messages[0].id, most=50_000)
        pages.insert(0, page)
    assert [m.id for page in pages for m in page.messages] == list(range(1, 31))
    assert all(sum(map(weight, page.messages)) <= 50_000 for page in pages)
    assert all(sum(map(weight, page.messages)) > 40_000 for page in pages[1:])


async def test_a_page_has_at_least_one_message(store: Store, alice: Member) -> None:
    await say(store, alice, "first")
    await say(store, alice, LONG)
    page = await calls.history(store, ROOM, most=1)
    assert ([m.body for m in page.messages], page.more) == ([LONG], True)
    page = await calls.history(store, ROOM, page.messages[0].id, most=1)
    assert ([m.body for m in page.messages], page.more) == (["first"], False)


async def test_a_window_ends_where_its_messages_take_too_many_bytes(store: Store, alice: Member) -> None:
    for n in range(30):
        await say(store, alice, f"{n} {LONG}")
    for id in (25, 2):
        await calls.amend(store, ROOM, id, Edit(f"edited {LONG}"))
    reader = Reader(Position((await calls.history(store, ROOM)).position.epoch, 0))
    sizes = []
    while reader.position.rev < 32:
        window = await calls.changes(store, ROOM, reader.position, most=50_000)
        assert window.head == 32
        sizes.append(sum(map(weight, window.created + window.changed)))
        reader.take(window)
    assert max(sizes) <= 50_000
    assert min(sizes[:-1]) > 40_000
    assert list(reader.messages) == list(range(1, 31))
    assert [m.id for m in reader.messages.values() if m.body == f"edited {LONG}"] == [2, 25]


async def test_a_window_has_at_least_one_message(store: Store, alice: Member) -> None:
    for text in (LONG, "second", LONG):
        await say(store, alice, text)
    await calls.amend(store, ROOM, 1, Edit("edited"))
    epoch = (await calls.history(store, ROOM)).position.epoch
    reader, steps = Reader(Position(epoch, 1), (await calls.history(store, ROOM, before=2)).messages), []
    while reader.position.rev < 4:
        window = await calls.changes(store, ROOM, reader.position, most=1)
        steps.append([m.id for m in window.created + window.changed])
        reader.take(window)
    assert steps == [[2], [3], [1]]


async def test_the_heads_of_many_rooms_come_at_once(store: Store, alice: Member) -> None:
    codes = [f"ROOM{n:04}" for n in range(700)]
    rooms = await asyncio.gather(*(calls.open_room(store, code) for code in codes))
    done = await say(store, alice, "hello")
    heads = await calls.heads(store, [*codes, NOWHERE, ROOM])
    assert heads == {r.code: Position(r.epoch, 0) for r in rooms} | {ROOM: done.position}
    assert await calls.heads(store, []) == {}


# Opening and closing


async def test_everything_is_there_again_after_reopening(place: Place, clock: Clock) -> None:
    store = place(clock=clock)
    await store.open()
    room = await calls.open_room(store, ROOM)
    alice = await calls.take_seat(store, ROOM, "person-a", "Alice")
    await store.append(ROOM, alice.number, "once", "hello")
    await calls.announce(store, ROOM, "entered", [alice.number])
    page = await calls.history(store, ROOM)
    await store.close()

    store = place(clock=clock)
    await store.open()
    assert await calls.find_room(store, ROOM) == room
    assert await calls.history(store, ROOM) == page
    assert await calls.present(store) == [alice]
    assert (await store.append(ROOM, alice.number, "once", "hello")).duplicate
    await store.close()


async def test_a_closed_store_is_unavailable(place: Place) -> None:
    store = place()
    with pytest.raises(Unavailable):
        await store.ping()
    await store.open()
    await store.close()
    await store.close()
    for attempt in (store.ping, lambda: calls.open_room(store, ROOM), lambda: calls.history(store, ROOM)):
        with pytest.raises(Unavailable):
            await attempt()


async def test_closing_finishes_what_was_begun(place: Place) -> None:
    store = place()
    await store.open()
    await calls.open_room(store, ROOM)
    alice = await calls.take_seat(store, ROOM, "person-a", "Alice")
    writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(500)]
    reads = [asyncio.create_task(calls.history(store, ROOM)) for _ in range(10)]
    await asyncio.sleep(0)
    await store.close()
    assert [(await w).message.id for w in writes] == list(range(1, 501))
    assert len([await r for r in reads]) == 10


# A random walk

PEOPLE = ["person-a", "person-b", "person-c", "person-d"]
NAMES = ["Ian", "lan", "ian", "IAN", "Bob"]
people, names = st.sampled_from(PEOPLE), st.sampled_from(NAMES)
numbers = st.integers(0, 8)
fresh = st.booleans()


class Walk(RuleBasedStateMachine):
    """Random writes and readers; every answer is compared with the model's."""

    backend: str

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.few_versions = patch("chat.store.versions.KEPT", VERSIONS)
        self.few_versions.start()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.place = BACKENDS[self.backend](Path(self.directory.name))
        self.told: list[Change] = []
        self.texts = itertools.count()
        self.writes: list[Callable[[], Coroutine[Any, Any, Change]]] = []
        self.expected: list[Callable[[], Change]] = []
        self._open()

    def _open(self) -> None:
        self.store = self.place(clock=self.clock)
        self.store.listen(self.told.extend)
        self.run(self.store.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        for reader in self.readers if hasattr(self, "readers") else []:
            self._catch_up(reader)
        self.run(self.store.close())
        self.runner.close()
        self.few_versions.stop()
        self.directory.cleanup()

    def _catch_up(self, reader: Reader) -> None:
        while reader.position.rev < self.room.rev:
            self._follow(reader, 7)
        assert [m for m in self.room.messages if m.id in reader.messages] == list(reader.messages.values())
        assert [m.id for m in self.room.messages[-len(reader.messages) :]] == list(reader.messages)

    @initialize()
    def begin(self) -> None:
        room = self.run(calls.open_room(self.store, ROOM))
        self.room = ModelRoom(ROOM, room.epoch, self.clock)
        self.readers = [Reader(self.room.position)]

    @rule(person=people, name=names)
    def take_seat(self, person: str, name: str) -> None:
        assert self.run(calls.take_seat(self.store, ROOM, person, name)) == self.room.take_seat(person, name)

    @rule(person=people)
    def end_seat(self, person: str) -> None:
        assert self.run(calls.end_seat(self.store, ROOM, person)) == self.room.end_seat(person)

    @rule(person=people, name=names)
    def rename_seat(self, person: str, name: str) -> None:
        if self.room.held(person) is None:
            with pytest.raises(NotFound):
                self.run(calls.rename_seat(self.store, ROOM, person, name))
        else:
            assert self.run(calls.rename_seat(self.store, ROOM, person, name)) == self.room.rename_seat(
                person, name
            )

    @rule(verb=st.sampled_from(["entered", "away"]), seats=st.lists(numbers, max_size=4))
    def announce(self, verb: Any, seats: list[int]) -> None:
        assert self.run(calls.announce(self.store, ROOM, verb, seats)) == self.room.announce(verb, seats)

    @rule(author=numbers)
    def append(self, author: int) -> None:
        key, body = f"key {next(self.texts)}", f"text {next(self.texts)};"
        self._write(lambda: self._append(author, key, body), lambda: self.room.append(author, key, body))

    async def _append(self, author: int, key: str, body: str, extra: Any = None) -> Change:
        return await self.store.append(ROOM, author, key, body, extra)

    @rule(author=numbers, back=st.integers(0, 6))
    def reply(self, author: int, back: int) -> None:
        answered = self.room.messages[-1 - back].id if back < len(self.room.messages) else 0
        key, body = f"key {next(self.texts)}", f"text {next(self.texts)};"
        self._write(
            lambda: self._append(author, key, body, partial(answer, id=answered)),
            lambda: self.room.append(author, key, body, answered),
        )

    @rule(bodies=st.integers(2, 20))
    def append_many_at_once(self, bodies: int) -> None:
        seat = next((s for s in self.room.seats if s.held), None)
        number = seat.member.number if seat else 1
        texts = [f"text {next(self.texts)};" for _ in range(bodies)]

        async def together() -> list[Change | BaseException]:
            writes = (self.store.append(ROOM, number, text, text) for text in texts)
            return await asyncio.gather(*writes, return_exceptions=True)

        for text, result in zip(texts, self.run(together()), strict=True):
            if seat:
                assert result == self.room.append(number, text, text)
            else:
                assert isinstance(result, NotFound)

    @rule(back=st.integers(0, 12), by=st.one_of(st.just("author"), numbers), delete=st.booleans())
    def amend(self, back: int, by: Any, delete: bool) -> None:
        message = self.room.messages[-1 - back] if back < len(self.room.messages) else None
        id = message.id if message else 0
        if by == "author":
            by = message.author if message else None
        if by is None or not 1 <= by <= len(self.room.seats):
            return
        member = self.room.seats[by - 1].member
        change: Amendment = Delete() if delete else Edit(f"text {next(self.texts)};")
        try:
            expected = self.room.amend(id, by, change)
        except (Forbidden, NotFound) as error:
            with pytest.raises(type(error)):
                self.run(calls.amend_own(self.store, member, id, change))
        else:
            assert self.run(calls.amend_own(self.store, member, id, change)) == expected

    @rule(person=people, back=st.integers(0, 6), emoji=st.sampled_from("👍🎉"), on=st.booleans())
    def react(self, person: str, back: int, emoji: str, on: bool) -> None:
        id = self.room.messages[-1 - back].id if back < len(self.room.messages) else 0
        member = (self.room.held(person) or self.room.seats[0]).member if self.room.seats else None
        if member is None:
            return
        asked = replace(member, person=person)
        try:
            expected = self.room.react(person, id, emoji, on)
        except (Forbidden, NotFound) as error:
            with pytest.raises(type(error)):
                self.run(self.store.write(ROOM, reactions.react, asked, id, emoji, on))
        else:
            assert self.run(self.store.write(ROOM, reactions.react, asked, id, emoji, on)) == expected

    @rule(reads=st.lists(st.tuples(numbers, st.integers(0, 99)), max_size=3))
    def read(self, reads: list[tuple[int, int]]) -> None:
        """Perhaps less than before, what is yet to come, or from a seat that is none."""
        self.run(self.store.write(NO_ROOM, read_positions.save, [(ROOM, *read) for read in reads]))
        for number, rev in reads:
            self.room.note_read(number, rev)

    @rule(number=numbers, rev=st.integers(0, 99))
    def set_back(self, number: int, rev: int) -> None:
        self.run(self.store.write(NO_ROOM, read_positions.set_back, ROOM, number, rev))
        self.room.set_back(number, rev)

    @rule(person=people)
    def count_what_is_unread(self, person: str) -> None:
        found = self.run(self.store.snapshot(home_of, person)).rooms
        held = self.room.held(person)
        assert [(room.read, room.unread) for room in found] == (
            [(held.read, self.room.unread(person))] if held else []
        )

    @precondition(lambda self: self.writes)
    @rule(which=st.integers(0, 1000))
    def retry(self, which: int) -> None:
        which %= len(self.writes)
        self._compare(self.writes[which], self.expected[which])

    def _write(self, write: Callable[[], Coroutine[Any, Any, Change]], expect: Callable[[], Change]) -> None:
        self.writes.append(write)
        self.expected.append(expect)
        self._compare(write, expect)

    def _compare(
        self, write: Callable[[], Coroutine[Any, Any, Change]], expect: Callable[[], Change]
    ) -> None:
        try:
            expected = expect()
        except NotFound:
            with pytest.raises(NotFound):
                self.run(write())
        else:
            assert self.run(write()) == expected

    @rule(seconds=st.sampled_from([-5000, -1, 0.001, 1, 30, 61, 86_400]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(limit=st.integers(1, 10), most=st.sampled_from([0, 1000, 3000, UNBOUNDED]))
    def page_to_the_beginning(self, limit: int, most: int) -> None:
        before: int | None = None
        messages: list[Message] = []
        while True:
            page = self.run(calls.history(self.store, ROOM, before, limit, most))
            assert page.position == self.room.position
            messages = page.messages + messages
            if not page.more:
                break
            before = page.messages[0].id
        assert messages == self.room.messages

    @precondition(lambda self: len(self.readers) < 5)
    @rule(limit=st.integers(1, 30))
    def join(self, limit: int) -> None:
        page = self.run(calls.history(self.store, ROOM, limit=limit))
        # A browser that holds only the newest messages is sent changes of older ones, too: it drops them.
        if not page.more:
            self.readers.append(Reader(page.position, page.messages))

    @rule(which=numbers, window=st.integers(1, 50), most=st.sampled_from([0, 1000, 3000, UNBOUNDED]))
    def follow(self, which: int, window: int, most: int) -> None:
        self._follow(self.readers[which % len(self.readers)], window, most)

    def _follow(self, reader: Reader, window: int, most: int = UNBOUNDED) -> None:
        found = self.run(calls.changes(self.store, ROOM, reader.position, window, most))
        assert found.head == self.room.rev
        end = min(self.room.rev, reader.position.rev + window)
        entries = found.created + found.changed
        if most == UNBOUNDED:
            assert found.position.rev == end
        elif reader.position.rev < end:
            assert reader.position.rev < found.position.rev <= end
            assert sum(map(weight, entries)) <= most or len(entries) == 1
        assert not self.room.erased & {m.body for m in found.created + found.changed}
        reader.take(found)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self._open()

    @invariant()
    def revs_have_no_holes(self) -> None:
        assert [d.position.rev for d in self.told] == list(range(1, len(self.told) + 1))
        if hasattr(self, "room"):
            assert len(self.told) == self.room.rev

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        if hasattr(self, "room"):
            page = self.run(calls.history(self.store, ROOM, limit=1000))
            assert (page.messages, page.position) == (self.room.messages, self.room.position)

    @rule(back=st.integers(0, 12))
    def look_at_earlier_texts(self, back: int) -> None:
        for message in self.room.messages[-1 - back :]:
            found = self.run(calls.earlier_texts(self.store, ROOM, message.id))
            assert found == self.room.earlier.get(message.id, [])

    @rule(person=people)
    def a_person_holds_at_most_one_seat(self, person: str) -> None:
        held = self.room.held(person)
        assert self.run(calls.find_seat(self.store, ROOM, person)) == (held.member if held else None)
        seats = [s.member.number for s in self.room.seats if s.member.person == person]
        assert self.run(calls.seats_of(self.store, ROOM, person)) == seats
        here = [s.member for s in self.room.seats if s.here]
        assert self.run(calls.present(self.store, ROOM)) == here


class SQLiteWalk(Walk):
    backend = "sqlite"


class PostgresWalk(Walk):
    backend = "postgres"


TestSQLiteWalk = SQLiteWalk.TestCase
TestPostgresWalk = PostgresWalk.TestCase
TestSQLiteWalk.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestPostgresWalk.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
