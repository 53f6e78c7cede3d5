"""Drafts that two nodes write to PostgreSQL at once, as if one did after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import calls
import pytest
from postgres import the_server

from chat.model.drafts import Note, SavedDraft
from chat.model.members import Member
from chat.model.messages import Delete
from chat.store import NO_ROOM, drafts
from chat.store.drafts import AGE, KEPT
from chat.store.postgres.store import PostgresStore
from chat.store.postgres.transaction import PostgresTransaction

ROOM = "BCDFGHJK"
NOW = 1_800_000_000_000


@pytest.fixture
def url() -> str:
    return the_server().schema()


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Sequence[PostgresStore]]:
    nodes = [PostgresStore(url, clock=lambda: NOW / 1000) for _ in range(2)]
    for node in nodes:
        await node.open()
    await calls.open_room(nodes[0], ROOM)
    yield nodes
    for node in nodes:
        await node.close()


@pytest.fixture
async def people(nodes: Sequence[PostgresStore]) -> list[Member]:
    return [await calls.take_seat(nodes[0], ROOM, f"person-{n}", f"Name {n}") for n in range(3)]


def note(member: Member, page: str, body: str, **more: Any) -> Note:
    return Note(member.code, member.number, page, body, **more)


async def save(node: PostgresStore, *notes: Note) -> None:
    await node.write(NO_ROOM, drafts.save, notes)


async def kept(node: PostgresStore, member: Member) -> Sequence[SavedDraft]:
    return (await node.read(drafts.drafts_of, *member.seat)).drafts


async def bodies(node: PostgresStore, member: Member) -> list[str]:
    return [draft.body for draft in await kept(node, member)]


@asynccontextmanager
async def another(url: str, now: int = NOW) -> AsyncIterator[PostgresTransaction]:
    """A transaction of another node, which commits at the end."""
    db = await asyncpg.connect(url)
    try:
        async with db.transaction():
            yield PostgresTransaction(db, now)
    finally:
        await db.close()


async def awaited(url: str) -> None:
    """Return once a session waits for another."""
    db = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(10):
            while not await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.005)
    finally:
        await db.close()


async def sent_and_used_again(tx: PostgresTransaction, ann: Member, bob: Member) -> None:
    """What Ann began is sent, and the place of its draft is one of Bob's."""
    sent, his = note(ann, "phone", "hello there", kind="sent"), note(bob, "his", "what Bob wrote")
    await drafts.save(tx, [sent, his])


async def test_a_place_that_was_used_again_meanwhile_is_not_written(
    nodes: Sequence[PostgresStore], people: list[Member], url: str
) -> None:
    ann, bob, _ = people
    await save(nodes[0], note(ann, "laptop", "hello"))
    async with another(url) as tx:
        await sent_and_used_again(tx, ann, bob)
        later = asyncio.create_task(save(nodes[0], note(ann, "laptop", "hello, how are you")))
        await awaited(url)
    await later
    assert [await bodies(nodes[0], one) for one in (ann, bob)] == [["hello, how are you"], ["what Bob wrote"]]


async def test_two_that_are_saved_at_once_are_two_versions_and_no_more_than_allowed(
    nodes: Sequence[PostgresStore], people: list[Member], url: str
) -> None:
    for n in range(KEPT):
        await save(nodes[0], note(people[0], f"page {n}", f"text {n}"))
    async with another(url) as tx:
        await drafts.save(tx, [note(people[0], "phone", "on the phone")])
        later = asyncio.create_task(save(nodes[0], note(people[0], "desk", "at the desk")))
        await awaited(url)
    await later
    found = await kept(nodes[0], people[0])
    assert [one.body for one in found[:2]] == ["at the desk", "on the phone"]
    assert len({one.version for one in found}) == len(found) == KEPT


async def test_what_was_chosen_is_what_was_seen(
    nodes: Sequence[PostgresStore], people: list[Member], url: str
) -> None:
    ann, bob, _ = people
    await save(nodes[0], note(ann, "phone", "hello"))
    (begun,) = await kept(nodes[0], ann)
    async with another(url) as tx:
        await sent_and_used_again(tx, ann, bob)
        chosen = nodes[0].write(NO_ROOM, drafts.choose, *ann.seat, begun.version, False)
        later = asyncio.create_task(chosen)
        await awaited(url)
    assert await later == {}
    assert [await bodies(nodes[0], one) for one in (ann, bob)] == [[], ["what Bob wrote"]]


async def _delete(node: PostgresStore, ann: Member, id: int) -> None:
    await calls.amend(node, ROOM, id, Delete())


async def _leave(node: PostgresStore, ann: Member, id: int) -> None:
    await calls.end_seat(node, ROOM, ann.person)


