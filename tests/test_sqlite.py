"""What is special about the SQLite store: its lock, its checks, its one writer, and what a crash leaves."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import calls
import pytest
from kill_nine import killed_after
from store_model import Clock

from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Edit
from chat.settings import Misconfigured
from chat.store import NotFound, OutcomeUnknown, Unavailable, store_for
from chat.store.migrate import Migration
from chat.store.sqlite import file as sqlite_file
from chat.store.sqlite import writer as sqlite_writer
from chat.store.sqlite.store import SQLiteStore
from chat.store.sqlite.transaction import SQLiteTransaction

ROOM = "BCDFGHJK"
ROOT = Path(__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(str(path), clock=clock)
    await store.open()
    await calls.open_room(store, ROOM)
    yield store
    await store.close()


@pytest.fixture
async def alice(store: SQLiteStore) -> Member:
    return await calls.take_seat(store, ROOM, "person-a", "Alice")


async def say(store: SQLiteStore, member: Member, body: str) -> Change:
    return await store.append(ROOM, member.number, f"key {hash(body)}", body)


async def bodies(store: SQLiteStore) -> list[str | None]:
    return [m.body for m in (await calls.history(store, ROOM, limit=1_000_000)).messages]


class Pause:
    """Holds the writer until released, so that what is submitted meanwhile makes one batch."""

    def __init__(self, store: SQLiteStore) -> None:
        self._go = threading.Event()
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(store._write(self._hold))

    def _hold(self, tx: SQLiteTransaction) -> None:
        self._loop.call_soon_threadsafe(self._begun.set)
        self._go.wait()

    async def __aenter__(self) -> None:
        await self._begun.wait()

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.sleep(0)  # let the tasks just made submit their writes
        self._go.set()
        await self._task


async def ask_writer(store: SQLiteStore, sql: str) -> object:
    (value,) = await store._write(lambda tx: tx.db.execute(sql).fetchone())
    return value


async def set_in_writer(store: SQLiteStore, pragma: str) -> None:
    await store._write(lambda tx: tx.db.execute(f"PRAGMA {pragma}").fetchall())


async def refusal(path: Path, lock_wait: float = 0) -> str:
    with pytest.raises(Misconfigured, match=r"^CHAT_DATABASE_URL: ") as caught:
        await SQLiteStore(str(path), lock_wait=lock_wait).open()
    return str(caught.value)


# The lock

SECOND = """
import asyncio, sys
from chat.settings import Misconfigured
from chat.store.sqlite.store import SQLiteStore
try:
    asyncio.run(SQLiteStore(sys.argv[1], lock_wait=0.2).open())
except Misconfigured as error:
    sys.exit(str(error))
