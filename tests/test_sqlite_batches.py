"""Texts that are appended together: as one after the other, whatever else happens to their rooms."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import calls
import pytest
from store_model import Clock
from test_sqlite import Pause

from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Edit
from chat.store import NotFound, Unavailable
from chat.store.sqlite import batches
from chat.store.sqlite import writer as sqlite_writer
from chat.store.sqlite.store import SQLiteStore
from chat.store.write_probe import WriteProbe

ROOM, OTHER = "BCDFGHJK", "22222222"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(str(path), clock=Clock())
    await store.open()
    for code in (ROOM, OTHER):
        await calls.open_room(store, code)
        for name in ("Alice", "Bob"):
            await calls.take_seat(store, code, f"person {name}", name)
    yield store
    await store.close()


@pytest.fixture
async def statements(store: SQLiteStore) -> list[str]:
    """What the writer has asked since the list was cleared."""
    said: list[str] = []
    await store._write(lambda tx: tx.db.set_trace_callback(said.append))
    said.clear()
    return said


async def say(store: SQLiteStore, *texts: tuple[str, int, str]) -> list[Change]:
    """Append texts of room, seat and body in one batch; their keys are their bodies."""
    async with Pause(store):
        writes = [store.append(code, seat, body, body) for code, seat, body in texts]
    return await asyncio.gather(*writes)


async def bodies(store: SQLiteStore, code: str = ROOM) -> list[str | None]:
    return [m.body for m in (await calls.history(store, code, limit=1_000_000)).messages if m.kind == "text"]


async def is_sound(store: SQLiteStore) -> None:
    """The log of each room has no hole, and every message knows the one before it."""
    for code in (ROOM, OTHER):
        page = await calls.history(store, code, limit=1_000_000)
        assert page.position.rev == max((m.rev for m in page.messages), default=0)
        for before, message in zip([None, *page.messages], page.messages, strict=False):
            expected = None if before is None else (before.author, before.at)
            assert message.before == expected


@pytest.mark.parametrize("count", [1, 3, 4, 5, 16, 21, 64, 85, 128, 255, 256])
async def test_a_batch_of_any_size_is_as_one_after_the_other(store: SQLiteStore, count: int) -> None:
    dice = random.Random(count)
    texts = [(dice.choice([ROOM, OTHER]), dice.choice([1, 2]), f"text {n}") for n in range(count)]
    changes = await say(store, *texts)
    for code in (ROOM, OTHER):
        mine = [change for change in changes if change.code == code]
        assert [change.position.rev for change in mine] == list(range(1, len(mine) + 1))
        page = await calls.history(store, code, limit=1000)
        assert page.messages == [change.message for change in mine]
    assert [(c.code, c.message.author, c.message.body) for c in changes] == texts
    await is_sound(store)


@pytest.mark.parametrize(("count", "parts"), [(256, 1), (255, 8), (100, 3)])
async def test_a_batch_takes_few_statements(
    store: SQLiteStore, statements: list[str], count: int, parts: int
) -> None:
    await say(store, *((ROOM, 1, f"{n}") for n in range(count)))
    kinds = Counter(statement.split()[0] for statement in statements)
    assert kinds["INSERT"] == 3 * parts
    assert sum(kinds.values()) < 3 * parts + 12


async def test_what_is_known_of_a_room_is_not_asked_again(store: SQLiteStore, statements: list[str]) -> None:
    for n in range(3):
        statements.clear()
        await store.append(ROOM, 1, f"key {n}", "hello")
    assert not [statement for statement in statements if statement.startswith("SELECT")]
    assert [statement.split()[0] for statement in statements] == [
        *("BEGIN", "PRAGMA", "INSERT", "INSERT", "INSERT", "UPDATE", "COMMIT")
    ]


async def test_a_join_is_no_reason_to_forget_other_rooms(store: SQLiteStore, statements: list[str]) -> None:
    for code in (ROOM, OTHER):
        await store.append(code, 1, "one", "one")
    await calls.take_seat(store, OTHER, "person Cat", "Cat")
    statements.clear()
    await store.append(ROOM, 1, "two", "two")
    assert not [statement for statement in statements if "FROM room" in statement]
    await store.append(OTHER, 3, "from Cat", "from Cat")
    await is_sound(store)


async def test_a_write_about_no_room_is_no_reason_to_forget_any(
    store: SQLiteStore, statements: list[str]
) -> None:
    """As /healthz has one made every few seconds."""
    await store.append(ROOM, 1, "one", "one")
    assert await WriteProbe(store).problem() == ""
    statements.clear()
    await store.append(ROOM, 1, "two", "two")
    assert not [statement for statement in statements if "FROM room" in statement]
    await is_sound(store)


async def test_a_write_about_any_room_forgets_all(store: SQLiteStore, statements: list[str]) -> None:
    await store.append(ROOM, 1, "one", "one")
    await calls.expire(store)
    statements.clear()
    await store.append(ROOM, 1, "two", "two")
    assert [statement for statement in statements if "FROM room" in statement]


CHANGES: dict[str, Any] = {
    "a rename": lambda store: calls.rename_seat(store, ROOM, "person Alice", "Alicia"),
    "an end": lambda store: calls.end_seat(store, ROOM, "person Alice"),
}


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_seat_that_ends_amid_a_batch_ends_there(store: SQLiteStore, kind: str) -> None:
    await say(store, (ROOM, 1, "before"))
    async with Pause(store):
        first = store.append(ROOM, 1, "one", "one")
        change = asyncio.ensure_future(CHANGES[kind](store))
        await asyncio.sleep(0)
        second, third = store.append(ROOM, 1, "two", "two"), store.append(ROOM, 2, "three", "three")
    results = await asyncio.gather(first, change, second, third, return_exceptions=True)
    assert [type(result) for result in results] == [Change, Change, NotFound, Change]
    assert await bodies(store) == ["before", "one", "three"]
    await is_sound(store)


async def test_an_edit_between_texts_is_in_its_place(store: SQLiteStore) -> None:
    await say(store, (ROOM, 1, "first"))
    async with Pause(store):
        one = store.append(ROOM, 2, "one", "one")
        edit = asyncio.ensure_future(calls.amend(store, ROOM, 1, Edit("changed")))
        await asyncio.sleep(0)
        two = store.append(ROOM, 1, "two", "two")
    changes = await asyncio.gather(one, edit, two)
    assert [change.position.rev for change in changes] == [2, 3, 4]
    assert await bodies(store) == ["changed", "one", "two"]


async def test_a_repeat_costs_its_batch_no_commits_and_no_places(
    store: SQLiteStore, statements: list[str]
) -> None:
    (first,) = await say(store, (ROOM, 1, "said"))
    statements.clear()
    changes = await say(store, *((ROOM, 1, body) for body in ("new", "said", "newer", "new", "newest")))
    assert Counter(statements)["COMMIT"] == 2  # that of the pause, and one for all
    assert [change.duplicate for change in changes] == [False, True, False, True, False]
    assert [change.message.id for change in changes] == [2, first.message.id, 3, 2, 4]
    assert await bodies(store) == ["said", "new", "newer", "newest"]
    await is_sound(store)


async def test_unknown_rooms_and_seats_are_refused_alone(store: SQLiteStore) -> None:
    async with Pause(store):
        writes: list[Awaitable[Change]] = [
            store.append(ROOM, 1, "a", "one"),
            store.append("ZZZZ2222", 1, "b", "nowhere"),
            store.append(ROOM, 99, "c", "nobody's"),
            store.append(ROOM, 2**70, "d", "nobody's"),
            store.append(ROOM, 2, "e", "half a character \ud83d"),
            store.append(ROOM, 2, "f", "two"),
        ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    kinds = [Change, NotFound, NotFound, NotFound, UnicodeEncodeError, Change]
    assert [type(result) for result in results] == kinds
    assert await bodies(store) == ["one", "two"]
    await is_sound(store)


def _meddle(path: Path, sql: str) -> None:
    """Another program writes to the file, which it should not."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(sql)