@pytest.mark.parametrize("forget", [_delete, _leave], ids=["deleted", "left"])
async def test_what_is_forgotten_is_not_what_has_its_place_by_then(
    nodes: Sequence[PostgresStore],
    people: list[Member],
    url: str,
    forget: Callable[[PostgresStore, Member, int], Coroutine[Any, Any, None]],
) -> None:
    ann, bob, cid = people
    id = (await nodes[0].append(*cid.seat, "key", "a message")).message.id
    await save(nodes[0], note(ann, "phone", "hello", reply=id))
    async with another(url) as tx:
        await sent_and_used_again(tx, ann, bob)
        later = asyncio.create_task(forget(nodes[0], ann, id))
        await awaited(url)
    await later
    assert [await bodies(nodes[0], one) for one in (ann, bob)] == [[], ["what Bob wrote"]]


async def test_an_old_one_that_is_gone_on_with_just_now_is_not_removed(
    nodes: Sequence[PostgresStore], people: list[Member], url: str
) -> None:
    async with another(url, NOW - AGE - 1) as tx:
        await drafts.save(tx, [note(people[0], "phone", "hello")])
    async with another(url) as tx:
        await drafts.save(tx, [note(people[0], "phone", "hello there")])
        removed = asyncio.create_task(nodes[0].write(NO_ROOM, drafts.expire))
        with suppress(TimeoutError):  # it need not wait
            await asyncio.wait_for(asyncio.shield(removed), 1)
    assert await removed == 0
    assert await bodies(nodes[0], people[0]) == ["hello there"]


async def test_who_comes_and_goes_is_not_held_up_while_drafts_wait(
    nodes: Sequence[PostgresStore], people: list[Member], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob, _ = people
    async with another(url) as tx:
        await drafts.save(tx, [note(ann, "phone", "hello")])
        comes = asyncio.create_task(calls.announce(nodes[0], ROOM, "entered", [bob.number]))
        saves = asyncio.create_task(save(nodes[0], note(ann, "phone", "hello there")))
        await awaited(url)
        await asyncio.wait_for(comes, 5)
        await drafts.save(tx, [note(bob, "his", "what Bob wrote")])
    await saves
    assert [await bodies(nodes[0], one) for one in (ann, bob)] == [["hello there"], ["what Bob wrote"]]
    assert caplog.text == ""


async def test_whatever_two_nodes_do_at_once_all_of_it_is_done(
    nodes: Sequence[PostgresStore], people: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    """No two wait for each other for ever."""
    dice = random.Random(3)
    seats = people[:2]

    def noted(round: int) -> list[Note]:
        found = []
        for seat in dice.sample(seats, 2):
            for _ in range(dice.choice([1, 1, 2])):
                kind = dice.choice(["typed", "typed", "typed", "sent"])
                body = f"{seat.number}: {round}" + "x" * dice.choice([3, 200, 900])
                found.append(note(seat, f"page {dice.randrange(14)}", body * dice.randint(0, 1), kind=kind))
        return found

    async def choose(node: PostgresStore, seat: Member) -> None:
        for one in dice.sample(found := await kept(node, seat), min(len(found), 1)):
            await node.write(NO_ROOM, drafts.choose, *seat.seat, one.version, dice.random() < 0.8)

    for round in range(200):
        work = [save(node, *noted(round)) for node in nodes]
        await asyncio.gather(*work, choose(dice.choice(nodes), dice.choice(seats)))
        for seat in seats:
            found = await kept(nodes[0], seat)
            assert len({one.version for one in found}) == len(found) <= KEPT
            assert all(one.body.startswith(f"{seat.number}: ") for one in found)
    assert "failed" not in caplog.text


async def test_drafts_texts_deletions_and_names_of_two_nodes_at_once(
    nodes: Sequence[PostgresStore], people: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    """No two wait for each other, in whatever order they write and delete, if each does that one by one."""
    ann, bob, cid = people
    ids = [(await nodes[0].append(*ann.seat, f"key {n}", f"message {n}")).message.id for n in range(60)]

    async def write(n: int) -> None:
        about = ids[n % 60]
        await save(
            nodes[n % 2],
            note(bob, f"his {n % 4}", f"answer {n}", reply=about),
            note(ann, f"hers {n % 4}", f"edit {n}", edited=about, text_rev=about),
            note(cid, "page", f"text {n}", kind=["typed", "sent"][n % 2]),
        )

    async def say(n: int) -> None:
        await nodes[n % 2].append(*bob.seat, f"key of {n}", f"text {n}")

    async def change(node: PostgresStore, some: Sequence[int]) -> None:
        for n in some:
            await calls.amend(node, ROOM, ids[n], Delete())
            await calls.rename_seat(node, ROOM, cid.person, f"Name {n % 4 + 2}")

    for start in range(0, 60, 6):
        some = range(start * 6, start * 6 + 36)
        both = (change(node, range(start + n, start + 6, 2)) for n, node in enumerate(nodes))
        await asyncio.gather(*map(write, some), *map(say, some), *both)
    assert await bodies(nodes[0], ann) == []
    assert caplog.text == ""