"""


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


async def test_a_second_process_is_refused_and_told_what_to_do(store: SQLiteStore, path: Path) -> None:
    second = await asyncio.to_thread(
        subprocess.run, python(SECOND, str(path)), cwd=ROOT, capture_output=True, text=True
    )
    assert second.returncode == 1
    for words in ("CHAT_DATABASE_URL", str(path), "another server process", "workers = 0"):
        assert words in second.stderr
    await store.ping()


async def test_another_name_for_the_same_file_is_the_same_file(store: SQLiteStore, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert "in use" in await refusal(link)


async def test_a_successor_waits_until_the_file_is_free(store: SQLiteStore, path: Path) -> None:
    successor = SQLiteStore(str(path), lock_wait=30)
    opening = asyncio.create_task(successor.open())
    await asyncio.sleep(0)
    assert not opening.done()
    await store.close()
    await opening
    assert await calls.find_room(successor, ROOM)
    await successor.close()


async def test_a_failed_start_lets_go_of_the_lock(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)
    await refusal(path)
    path.unlink()
    store = SQLiteStore(str(path), lock_wait=0)
    await store.open()
    await store.close()


# The file


async def test_a_relative_and_an_absolute_url_name_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    for url in (f"sqlite:///{path}", "sqlite:///relative.db"):
        store = store_for(url)
        await store.open()
        await store.close()
    assert path.exists()
    assert path.with_name("relative.db").exists()


async def test_odd_file_names_work(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%41é.db"
    store = SQLiteStore(str(path))
    await store.open()
    await calls.open_room(store, ROOM)
    assert await calls.find_room(store, ROOM)
    await store.close()
    assert path.exists()


async def test_nobody_else_may_read_the_files(path: Path) -> None:
    before = os.umask(0)
    try:
        store = SQLiteStore(str(path))
        await store.open()
        await calls.open_room(store, ROOM)
        modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert set(modes) == {"chat.db", "chat.db-wal", "chat.db-shm", "chat.db.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path}/nowhere does not exist" in await refusal(tmp_path / "nowhere" / "chat.db")


async def test_a_directory_is_not_a_database(tmp_path: Path) -> None:
    assert "is a directory" in await refusal(tmp_path)


async def test_a_newer_schema_is_refused_and_left_alone(store: SQLiteStore, path: Path) -> None:
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    assert "brought to schema 99 by a newer release" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_second_migration_follows_and_keeps_what_is_there(
    store: SQLiteStore, alice: Member, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(store, alice, "hello")
    await store.close()
    second = Migration("ALTER TABLE message ADD COLUMN pinned INTEGER; CREATE TABLE pin (id);", oldest=1)
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, second))
    newer = SQLiteStore(str(path))
    await newer.open()
    assert await ask_writer(newer, "PRAGMA user_version") == 2
    assert await ask_writer(newer, "SELECT count(*) FROM pin") == 0
    assert await bodies(newer) == ["hello"]
    await newer.close()
    monkeypatch.undo()
    assert "brought to schema 2 by a newer release" in await refusal(path)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    store: SQLiteStore, alice: Member, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(store, alice, "hello")
    await store.close()
    broken = Migration("DROP TABLE idempotency_key; ALTER TABLE nonsense ADD COLUMN pinned;", oldest=2)
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, broken))
    assert "nonsense" in await refusal(path)
    monkeypatch.undo()
    again = SQLiteStore(str(path))
    await again.open()
    assert (await say(again, alice, "hello")).duplicate
    await again.close()


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    assert "is not a SQLite database" in await refusal(path)
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE django_migrations (id)")
    before = path.read_bytes()
    assert "belongs to another program" in await refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("page", [0, 1, 5, -2])
async def test_a_damaged_file_is_refused_and_left_alone(
    store: SQLiteStore, alice: Member, path: Path, page: int
) -> None:
    await asyncio.gather(*(say(store, alice, f"{n} " + "x" * 500) for n in range(200)))
    await store.close()
    data = bytearray(path.read_bytes())
    start = (page * 4096) % len(data) + (100 if page == 0 else 0)
    data[start : start + 500] = b"\xa5" * 500
    path.write_bytes(data)
    assert "is damaged. Restore a back-up" in await refusal(path)
    assert path.read_bytes() == data


async def test_a_damaged_file_keeps_its_log_too(store: SQLiteStore, alice: Member, path: Path) -> None:
    await say(store, alice, "hello")
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):  # as kill -9 would leave them
        await asyncio.to_thread(subprocess.run, ["cp", f"{path}{suffix}", f"{copy}{suffix}"], check=True)
    with open(copy, "r+b") as file:
        file.truncate(4096)
        file.write(b"SQLite format 3\0" + b"\xa5" * 500)
    wal = Path(f"{copy}-wal")
    wal.write_bytes(wal.read_bytes()[: 32 + 4096])
    before = copy.read_bytes(), wal.read_bytes()
    await refusal(copy)
    assert (copy.read_bytes(), wal.read_bytes()) == before


async def test_the_settings_of_the_writer_are_in_force(store: SQLiteStore) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 5000,
        "mmap_size": 0,
        "user_version": len(sqlite_file.MIGRATIONS),
        "application_id": sqlite_file.PROGRAM,
    }
    await say(store, await calls.take_seat(store, ROOM, "person-a", "Alice"), "hello")
    assert {name: await ask_writer(store, f"PRAGMA {name}") for name in wanted} == wanted


async def test_readers_cannot_write(store: SQLiteStore) -> None:
    with pytest.raises(Unavailable):
        await store._read(lambda db: db.execute("DELETE FROM room"))
    assert await calls.find_room(store, ROOM)


@pytest.mark.parametrize("column", ["id", "rev"])
async def test_a_page_costs_the_same_however_long_the_room(store: SQLiteStore, column: str) -> None:
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM entry WHERE room = 1 AND {column} > 5 ORDER BY {column} LIMIT 9"
    plan = [row[3] for row in await store._read(lambda db: db.execute(sql).fetchall())]
    assert plan[0].startswith(f"SEARCH message USING INDEX message_{column}")
    assert not [step for step in plan if "SCAN" in step or "B-TREE" in step]


# The writer


async def test_what_waits_is_committed_together(store: SQLiteStore, alice: Member) -> None:
    statements: list[str] = []
    told: list[int] = []
    store.listen(lambda changes: told.append(len(changes)))
    await store._write(lambda tx: tx.db.set_trace_callback(statements.append))
    async with Pause(store):
        statements.clear()
        writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(600)]
    await asyncio.gather(*writes)
    assert told == [256, 256, 88]
    assert Counter(statements)["COMMIT"] == 1 + 3  # the pause's own, and one for each batch


async def test_a_refused_write_does_not_disturb_its_batch(store: SQLiteStore, alice: Member) -> None:
    async with Pause(store):
        writes = [store.append(ROOM, n % 2, f"{n}", f"{n}") for n in range(10)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(r, NotFound) for r in results] == [True, False] * 5
    assert await bodies(store) == ["1", "3", "5", "7", "9"]


async def test_a_write_that_fails_halfway_does_not_disturb_its_batch(
    store: SQLiteStore, alice: Member
) -> None:
    def halfway(tx: SQLiteTransaction) -> None:
        tx.db.execute("UPDATE room SET rev = rev + 1")
        raise RuntimeError("halfway")

    async with Pause(store):
        before = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(3)]
        broken = asyncio.create_task(store._write(halfway))
        after = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(3, 6)]
    with pytest.raises(RuntimeError, match="halfway"):
        await broken
    assert [(await w).position.rev for w in before + after] == [1, 2, 3, 4, 5, 6]
    assert await bodies(store) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "one after the other"])
async def test_a_text_that_cannot_be_stored_takes_along_what_its_author_wrote_after_it(
    store: SQLiteStore, alice: Member, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    if apart:
        monkeypatch.setattr(sqlite_writer, "BATCH", 1)
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    full = "BEFORE INSERT ON text WHEN NEW.body = 'too much' BEGIN SELECT RAISE(ABORT, 'no space'); END"
    await store._write(lambda tx: tx.db.execute(f"CREATE TEMP TRIGGER full {full}"))
    async with Pause(store):
        writes = [say(store, alice, "one"), say(store, alice, "too much"), say(store, alice, "three")]
        tasks = [asyncio.ensure_future(write) for write in [*writes, say(store, bob, "four")]]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Change, Unavailable, Unavailable, Change]
    assert await bodies(store) == ["one", "four"]
    await say(store, alice, "three")
    assert await bodies(store) == ["one", "four", "three"]


async def test_nor_is_what_was_given_up_stored_before_the_text_that_failed(
    store: SQLiteStore, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that is told of a failure gives up what followed, while the next batch is being written."""
    monkeypatch.setattr(sqlite_writer, "BATCH", 1)
    full = "BEFORE INSERT ON text WHEN NEW.body = 'first' BEGIN SELECT RAISE(ABORT, 'no space'); END"
    await store._write(lambda tx: tx.db.execute(f"CREATE TEMP TRIGGER full {full}"))
    texts = ("first", "second", "third")

    def give_up(_: object) -> None:
        for write in (second, third):
            write.cancel()

    async with Pause(store):
        first, second, third = (
            store.append(ROOM, alice.number, f"key {t}", t, calls.no_extra if t == "third" else None)
            for t in texts
        )
        first.add_done_callback(give_up)
    await store._write(lambda tx: tx.db.execute("DROP TRIGGER full"))
    assert isinstance(first.exception(), Unavailable)
    for text in texts:  # said again
        await store.append(ROOM, alice.number, f"key {text}", text)
    assert await bodies(store) == list(texts)