async def test_what_another_program_wrote_is_seen(store: SQLiteStore, path: Path) -> None:
    await say(store, (ROOM, 1, "one"))
    _meddle(
        path,
        "INSERT INTO text (serial, body) VALUES (1000, 'from elsewhere');"
        "INSERT INTO message (room, id, rev, at, author, text) VALUES (1, 2, 2, 7, 2, 1000);"
        "UPDATE room SET rev = 2, epoch = 'another' WHERE id = 1;"
        "UPDATE seat SET name = 'Alicia' WHERE room = 1 AND number = 1;",
    )
    (change,) = await say(store, (ROOM, 1, "three"))
    assert change.position == ("another", 3)
    assert (change.message.name, change.message.before) == ("Alicia", (2, 7))
    _meddle(path, "UPDATE seat SET ended = 1 WHERE room = 1 AND number = 1;")
    with pytest.raises(NotFound):
        await say(store, (ROOM, 1, "four"))
    assert await bodies(store) == ["one", "from elsewhere", "three"]


async def test_after_a_failed_commit_nothing_of_it_is_remembered(store: SQLiteStore) -> None:
    await say(store, (ROOM, 1, "one"))
    pages: Any = await store._write(lambda tx: tx.db.execute("PRAGMA page_count").fetchone())
    await store._write(lambda tx: tx.db.execute(f"PRAGMA max_page_count = {pages[0]}").fetchall())
    large = "x" * 8000
    async with Pause(store):
        writes = [store.append(ROOM, 1 + n % 2, f"{n}", large) for n in range(40)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert Unavailable in map(type, results)
    await store._write(lambda tx: tx.db.execute("PRAGMA max_page_count = 1000000").fetchall())
    await say(store, (ROOM, 1, "two"), (ROOM, 2, "three"))
    stored = sum(isinstance(result, Change) for result in results)
    assert await bodies(store) == ["one", *[large] * stored, "two", "three"]
    await is_sound(store)


async def test_what_is_remembered_is_bounded(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROOMS", 3)
    monkeypatch.setattr(batches, "SEATS", 2)
    writer: Any = store._writer
    for number in range(10):
        code = f"ROOM{number}222"
        await calls.open_room(store, code)
        seat = await calls.take_seat(store, code, "ann", "Ann")
        await store.append(code, seat.number, "key", "hello")
        assert len(writer._memory._rooms) <= 3 + 1
    for number in range(3, 9):
        seat = await calls.take_seat(store, ROOM, f"person {number}", f"Member {number}")
        await store.append(ROOM, seat.number, "key", "hello")
    for number in range(1, 9):
        await store.append(ROOM, number, "another", "hello")
        assert len(writer._memory._rooms[ROOM].seats) <= 2 + 1
    await is_sound(store)


async def test_nothing_submitted_is_lost_when_the_store_closes(path: Path, store: SQLiteStore) -> None:
    async with Pause(store):
        writes = [store.append(ROOM, 1, f"{n}", f"{n}") for n in range(600)]
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
    await closing
    changes = await asyncio.gather(*writes)
    assert [change.position.rev for change in changes] == list(range(1, 601))


@pytest.mark.parametrize("batch", [1, 7, 256])
async def test_whatever_people_do_at_once_the_log_is_sound(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(sqlite_writer, "BATCH", batch)
    dice, people = random.Random(batch), [f"person {n}" for n in range(6)]
    heads = {ROOM: 0, OTHER: 0}

    def committed(changes: Sequence[Change]) -> None:
        for change in changes:
            heads[change.code] += 1
            assert change.position.rev == heads[change.code]

    store.listen(committed)
    seats: dict[tuple[str, str], Member] = {}

    async def join(code: str, person: str) -> None:
        seats[code, person] = await calls.take_seat(store, code, person, f"Name {dice.random()}")

    async def leave(code: str, person: str) -> None:
        await calls.end_seat(store, code, person)

    async def write(code: str, person: str) -> None:
        key = f"{dice.randrange(200)}"
        await store.append(code, seats[code, person].number, key, f"{person} {key}")

    for _ in range(12):
        async with Pause(store):
            work = [
                dice.choice([join, leave, write, write, write, write, write])(
                    dice.choice([ROOM, OTHER]), dice.choice(people)
                )
                for _ in range(40)
            ]
            tasks = [asyncio.create_task(one) for one in work]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        await is_sound(store)
    assert len(await bodies(store)) > 20
    assert {code: head.rev for code, head in (await calls.heads(store, [ROOM, OTHER])).items()} == heads
