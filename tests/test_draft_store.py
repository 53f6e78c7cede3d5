"""Drafts in either store: which of two is kept, and that nothing of one is left where it must not be."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import calls
import pytest
from postgres import the_server
from store_model import Clock

from chat.model.drafts import Note, SavedDraft, clean_draft
from chat.model.members import Member, Seat
from chat.model.messages import BODY_BYTES, BODY_TYPED, Delete, Edit
from chat.store import NO_ROOM, Store, drafts
from chat.store.draft_places import WIDTHS
from chat.store.drafts import AGE, KEPT
from chat.store.postgres.store import PostgresStore
from chat.store.sqlite.store import SQLiteStore
from chat.store.transaction import Transaction

ROOM, OTHER = "BCDFGHJK", "22222222"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "chat.db") if request.param == "sqlite" else the_server().schema()


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    is_sqlite = not url.startswith("postgres")
    store: Store = SQLiteStore(url, clock=clock) if is_sqlite else PostgresStore(url, clock=clock)
    await store.open()
    for code in (ROOM, OTHER):
        await calls.open_room(store, code)
    yield store
    await store.close()


@pytest.fixture
async def ann(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, "person-a", "Ann")


@pytest.fixture
async def bob(store: Store) -> Member:
    return await calls.take_seat(store, ROOM, "person-b", "Bob")


def note(member: Member, page: str, body: str, **more: Any) -> Note:
    return Note(member.code, member.number, page, body, **more)


async def save(store: Store, *notes: Note) -> Mapping[Seat, int]:
    return await store.write(NO_ROOM, drafts.save, notes)


async def kept(store: Store, member: Member) -> Sequence[SavedDraft]:
    return (await store.read(drafts.drafts_of, member.code, member.number)).drafts


async def bodies(store: Store, member: Member) -> list[str]:
    return [draft.body for draft in await kept(store, member)]


async def say(store: Store, member: Member, body: str) -> int:
    return (await store.append(member.code, member.number, f"key {body}"[:40], body)).message.id


async def test_a_page_has_one_draft_and_its_newest_text(store: Store, ann: Member, bob: Member) -> None:
    for text in ("h", "hello", "hello there, " * 100, "short again"):
        await save(store, note(ann, "page", text))
        assert await bodies(store, ann) == [text]
    assert await bodies(store, bob) == []


async def test_it_is_no_change_of_the_room(store: Store, ann: Member) -> None:
    before = await calls.heads(store, [ROOM])
    await save(store, note(ann, "page", "hello"))
    await save(store, note(ann, "page", "hello", kind="sent"))
    assert await calls.heads(store, [ROOM]) == before


async def test_a_version_only_rises_whatever_the_clock_does(store: Store, ann: Member, clock: Clock) -> None:
    versions = []
    for n, seconds in enumerate((0, 0, -100, 50)):
        clock.now += seconds
        await save(store, note(ann, "page", f"text {n}"))
        versions += [draft.version for draft in await kept(store, ann)]
    assert versions == sorted(set(versions))


async def test_who_goes_on_elsewhere_goes_on_with_the_same_draft(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "desk", "hello there", base=begun.version))
    assert await bodies(store, ann) == ["hello there"]


async def test_an_older_page_does_not_overwrite_what_is_newer(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "phone", "hello, this went on"))
    await save(store, note(ann, "desk", "hello from an old page", base=begun.version))
    assert await bodies(store, ann) == ["hello from an old page", "hello, this went on"]
    await save(store, note(ann, "phone", "hello, and on"))
    await save(store, note(ann, "desk", "both go on", base=begun.version))
    assert await bodies(store, ann) == ["both go on", "hello, and on"]


async def test_to_open_a_draft_elsewhere_is_not_to_take_it_over(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "desk", "hello", base=begun.version, kind="held"))
    await save(store, note(ann, "phone", "hello, and on"))
    assert await bodies(store, ann) == ["hello, and on"]


async def test_what_was_gone_on_with_elsewhere_does_not_come_back_shorter(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "desk", "hello there", base=begun.version))
    await save(store, note(ann, "phone", "hello", kind="held"))
    assert await bodies(store, ann) == ["hello there"]
    await save(store, note(ann, "phone", "hello, and on"))
    assert await bodies(store, ann) == ["hello, and on", "hello there"]


async def test_two_empty_pages_have_two_drafts(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "one"), note(ann, "desk", "two"))
    assert sorted(await bodies(store, ann)) == ["one", "two"]


async def test_what_is_emptied_is_gone(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "one"), note(ann, "desk", "two"))
    await save(store, note(ann, "phone", ""))
    assert await bodies(store, ann) == ["two"]
    (other,) = await kept(store, ann)
    await save(store, note(ann, "third", "", base=other.version))
    assert await bodies(store, ann) == []


@pytest.mark.parametrize("sent", ["hello there", "hello there, and more"])
async def test_what_was_sent_is_gone_wherever_it_was_begun(store: Store, ann: Member, sent: str) -> None:
    await save(store, note(ann, "phone", "hello there "), note(ann, "desk", "something else"))
    await save(store, note(ann, "third", sent, kind="sent"))
    assert await bodies(store, ann) == ["something else"]


async def test_who_rewrites_a_draft_and_sends_it_has_none(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "desk", "good morning", base=begun.version, kind="sent"))
    assert await bodies(store, ann) == []


async def test_what_was_sent_does_not_come_back_with_a_page_that_comes_back(
    store: Store, ann: Member, bob: Member
) -> None:
    await save(store, note(ann, "phone", "hello the"))
    await say(store, ann, "hello there")
    await save(store, note(ann, "desk", "hello there", kind="sent"))
    await save(store, note(ann, "phone", "hello the", kind="held"))
    await save(store, note(bob, "his", "hello the", kind="held"))
    assert (await bodies(store, ann), await bodies(store, bob)) == ([], ["hello the"])


async def test_a_page_that_comes_back_without_a_keystroke_brings_nothing_old(
    store: Store, ann: Member
) -> None:
    await save(store, note(ann, "phone", "hello"))
    (begun,) = await kept(store, ann)
    await save(store, note(ann, "phone", ""))
    await save(store, note(ann, "desk", "hello", base=begun.version, kind="held"))
    assert await bodies(store, ann) == []
    await save(store, note(ann, "desk", "hello!", base=begun.version))
    assert await bodies(store, ann) == ["hello!"]


async def test_what_was_sent_is_known_as_such_until_it_is_dropped(
    store: Store, ann: Member, clock: Clock
) -> None:
    await save(store, note(ann, "phone", "hello"), note(ann, "desk", "something else"))
    clock.now += 1
    await say(store, ann, "hello there")
    found = await store.read(drafts.drafts_of, ROOM, ann.number)
    assert [[one.body for one in part] for part in found] == [["something else"], ["hello"]]


async def test_it_says_whose_other_pages_show_something_else_now(
    store: Store, ann: Member, bob: Member
) -> None:
    both = await save(store, note(ann, "phone", "h"), note(bob, "his", "hi"))
    assert both == {ann.seat: 1, bob.seat: 1}
    assert await save(store, note(ann, "phone", "hello")) == {}, "which lists say already"
    assert await save(store, note(ann, "desk", "two")) == {ann.seat: 2}
    assert await save(store, note(ann, "desk", "two")) == {}
    assert await save(store, note(ann, "desk", "two, and on")) == {ann.seat: 2}, "the phone shows it"
    (newest, _) = await kept(store, ann)
    for use, changed in ((True, {ann.seat: 2}), (False, {})):  # it is another version then
        asked = ROOM, ann.number, newest.version, use
        assert await store.write(NO_ROOM, drafts.choose, *asked) == changed
    assert await save(store, note(ann, "phone", "hello", kind="sent")) == {ann.seat: 1}
    assert await save(store, note(ann, "desk", "")) == {ann.seat: 0}
    assert await save(store, note(ann, "desk", "")) == {}
    id = await say(store, bob, "a message")
    assert await save(store, note(bob, "his", "better", edited=id, text_rev=id)) == {}


async def test_what_arrives_after_the_text_that_it_became_is_too_late(store: Store, ann: Member) -> None:
    await save(store, note(ann, "page", "hello", kind="posted"))
    (begun,) = await kept(store, ann)
    await say(store, ann, "hello there")
    await save(store, note(ann, "page", "hello there", kind="sent"))
    for base in (0, begun.version):
        await save(store, note(ann, "page", "hello the", base=base, kind="posted"))
        assert await bodies(store, ann) == []
    await save(store, note(ann, "page", "something else", base=begun.version, kind="posted"))
    assert await bodies(store, ann) == ["something else"]


async def test_what_was_typed_while_nobody_listened_is_kept(store: Store, ann: Member) -> None:
    await save(store, note(ann, "phone", "hello", kind="held"))
    await save(store, note(ann, "phone", "hello there", kind="held"))
    assert await bodies(store, ann) == ["hello there"]


async def test_new_texts_answers_and_edits_are_apart(store: Store, ann: Member) -> None:
    id = await say(store, ann, "a message")
    edit = note(ann, "page", "a better message", edited=id, text_rev=id)
    await save(store, note(ann, "page", "a reply", reply=id), note(ann, "other", "new"), edit)
    found = {draft.body: (draft.reply, draft.edited, draft.text_rev) for draft in await kept(store, ann)}
    assert found == {"a reply": (id, 0, 0), "new": (0, 0, 0), "a better message": (0, id, id)}
    await save(store, note(ann, "page", "a better message", kind="sent"))
    assert len(await kept(store, ann)) == 2, "the edit is none of the composer's"


async def test_a_text_that_answers_no_more_is_the_same_draft(store: Store, ann: Member) -> None:
    id = await say(store, ann, "a message")
    await save(store, note(ann, "page", "words", reply=id))
    await save(store, note(ann, "page", "words"))
    (draft,) = await kept(store, ann)
    assert (draft.body, draft.reply) == ("words", 0)


async def test_an_edit_that_was_saved_leaves_no_draft_and_a_late_one_is_too_late(
    store: Store, ann: Member
) -> None:
    id = await say(store, ann, "a message")
    edit = note(ann, "page", "a better message", edited=id, text_rev=id)
    await save(store, edit)
    await calls.amend(store, ROOM, id, Edit("a better message"))
    assert await kept(store, ann) == []
    await save(store, edit)
    assert await kept(store, ann) == []


async def test_an_edit_that_makes_a_text_shorter_is_kept_wherever_it_is_typed(
    store: Store, ann: Member
) -> None:
    id = await say(store, ann, "Hello world, this was too much")
    edit = note(ann, "form", "Hello world", edited=id, text_rev=id, kind="posted")
    await save(store, edit._replace(body="Hello world, this was too much"))
    assert await kept(store, ann) == [], "the text as it is"
    await save(store, edit._replace(page="another", body="Hello world, this was"), edit)
    assert sorted(await bodies(store, ann)) == ["Hello world", "Hello world, this was"]
    await calls.amend(store, ROOM, id, Edit("Hello"))
    await save(store, edit)
    assert await kept(store, ann) == []


async def test_what_is_about_a_deleted_message_goes_with_it(store: Store, ann: Member, bob: Member) -> None:
    id = await say(store, ann, "a message")
    edit = note(ann, "page", "a better message", edited=id, text_rev=id)
    notes = [edit, note(bob, "his", "an answer", reply=id), note(bob, "other", "something else")]
    await save(store, *notes)
    await calls.amend(store, ROOM, id, Delete())
    assert (await bodies(store, ann), await bodies(store, bob)) == ([], ["something else"])
    await save(store, *notes)
    assert await bodies(store, ann) == []
    assert {(draft.body, draft.reply) for draft in await kept(store, bob)} == {
        ("an answer", 0),
        ("something else", 0),
    }, "who goes on writing loses no words"


async def test_a_deleted_text_goes_with_what_it_was_before_it_was_sent(
    store: Store, ann: Member, bob: Member
) -> None:
    """The node that was to drop that may have ended, or be about to do it."""
    edited = await say(store, ann, "a message")
    edit = note(ann, "page", "a secret", edited=edited, text_rev=edited)
    await save(store, note(ann, "page", "a secret"), note(ann, "other", "a secret too"), edit)
    await save(store, note(bob, "page", "a secret"))
    id = await say(store, ann, "a secret, told")
    await calls.rename_seat(store, ROOM, "person-a", "Anna")
    renamed = await calls.find_seat(store, ROOM, "person-a")
    assert renamed is not None
    await calls.amend_own(store, renamed, id, Delete())
    assert sorted(await bodies(store, renamed)) == ["a secret", "a secret too"]
    assert [one.edited for one in await kept(store, renamed) if one.body == "a secret"] == [edited]
    assert await bodies(store, bob) == ["a secret"]


@pytest.mark.parametrize("id", [99, 2**63 - 1, 2**70])
async def test_what_is_about_nothing(store: Store, ann: Member, id: int) -> None:
    await save(store, note(ann, "page", "an answer", reply=id), note(ann, "page", "x", edited=id))
    assert [(draft.body, draft.reply) for draft in await kept(store, ann)] == [("an answer", 0)]


async def test_who_leaves_leaves_none_and_saves_none(store: Store, ann: Member) -> None:
    await save(store, note(ann, "page", "hello"))
    await calls.end_seat(store, ROOM, "person-a")
    await save(store, note(ann, "page", "hello again"))
    back = await calls.take_seat(store, ROOM, "person-a", "Ann")
    assert back.number == ann.number
    assert await kept(store, ann) == []


async def test_who_takes_another_name_goes_on_writing(store: Store, ann: Member) -> None:
    await save(store, note(ann, "page", "hello"))
    await calls.rename_seat(store, ROOM, "person-a", "Anna")
    renamed = await calls.find_seat(store, ROOM, "person-a")
    assert renamed is not None
    assert (await bodies(store, ann), await bodies(store, renamed)) == ([], ["hello"])


async def test_a_room_is_removed_with_its_drafts(store: Store, ann: Member, clock: Clock) -> None:
    await save(store, note(ann, "page", "hello"))
    clock.now += 48 * 3600
    while await calls.expire(store):
        pass
    assert await calls.find_room(store, ROOM) is None
    assert await _drafts(store) == 0


async def test_after_thirty_days_it_is_gone(store: Store, ann: Member, clock: Clock) -> None:
    await say(store, ann, "so that the room stays")
    await save(store, note(ann, "old", "old"))
    clock.now += AGE / 1000 - 1
    await save(store, note(ann, "young", "young"))
    assert await store.write(NO_ROOM, drafts.expire) == 0
    clock.now += 2
    assert await store.write(NO_ROOM, drafts.expire) == 1
    assert await bodies(store, ann) == ["young"]


async def test_a_seat_has_few_and_the_oldest_go(store: Store, ann: Member, bob: Member) -> None:
    await save(store, note(bob, "his", "his"))
    for n in range(KEPT + 5):
        await save(store, note(ann, f"page {n}", f"text {n}"))
    assert await bodies(store, ann) == [f"text {n}" for n in range(KEPT + 4, 4, -1)]
    assert await bodies(store, bob) == ["his"]


async def test_places_are_used_again(store: Store, ann: Member, bob: Member) -> None:
    for n in range(50):
        for member, width in ((ann, WIDTHS[n % 4]), (bob, WIDTHS[n % 3])):
            await save(store, note(member, f"page {n}", "x" * width))
            await save(store, note(member, f"page {n}", "x" * width, kind="sent"))
    assert await _drafts(store) == 0
    assert await store.read(_count, "draft_text") == len(WIDTHS)


async def test_every_text_comes_back_as_it_was(store: Store, ann: Member) -> None:
    for text in ("é" * 64, "日本語" * 60, "😀" * 512, "x" * BODY_BYTES, "  spaces  ", "a\nb\n", "'\\x00"):
        await save(store, note(ann, "page", text))
        assert await bodies(store, ann) == [text]


@pytest.mark.parametrize(
    ("typed", "body"),
    [
        ("hello ", "hello "),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\0b\ud800", "ab"),
        (" \n\t", ""),
        ("\u200b", ""),
        ("x" * BODY_BYTES, "x" * BODY_BYTES),
        ("x" * BODY_BYTES + "x", None),
        ("é" * 4097, None),
        ("\r" * (BODY_TYPED + 1), None),
    ],
)
def test_what_of_a_text_is_kept(typed: str, body: str | None) -> None:
    assert clean_draft(typed) == body


async def test_many_at_once_and_texts_meanwhile(store: Store, ann: Member, bob: Member) -> None:
    """In whatever order one node does it. Of two: test_drafts_of_nodes.py."""
    ids = [await say(store, ann, f"message {n}") for n in range(10)]

    async def write(n: int) -> None:
        about = ids[n % 10]
        await save(
            store,
            note(bob, f"his {n % 4}", f"answer {n}", reply=about),
            note(ann, f"hers {n % 4}", f"edit {n}", edited=about, text_rev=about),
        )

    async def delete(id: int) -> None:
        await calls.amend(store, ROOM, id, Delete())

    await asyncio.gather(*map(write, range(40)), *map(delete, ids[::2]), *map(write, range(40)))
    assert {draft.edited for draft in await kept(store, ann)}.isdisjoint(ids[::2])


# In which bytes they are


async def test_nothing_is_left_in_the_files(tmp_path: Path, clock: Clock) -> None:
    """SQLite moves rows about when others change their size, and leaves copies behind."""
    path, dice = str(tmp_path / "chat.db"), random.Random(1)
    store = SQLiteStore(path, clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    seats = [await calls.take_seat(store, ROOM, f"person-{n}", f"Name {n}") for n in range(12)]
    ids = [await say(store, seat, f"message {seat.number}") for seat in seats]
    for n in range(600):
        place = dice.randrange(12)
        about = [{}, {"reply": dice.choice(ids)}, {"edited": ids[place], "text_rev": ids[place]}]
        text = f"canary-{n}-" * dice.choice([1, 3, 30, 150, 600])
        text = text if dice.random() < 0.9 else ""
        await save(store, note(seats[place], f"page {dice.randrange(3)}", text, **dice.choice(about)))
    for seat, id in zip(seats, ids, strict=True):
        if seat.number % 3:
            await calls.amend(store, ROOM, id, Delete())
    for seat in seats:
        await calls.end_seat(store, ROOM, seat.person)
    async with asyncio.timeout(10):
        while Path(f"{path}-wal").stat().st_size:
            await asyncio.sleep(0.01)
    found = await asyncio.to_thread(subprocess.run, ["grep", "-ac", "canary", path], capture_output=True)
    assert int(found.stdout) == 0
    await store.close()


async def test_a_text_that_was_deleted_before_its_draft_was_dropped_is_in_no_byte(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "chat.db"
    store = SQLiteStore(str(path), clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    ann = await calls.take_seat(store, ROOM, "person-a", "Ann")
    await save(store, note(ann, "page", "canary"))
    id = (await store.append(ROOM, ann.number, "key", "canary of mine")).message.id
    await calls.amend(store, ROOM, id, Delete())
    await save(store, note(ann, "page", "canary of mine", kind="sent"))
    for file in tmp_path.iterdir():
        found = await asyncio.to_thread(file.read_bytes)
        assert b"canary" not in found, file.name
    await store.close()


async def test_nothing_is_left_in_a_row_once_vacuumed(clock: Clock) -> None:
    url = the_server().schema()
    store = PostgresStore(url, clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    ann = await calls.take_seat(store, ROOM, "person-a", "Ann")
    await save(store, note(ann, "page", "canary " * 1000))
    await save(store, note(ann, "page", "canary"))
    await calls.end_seat(store, ROOM, "person-a")
    db = await asyncpg.connect(url)
    rows = await db.fetch("SELECT body FROM draft_text")
    assert not any(row["body"].strip(b"\0") for row in rows)
    await db.execute("VACUUM draft_text")
    dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'draft_text'::regclass"
    assert await db.fetchval(dead) == 0
    options = await db.fetchval("SELECT reloptions FROM pg_class WHERE oid = 'draft_text'::regclass")
    assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=0"} <= set(options)
    await db.close()
    await store.close()


async def _count(tx: Transaction, table: str) -> int:
    ((number,),) = await tx.fetch(f"SELECT count(*) FROM {table}")
    return int(number)


async def _drafts(store: Store) -> int:
    return await store.read(_count, "draft WHERE room IS NOT NULL")