async def test_a_cancelled_caller_keeps_the_write(store: SQLiteStore, alice: Member) -> None:
    told: list[Change] = []
    store.listen(told.extend)
    async with Pause(store):
        write = asyncio.create_task(say(store, alice, "hello"))
        later = asyncio.create_task(say(store, alice, "later"))
        await asyncio.sleep(0)
        write.cancel()
    await later
    assert write.cancelled()
    assert await bodies(store) == ["hello", "later"]
    assert [d.message.body for d in told] == ["hello", "later"]
    assert (await say(store, alice, "hello")).duplicate


async def test_too_many_waiting_writes_are_refused_at_once(
    store: SQLiteStore, alice: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "QUEUE", 50)
    async with Pause(store):
        writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(60)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await say(store, alice, "one more")
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(r, Unavailable) for r in results] == [False] * 50 + [True] * 10
    assert await bodies(store) == [f"{n}" for n in range(50)]


# When the disk fails


async def test_a_full_disk_loses_nothing_acknowledged_and_heals(store: SQLiteStore, alice: Member) -> None:
    pages = await ask_writer(store, "PRAGMA page_count")
    await set_in_writer(store, f"max_page_count = {pages}")
    writes = await asyncio.gather(
        *(say(store, alice, f"{n} " + "x" * 2000) for n in range(500)), return_exceptions=True
    )
    kept = [w.message.body for w in writes if isinstance(w, Change)]
    failed = [w for w in writes if isinstance(w, Exception)]
    assert failed
    assert all(isinstance(w, Unavailable) for w in failed)
    assert await bodies(store) == kept
    await set_in_writer(store, "max_page_count = 1000000")
    assert (await say(store, alice, "healed")).position.rev == len(kept) + 1
    assert await bodies(store) == [*kept, "healed"]


async def test_a_locked_file_delays_and_then_fails_writes_and_heals(
    store: SQLiteStore, alice: Member, path: Path
) -> None:
    told: list[Change] = []
    store.listen(told.extend)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        delayed = asyncio.create_task(say(store, alice, "delayed"))
        await store.ping()  # readers do not wait
        other.execute("ROLLBACK")
        await delayed
        await set_in_writer(store, "busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(say(store, alice, f"{n}") for n in range(20)), return_exceptions=True
        )
        assert {type(r) for r in results} == {Unavailable}
        other.execute("ROLLBACK")
    assert (await say(store, alice, "healed")).position.rev == 2
    assert [d.message.body for d in told] == ["delayed", "healed"]


async def test_a_commit_that_fails_fails_its_whole_batch_and_heals(store: SQLiteStore, alice: Member) -> None:
    def poison(tx: SQLiteTransaction) -> None:
        tx.db.execute("PRAGMA defer_foreign_keys = ON")
        tx.db.execute("INSERT INTO seat VALUES (99, 1, 'p', 'n', 1, 'n', 'n', 0, 0, 0, NULL, NULL)")

    async with Pause(store):
        writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(5)]
        poisoned = asyncio.create_task(store._write(poison))
    results = await asyncio.gather(*writes, poisoned, return_exceptions=True)
    assert {type(r) for r in results} <= {Unavailable}
    assert await bodies(store) == []
    assert (await say(store, alice, "healed")).position.rev == 1


def test_a_failure_of_the_disk_itself_leaves_the_outcome_open() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 4 << 8
    assert sqlite_writer._failure(error) is OutcomeUnknown
    assert sqlite_writer._failure(sqlite3.OperationalError("locked")) is Unavailable


# What is left behind


async def emptied(wal: Path) -> None:
    async with asyncio.timeout(10):
        while wal.stat().st_size:
            await asyncio.sleep(0.01)


async def test_a_deleted_text_and_what_it_was_before_are_not_in_the_files(
    store: SQLiteStore, alice: Member, path: Path
) -> None:
    # Rows of many sizes that grow and shrink make SQLite move their neighbours about.
    dice = random.Random(1)
    texts: dict[int, list[str]] = {}

    async def change(n: int) -> None:
        text = f"secret-{n}-"
        body = text * dice.choice([1, 3, 30, 150, 600])
        id = dice.choice([*texts, None, None])
        if id is None:
            texts[(await say(store, alice, body)).message.id] = [text]
        elif (before := texts.pop(id)) and dice.random() < 0.7:
            await calls.amend(store, ROOM, id, Edit(body))
            texts[id] = [*before, text]
        else:
            await calls.amend(store, ROOM, id, Delete())

    for start in range(0, 2000, 8):
        await asyncio.gather(*(change(n) for n in range(start, start + 8)))
    await emptied(Path(f"{path}-wal"))
    # Not read by this process: closing the file here would drop SQLite's locks on it.
    search = subprocess.Popen(["grep", "-aoE", "secret-[0-9]+-", str(path)], stdout=subprocess.PIPE)
    found, _ = await asyncio.to_thread(search.communicate)
    wanted = set()
    for id, versions in texts.items():
        kept = [version.body for version in await calls.earlier_texts(store, ROOM, id)]
        assert len(kept) == len(versions) - 1 or len(kept) >= 3  # more did not fit
        wanted.update(versions[-len(kept) - 1 :])
    assert set(found.decode().split()) == wanted


async def test_who_deletes_texts_hears_of_it_when_they_are_in_no_byte(
    store: SQLiteStore, alice: Member, path: Path
) -> None:
    for n in range(3):
        said = await say(store, alice, f"secret-{n}")
        await calls.amend(store, ROOM, said.message.id, Delete())
        for suffix in ("", "-wal"):
            found = await asyncio.to_thread(subprocess.run, ["grep", "-ac", "secret", f"{path}{suffix}"])
            assert found.returncode == 1


async def test_a_reader_delays_the_wiping_and_not_the_writers(
    store: SQLiteStore, alice: Member, path: Path
) -> None:
    wal = Path(f"{path}-wal")
    await say(store, alice, "secret")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM message").fetchall()
        await calls.amend(store, ROOM, 1, Delete())
        await say(store, alice, "hello")
        assert wal.stat().st_size > 0
        other.execute("ROLLBACK")
    await emptied(wal)


async def test_old_keys_are_forgotten_in_portions(
    store: SQLiteStore, alice: Member, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "PRUNE_PORTION", 4)
    count = "SELECT count(*) FROM idempotency_key"
    for n in range(10):
        await say(store, alice, f"{n}")
    clock.now += 80 * 3600
    left = []
    for n in range(5):
        await say(store, alice, f"new {n}")
        left.append(await ask_writer(store, count))
    assert left[-1] == 5
    assert not (await say(store, alice, "0")).duplicate


async def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(path: Path) -> None:
    dice = random.Random()
    acknowledged: list[tuple[int, str]] = []
    for round in range(15):
        acknowledged += await asyncio.to_thread(
            killed_after, f"sqlite:///{path}", round, dice.randint(1, 300)
        )
        store = SQLiteStore(str(path), lock_wait=0)
        await store.open()
        page = await calls.history(store, ROOM, limit=1_000_000)
        await store.close()
        stored = [(m.id, m.body) for m in page.messages]
        assert [id for id, _ in stored] == list(range(1, page.position.rev + 1))
        assert len({body for _, body in stored}) == len(stored)
        assert set(acknowledged) <= set(stored)
        assert len(set(acknowledged)) == len(acknowledged)
    assert re.fullmatch(r"\d+-\d+-\d+", acknowledged[-1][1])


async def test_a_room_survives_a_crash_of_its_reader(
    store: SQLiteStore, alice: Member, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("SELECT nonsense")

    query: Callable[[sqlite3.Connection], None] = broken
    for _ in range(10):
        with pytest.raises(Unavailable):
            await store._read(query)
    await say(store, alice, "hello")
    assert await bodies(store) == ["hello"]
