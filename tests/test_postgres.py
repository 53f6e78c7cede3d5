"""What is special about the PostgreSQL store: several nodes, one transaction for all that waits, and what is
left of a promise when the server, or the way to it, fails."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from weakref import ref

import asyncpg
import calls
import pytest
from faults import Proxy
from kill_nine import killed_after
from people import until
from postgres import Postgres, encrypted, running, the_server
from store_model import Clock
from tls import certified

from chat.model.changes import Change
from chat.model.errors import Forbidden
from chat.model.members import Member
from chat.model.messages import Delete, Edit
from chat.settings import Misconfigured
from chat.store import AlreadyExists, OutcomeUnknown, Resync, Unavailable, store_for
from chat.store.migrate import Migration
from chat.store.postgres import batches, hosts, schema, writer_connection
from chat.store.postgres import queue as postgres_queue
from chat.store.postgres import store as postgres
from chat.store.postgres import writer as postgres_writer
from chat.store.postgres.errors import FAILURES
from chat.store.postgres.store import READERS, PostgresStore, _made_apart
from chat.store.transaction import Transaction, Work

ROOM = "BCDFGHJK"
OTHER = "22222222"
ROOT = Path(__file__).parent.parent

COMMIT = b"COMMIT\0"  # as the protocol has it; not the end of READ COMMITTED

Node = Callable[..., Coroutine[Any, Any, PostgresStore]]


@pytest.fixture(scope="module")
def durable() -> Iterator[Postgres]:
    """A server of our own, as it would run in earnest."""
    with running() as server:
        yield server


@pytest.fixture
def url() -> str:
    return the_server().schema()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with Proxy(the_server().port) as proxy:
        yield proxy


@pytest.fixture
async def node(url: str) -> AsyncIterator[Node]:
    """Opens stores on one database."""
    stores: list[PostgresStore] = []

    async def opened(url: str = url, **options: Any) -> PostgresStore:
        store = PostgresStore(url, wait=0, **options)
        await store.open()
        stores.append(store)
        return store

    yield opened
    for store in stores:
        await store.close()


@pytest.fixture
async def store(node: Node) -> PostgresStore:
    store = await node()
    await calls.open_room(store, ROOM)
    return store


@pytest.fixture
async def alice(store: PostgresStore) -> Member:
    return await calls.take_seat(store, ROOM, "person-a", "Alice")


async def test_a_connection_keeps_nothing_of_the_request_that_asked_it_something_new(
    store: PostgresStore, alice: Member
) -> None:
    """A deleted text may be on the page that the request was answered with, or in its form."""

    class Request:
        pass

    current: ContextVar[Request] = ContextVar("current")

    async def ask() -> ref[Request]:
        request = Request()
        token = current.set(request)
        await calls.history(store, ROOM)
        await store.append(ROOM, alice.number, "key", "Hello")
        await calls.announce(store, ROOM, "entered", [alice.number])
        current.reset(token)
        return ref(request)

    request = await asyncio.create_task(ask())
    gc.collect()
    assert request() is None


@pytest.fixture
async def distant(store: PostgresStore, node: Node, url: str, proxy: Proxy) -> PostgresStore:
    """A node that reaches the database by way of `proxy`."""
    return await node(proxy.through(url))


async def say(store: PostgresStore, member: Member, body: str) -> Change:
    return await store.append(member.code, member.number, f"key {body}", body)


async def append(store: PostgresStore, code: str, author: int, key: str, body: str) -> Change:
    return await store.append(code, author, key, body)


async def bodies(store: PostgresStore, code: str = ROOM) -> list[str | None]:
    return [m.body for m in (await calls.history(store, code, limit=1_000_000)).messages if m.kind == "text"]


async def sql(url: str, statement: str) -> Any:
    db = await asyncpg.connect(url)
    try:
        return await db.fetchval(statement)
    finally:
        await db.close()


@asynccontextmanager
async def held(url: str, code: str = ROOM) -> AsyncIterator[Any]:
    """Somebody else's transaction that holds the room until the end, so that what is submitted waits."""
    db = await asyncpg.connect(url)
    try:
        async with db.transaction():
            await db.execute("SELECT * FROM room WHERE code = $1 FOR UPDATE", code)
            yield db
    finally:
        await db.close()


async def waiting(url: str) -> None:
    """Return once a session waits for a lock."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    db = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(10):
            while not await db.fetchval(sql):
                await asyncio.sleep(0.005)
    finally:
        await db.close()


@contextmanager
def closing_server(server: Postgres) -> Iterator[Postgres]:
    try:
        yield server
    finally:
        server.stop()


async def refusal(url: str) -> str:
    with pytest.raises(Misconfigured, match="CHAT_DATABASE_URL") as caught:
        await PostgresStore(url, wait=0).open()
    return str(caught.value)


# Starting


async def test_of_ten_nodes_that_start_at_once_one_migrates(node: Node) -> None:
    nodes = await asyncio.gather(*(node() for _ in range(10)))
    results = await asyncio.gather(*(calls.open_room(n, ROOM) for n in nodes), return_exceptions=True)
    assert sum(isinstance(r, AlreadyExists) for r in results) == 9
    assert len({await calls.find_room(n, ROOM) for n in nodes}) == 1


async def test_a_url_chooses_the_store(url: str) -> None:
    for scheme in ("postgresql", "postgres"):
        store = store_for(url.replace("postgresql", scheme))
        assert isinstance(store, PostgresStore)
        await store.open()
        await store.ping()
        await store.close()


def test_a_missing_driver_is_named_with_the_mend(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("chat.store.postgres.store")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(Misconfigured, match=r"needs asyncpg.*pip install '.\[cluster\]'"):
        store_for(url)


async def test_a_newer_schema_is_refused_and_left_alone(store: PostgresStore, url: str) -> None:
    await sql(url, "UPDATE metadata SET value = '99' WHERE name IN ('schema', 'oldest')")
    said = await refusal(url)
    assert "brought to schema 99 by a newer release" in said
    assert "Install that release again" in said
    assert await sql(url, "SELECT value FROM metadata WHERE name = 'schema'") == "99"


async def test_a_newer_schema_that_we_can_live_with_is_accepted(
    store: PostgresStore, url: str, node: Node
) -> None:
    await sql(url, "UPDATE metadata SET value = '99' WHERE name = 'schema'")
    assert await calls.find_room((await node()), ROOM)


async def test_a_newer_release_takes_over_from_running_nodes(
    store: PostgresStore, alice: Member, url: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = schema.MIGRATIONS
    second = Migration("ALTER TABLE message RENAME COLUMN body TO text", oldest=2)
    monkeypatch.setattr(schema, "MIGRATIONS", (*ours, second))
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.5)
    await node()
    monkeypatch.setattr(schema, "MIGRATIONS", ours)
    writer = store._writer
    await until(lambda: writer and not writer._connection.is_open)
    with pytest.raises(Unavailable):
        await say(store, alice, "from an old node")
    assert await sql(url, "SELECT count(*) FROM message") == 0


async def test_another_history_is_another_epoch(
    store: PostgresStore, alice: Member, url: str, node: Node
) -> None:
    position = (await say(store, alice, "hello")).position
    assert (await calls.history((await node()), ROOM)).position == position
    await sql(url, "UPDATE metadata SET value = 'a back-up of last week' WHERE name = 'history'")
    nodes = await asyncio.gather(*(node() for _ in range(3)))
    epochs = {(await calls.history(n, ROOM)).position.epoch for n in [*nodes, await node()]}
    assert len(epochs) == 1
    assert position.epoch not in epochs
    with pytest.raises(Resync):
        await calls.changes(store, ROOM, position)


async def test_a_copy_of_a_database_beside_it_is_another_history(node: Node) -> None:
    """As from pg_dump, on the very server that it was taken from: the last messages may be missing in it."""
    url = the_server().database()
    name = url.rpartition("/")[2]
    store = await node(url)
    room = await calls.open_room(store, ROOM)
    await store.close()
    the_server().sql(f"CREATE DATABASE {name}_restored TEMPLATE {name}", "postgres")
    restored = await node(f"{url}_restored")
    assert (await calls.history(restored, ROOM)).position.epoch != room.epoch


async def test_a_node_that_died_while_it_looked_at_the_tables_keeps_no_other_one_waiting(
    store: PostgresStore, url: str, node: Node
) -> None:
    """Its session may hold the lock for migrations until the server misses it."""
    dead = await asyncpg.connect(url)
    try:
        await dead.execute(f"SELECT pg_advisory_lock({schema.PROGRAM})")
        async with asyncio.timeout(5):
            assert await calls.find_room(await node(), ROOM)
    finally:
        await dead.close()


async def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST_SERVER", 99)
    assert "Use 99 or newer" in await refusal(url)


async def test_a_database_that_cannot_hold_every_text_is_refused() -> None:
    assert "LATIN1. Create one with: createdb" in await refusal(the_server().database("LATIN1"))


@pytest.mark.parametrize(
    "table", ["message (id int)", "metadata (id int)", "metadata (name text, value text)"]
)
async def test_the_database_of_another_program_is_refused_and_left_alone(url: str, table: str) -> None:
    await sql(url, f"CREATE TABLE {table}")
    assert "another program" in await refusal(url)
    assert await sql(url, "SELECT to_regclass('seat')") is None


async def test_a_database_that_we_may_not_read_is_not_called_somebody_else_s(url: str) -> None:
    store = PostgresStore(url, wait=0)
    await store.open()
    await store.close()
    await sql(url, "DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    schema = url.rpartition("=")[2]
    await sql(url, f"GRANT USAGE ON SCHEMA {schema} TO stranger")
    said = await refusal(url.replace("chat@", "stranger@"))
    assert "permission denied" in said
    assert "Make the user the owner of the database" in said


async def test_what_cannot_be_reached_is_named_without_its_password(proxy: Proxy) -> None:
    proxy.refuse()
    address = f"127.0.0.1:{proxy.port}/chat"
    said = await refusal(f"postgresql://chat:secret@{address}")
    assert f"PostgreSQL at {address} does not answer" in said
    assert "secret" not in said


async def test_wrong_urls_are_explained(url: str) -> None:
    assert "Create the database" in await refusal(the_server().url("nowhere"))
    said = await refusal("postgresql://chat:sec/ret@127.0.0.1:port/chat")
    assert "special characters in the password" in said
    assert "sec" not in said.replace("special", "")


async def test_a_server_that_is_starting_is_waited_for(url: str, proxy: Proxy) -> None:
    proxy.refuse()
    store = PostgresStore(proxy.through(url), wait=30)
    opening = asyncio.create_task(store.open())
    await proxy.happened.wait()
    assert not opening.done()
    proxy.heal()
    await opening
    await store.close()


async def test_times_are_the_databases(store: PostgresStore, alice: Member) -> None:
    before = time.time() * 1000 - 1
    at = (await say(store, alice, "hello")).message.at
    assert before <= at <= time.time() * 1000 + 1


@pytest.mark.parametrize("column", ["id", "rev"])
async def test_a_page_costs_the_same_however_long_the_room(
    store: PostgresStore, url: str, column: str
) -> None:
    db = await asyncpg.connect(url, server_settings=hosts.SESSION)
    ask = f"EXPLAIN SELECT * FROM entry WHERE room = 1 AND {column} > 5 ORDER BY {column} LIMIT 9"
    plan = "\n".join(row[0] for row in await db.fetch(ask))
    await db.close()
    assert f"using message_{'pkey' if column == 'id' else column} on message" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


# What nodes agree on


async def test_the_first_node_decides_a_fact(store: PostgresStore, node: Node) -> None:
    second = await node()
    answers = await asyncio.gather(
        *(calls.get_or_set(n, "key", f"{i}") for i, n in enumerate([store, second] * 5))
    )
    assert len(set(answers)) == 1


async def test_two_nodes_write_one_log(store: PostgresStore, node: Node) -> None:
    nodes = [store, await node()]
    await calls.open_room(store, OTHER)
    told: list[list[Change]] = [[], []]
    for store, list_ in zip(nodes, told, strict=True):
        store.listen(list_.extend)

    async def sender(n: int) -> None:
        for code in random.sample([ROOM, OTHER], 2):  # locks in any order
            member = await calls.take_seat(nodes[n % 2], code, f"person-{n}", "Ian")
            await calls.announce(nodes[n % 2], code, "entered", [member.number])
            for i in range(10):
                await nodes[n % 2].append(code, member.number, f"{i}", f"{n}.{i}")

    await asyncio.gather(*(sender(n) for n in range(20)))
    for code in (ROOM, OTHER):
        pages = [await calls.history(n, code, limit=1000) for n in nodes]
        assert pages[0] == pages[1]
        revs = [[d.position.rev for d in list_ if d.code == code] for list_ in told]
        assert revs == [sorted(r) for r in revs]
        assert sorted(revs[0] + revs[1]) == list(range(1, pages[0].position.rev + 1))
        assert {m.body for m in pages[0].messages if m.kind == "text"} == {
            f"{n}.{i}" for n in range(20) for i in range(10)
        }
        ats = [m.at for m in pages[0].messages]
        assert ats == sorted(ats)
        people = await calls.present(store, code)
        assert sorted(m.number for m in people) == sorted(m.mark for m in people) == list(range(1, 21))


async def test_a_key_counts_on_every_node(store: PostgresStore, alice: Member, node: Node) -> None:
    nodes = [store, await node(), await node()]
    for round in range(10):
        attempts = [n.append(ROOM, alice.number, f"once {round}", f"text {round}") for n in nodes * 3]
        dones = await asyncio.gather(*attempts)
        assert [d.duplicate for d in dones].count(False) == 1
        assert {d.message for d in dones} == {dones[0].message}
    assert len(await bodies(store)) == 10


# The writer


async def test_what_waits_is_committed_together(store: PostgresStore, alice: Member, url: str) -> None:
    told: list[int] = []
    store.listen(lambda changes: told.append(len(changes)))
    async with held(url):
        first = asyncio.create_task(say(store, alice, "first"))
        await waiting(url)
        writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(600)]
        await asyncio.sleep(0)
    await asyncio.gather(first, *writes)
    assert told == [1, 256, 256, 88]


async def test_a_batch_keeps_the_order_of_arrival(store: PostgresStore, alice: Member, url: str) -> None:
    async with held(url):
        first = asyncio.create_task(say(store, alice, "first"))
        await waiting(url)
        work: list[Coroutine[Any, Any, Any]] = [
            say(store, alice, "one"),
            append(store, ROOM, alice.number, "key one", "one again"),
            calls.amend(store, ROOM, 2, Edit("two")),
            say(store, alice, "three"),
            calls.end_seat(store, ROOM, alice.person),
            say(store, alice, "too late"),
            calls.take_seat(store, ROOM, alice.person, "Alice"),
            say(store, alice, "back"),
            calls.open_room(store, OTHER),
            calls.take_seat(store, OTHER, "person-b", "Bob"),
            append(store, OTHER, 1, "k", "hello"),
            append(store, ROOM, alice.number, "key one", "and again"),
        ]
        tasks = [asyncio.create_task(w) for w in work]
        await asyncio.sleep(0)
    done = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [type(d).__name__ for d in done[5:8]] == ["Change", "NotFound", "Member"]
    page = await calls.history(store, ROOM)
    assert [(m.id, m.rev, m.body) for m in page.messages] == [
        (1, 1, "first"), (2, 3, "two"), (4, 4, "three"), (5, 5, None), (6, 6, "back"),
    ]  # fmt: skip
    assert (done[2].duplicate, done[12].duplicate, done[12].message.body) == (True, True, "two")  # type: ignore[union-attr]
    assert [m.before.at for m in page.messages[1:] if m.before] == [m.at for m in page.messages[:-1]]
    assert await bodies(store, OTHER) == ["hello"]


async def halfway(tx: Transaction) -> None:
    await tx.fetch("UPDATE room SET rev = rev + 1")
    raise RuntimeError("halfway")


async def wrong(tx: Transaction) -> None:
    await tx.fetch("SELECT nonsense")


@pytest.mark.parametrize(("work", "kind"), [(halfway, RuntimeError), (wrong, Unavailable)])
async def test_a_write_that_fails_does_not_disturb_its_batch(
    store: PostgresStore, alice: Member, url: str, work: Work[[], None], kind: type[Exception]
) -> None:
    async with held(url):
        first = asyncio.create_task(say(store, alice, "0"))
        await waiting(url)
        before = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(1, 4)]
        broken = asyncio.create_task(store.write(ROOM, work))
        after = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(4, 7)]
        await asyncio.sleep(0)
    with pytest.raises(kind):
        await broken
    assert [(await w).position.rev for w in [first, *before, *after]] == list(range(1, 8))
    assert await bodies(store) == [f"{n}" for n in range(7)]


async def test_a_cancelled_caller_keeps_the_write(store: PostgresStore, alice: Member, url: str) -> None:
    async with held(url):
        write = asyncio.create_task(say(store, alice, "hello"))
        await waiting(url)
        write.cancel()
    assert (await say(store, alice, "later")).position.rev == 2
    assert await bodies(store) == ["hello", "later"]


async def test_too_many_waiting_writes_are_refused_at_once(
    store: PostgresStore, alice: Member, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_queue, "QUEUE", 50)
    async with held(url):
        first = asyncio.create_task(say(store, alice, "first"))
        await waiting(url)
        writes = [asyncio.create_task(say(store, alice, f"{n}")) for n in range(60)]
        done, _ = await asyncio.wait(writes, timeout=0.01)
        assert len(done) == 10
        assert all(isinstance(w.exception(), Unavailable) for w in done)
    await asyncio.gather(first, *writes, return_exceptions=True)
    assert len(await bodies(store)) == 51


async def test_old_keys_are_forgotten_in_portions(
    url: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    store = await node(clock=clock)
    await calls.open_room(store, ROOM)
    alice = await calls.take_seat(store, ROOM, "person-a", "Alice")
    monkeypatch.setattr(postgres_writer, "PRUNE_PORTION", 4)
    for n in range(10):
        await say(store, alice, f"{n}")
    clock.now += 80 * 3600
    for n in range(5):
        await say(store, alice, f"new {n}")
    assert await calls.find_room(store, ROOM)
    await store.close()  # the last round of housekeeping is done
    assert await sql(url, "SELECT count(*) FROM idempotency_key") == 5


async def test_deleted_text_is_in_no_row_once_vacuumed(store: PostgresStore, alice: Member, url: str) -> None:
    await say(store, alice, "secret " * 1000)
    await calls.amend(store, ROOM, 1, Edit("another " * 1000))
    await calls.amend(store, ROOM, 1, Delete())
    db = await asyncpg.connect(url)
    assert await db.fetchval("SELECT count(*) FROM version") == 0
    for table in ("message", "version"):
        await db.execute(f"VACUUM {table}")
        options = await db.fetchval(f"SELECT reloptions FROM pg_class WHERE oid = '{table}'::regclass")
        dead = await db.fetchval(
            f"SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = '{table}'::regclass"
        )
        assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=0"} <= set(options)
        assert dead == 0
    await db.close()


# When something fails


async def mark(tx: Transaction) -> None:
    await tx.fetch("UPDATE room SET meta = coalesce(meta, '') || 'x'")


async def test_a_lost_reply_to_a_commit_leaves_the_outcome_open(
    store: PostgresStore, distant: PostgresStore, proxy: Proxy, url: str
) -> None:
    proxy.lose_reply(COMMIT)
    with pytest.raises(OutcomeUnknown, match="PostgreSQL did not confirm"):
        await distant.write(ROOM, mark)
    assert proxy.happened.is_set()
    assert str(await sql(url, "SELECT meta FROM room")).count("x") == 1


async def test_a_commit_that_is_never_answered_is_given_up(
    store: PostgresStore, distant: PostgresStore, proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postgres_writer, writer_connection):
        monkeypatch.setattr(module, "STATEMENT", 0.5)
    proxy.lose_reply(COMMIT, hang=True)
    with pytest.raises(OutcomeUnknown, match="no answer in time"):
        await distant.write(ROOM, mark)
    assert str(await sql(url, "SELECT meta FROM room")).count("x") == 1


@pytest.mark.parametrize("hang", [False, True])
async def test_texts_whose_answer_is_lost_are_asked_for_again_and_announced(
    store: PostgresStore,
    alice: Member,
    distant: PostgresStore,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    hang: bool,
) -> None:
    monkeypatch.setattr(writer_connection, "STATEMENT", 0.5)
    told: list[Change] = []
    distant.listen(told.extend)
    proxy.lose_reply(b"hello", hang=hang)
    done = await asyncio.gather(*(say(distant, alice, text) for text in ("hello", "again")))
    assert proxy.happened.is_set()
    assert [(change.duplicate, change.position.rev) for change in done] == [(True, 1), (True, 2)]
    assert await bodies(store) == ["hello", "again"]
    assert [change.message.body for change in told] == ["hello", "again"]


async def test_a_text_is_not_stored_after_one_that_expired_behind_a_text_without_an_answer(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender waits for the answer to the first, so they have not heard of the second yet."""
    monkeypatch.setattr(writer_connection, "STATEMENT", 1.5)
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.5)
    proxy.lose_reply(b"first", hang=True)
    first = asyncio.create_task(say(distant, alice, "first"))
    await proxy.happened.wait()
    with pytest.raises(Unavailable, match="did not take the write in time"):
        await say(distant, alice, "second")
    monkeypatch.setattr(postgres_queue, "PATIENCE", 10.0)
    third = asyncio.create_task(say(distant, alice, "third"))
    with pytest.raises(OutcomeUnknown):
        await first
    with pytest.raises(Unavailable, match="text before it"):
        await third
    for text in ("first", "second", "third"):  # said again
        await say(distant, alice, text)
    assert await bodies(store) == ["first", "second", "third"]


async def test_texts_whose_answer_is_lost_for_good_may_be_stored(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.5)
    proxy.lose_reply(b"hello")
    proxy.close()
    with pytest.raises(OutcomeUnknown, match="did not take the write in time"):
        await say(distant, alice, "hello")
    proxy.heal()
    monkeypatch.setattr(postgres_queue, "PATIENCE", 10.0)
    assert (await say(distant, alice, "hello")).duplicate
    assert await bodies(store) == ["hello"]


@pytest.mark.parametrize("error", [asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError, RuntimeError])
async def test_texts_are_announced_though_it_cannot_be_read_what_was_stored_before(
    store: PostgresStore, alice: Member, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    await say(store, alice, "before")
    told: list[str | None] = []
    store.listen(lambda changes: told.extend(change.message.body for change in changes))
    fetch, errors = asyncpg.Connection.fetch, [error("not now")]

    async def fails_once(self: Any, sql: str, *args: Any, **options: Any) -> Any:
        if "idempotency_key AS done" in sql and errors:
            raise errors.pop()
        return await fetch(self, sql, *args, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetch", fails_once)
    again, new = await asyncio.gather(say(store, alice, "before"), say(store, alice, "new"))
    assert not errors
    assert (again.position.rev, again.duplicate, new.position.rev) == (1, True, 2)
    assert "new" in told
    assert await bodies(store) == ["before", "new"]


async def test_many_texts_that_are_stored_already_are_found_by_one_question(
    store: PostgresStore, alice: Member
) -> None:
    texts = [f"{n}" for n in range(40)]
    await asyncio.gather(*(say(store, alice, text) for text in texts))
    await calls.amend(store, ROOM, 1, Edit("edited since"))
    writer = store._writer
    db: Any = writer and writer._connection.db
    asked: list[str] = []
    with db.query_logger(lambda record: asked.append(record.query)):
        again = await asyncio.gather(*(say(store, alice, text) for text in texts))
    assert len(asked) == 2
    assert [(change.duplicate, change.position.rev) for change in again] == [(True, n) for n in range(1, 41)]
    assert [change.message.body for change in again] == ["edited since", *texts[1:]]


async def test_a_default_isolation_of_the_database_changes_nothing(
    store: PostgresStore, alice: Member, node: Node, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = await sql(url, "SELECT current_database()")
    await sql(url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    try:
        one, two = await node(), await node()
        await asyncio.gather(*(say(one if n % 2 else two, alice, f"{n}") for n in range(60)))
        await asyncio.gather(
            *(one.write(ROOM, mark) for _ in range(5)), *(two.write(ROOM, mark) for _ in range(5))
        )
    finally:
        await sql(url, f"ALTER DATABASE {name} RESET default_transaction_isolation")
    assert sorted(map(int, filter(None, await bodies(store)))) == list(range(60))
    assert "tried again" not in caplog.text


async def test_one_question_and_one_answer_write_texts_of_several_rooms(
    store: PostgresStore, alice: Member, url: str
) -> None:
    await calls.open_room(store, OTHER)
    bob = await calls.take_seat(store, OTHER, "person-b", "Bob")
    await say(store, alice, "first")  # prepares the statement
    assert store._writer
    db: Any = store._writer._connection.db
    asked: list[str] = []
    with db.query_logger(lambda record: asked.append(record.query)):
        await asyncio.gather(say(store, alice, "one"), say(store, bob, "two"), say(store, alice, "three"))
    assert asked == [batches.APPEND]


@pytest.mark.parametrize("fault", [Proxy.reset, Proxy.refuse])
async def test_what_was_not_committed_is_done_again(
    alice: Member, distant: PostgresStore, proxy: Proxy, url: str, fault: Callable[[Proxy], None]
) -> None:
    async with held(url):
        writes = [asyncio.create_task(say(distant, alice, f"{n}")) for n in range(5)]
        await waiting(url)
        fault(proxy)
    asyncio.get_running_loop().call_later(0.3, proxy.heal)
    assert [(await w).position.rev for w in writes] == [1, 2, 3, 4, 5]
    assert await bodies(distant) == ["0", "1", "2", "3", "4"]


async def test_what_nobody_waits_for_any_more_is_not_written(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy
) -> None:
    """Its writer has heard that the text before it failed, and will say both again in order."""
    proxy.refuse()
    given_up = asyncio.create_task(say(distant, alice, "second"))
    await until(lambda: distant.waiting)
    await proxy.happened.wait()
    given_up.cancel()
    proxy.heal()
    await say(distant, alice, "first")
    await say(distant, alice, "second")
    assert await bodies(store) == ["first", "second"]


async def test_nor_is_what_was_given_up_stored_before_the_text_that_failed(
    store: PostgresStore, alice: Member, url: str
) -> None:
    """A socket that is told of a failure gives up what followed, though that is in the same batch."""
    fails = "'BEGIN RAISE ''no space''; END'"
    await sql(url, f"CREATE FUNCTION no_space() RETURNS trigger AS {fails} LANGUAGE plpgsql")
    when = "BEFORE INSERT ON message FOR EACH ROW WHEN (NEW.body = 'first')"
    await sql(url, f"CREATE TRIGGER no_space {when} EXECUTE FUNCTION no_space()")
    texts = ("first", "second", "third")

    def give_up(_: object) -> None:
        for write in (second, third):
            write.cancel()

    async with held(url):
        before = asyncio.create_task(say(store, alice, "before"))
        await waiting(url)
        first, second, third = (
            store.append(ROOM, alice.number, f"key {t}", t, calls.no_extra if t == "third" else None)
            for t in texts
        )
        first.add_done_callback(give_up)
    await before
    with pytest.raises(Unavailable):
        await first
    await sql(url, "DROP TRIGGER no_space ON message")
    for text in texts:  # said again
        await store.append(ROOM, alice.number, f"key {text}", text)
    assert await bodies(store) == ["before", *texts]


async def test_a_text_that_waited_too_long_takes_along_what_its_author_wrote_after_it(
    store: PostgresStore,
    alice: Member,
    distant: PostgresStore,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.2)
    proxy.refuse()
    await proxy.happened.wait()  # the writer has lost its connection, and knows it
    first = asyncio.create_task(say(distant, alice, "first"))
    await until(lambda: distant.waiting)
    monkeypatch.setattr(postgres_queue, "PATIENCE", 10.0)
    second = asyncio.create_task(say(distant, alice, "second"))
    other = asyncio.create_task(say(distant, bob, "of somebody else"))
    with pytest.raises(Unavailable):
        await first
    with pytest.raises(Unavailable):
        await second
    proxy.heal()
    await other
    assert await bodies(store) == ["of somebody else"]


async def test_what_is_written_when_a_text_fails_is_not_lost(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same turn of the loop, by what is called then."""
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.2)
    proxy.refuse()
    await proxy.happened.wait()
    first = distant.append(ROOM, alice.number, "first", "first")
    monkeypatch.setattr(postgres_queue, "PATIENCE", 10.0)
    second = distant.append(ROOM, alice.number, "second", "second")
    written: list[Any] = []

    def write_more(failed: Any) -> None:
        body = f"after {failed.work.body}"
        written.append(distant.append(ROOM, bob.number, body, body))

    for failing in (first, second):
        failing.add_done_callback(write_more)
    for failing in (first, second):
        with pytest.raises(Unavailable):
            await failing
    proxy.heal()
    async with asyncio.timeout(5):
        for write in written:
            await write
    assert await bodies(store) == ["after first", "after second"]


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "one after the other"])
async def test_a_text_that_cannot_be_stored_takes_along_what_its_author_wrote_after_it(
    store: PostgresStore, alice: Member, url: str, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    if apart:
        monkeypatch.setattr(postgres_queue, "BATCH", 1)
    bob = await calls.take_seat(store, ROOM, "bob", "Bob")
    refuse = "RAISE 'no space' USING ERRCODE = 'disk_full'"
    full = f"BEGIN IF NEW.body = 'too much' THEN {refuse}; END IF; RETURN NEW; END"
    await sql(url, f"CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ {full}; $$")
    await sql(
        url, "CREATE TRIGGER no_space BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION no_space()"
    )
    writes = [say(store, alice, "one"), say(store, alice, "too much"), say(store, alice, "three")]
    results = await asyncio.gather(*writes, say(store, bob, "four"), return_exceptions=True)
    assert [type(result) for result in results] == [Change, Unavailable, Unavailable, Change]
    assert await bodies(store) == ["one", "four"]
    await say(store, alice, "three")
    assert await bodies(store) == ["one", "four", "three"]


async def test_a_cut_anywhere_loses_and_doubles_nothing(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy
) -> None:
    unknown = 0
    for n in range(60):
        proxy.cut_after(1 + n * 11)
        while True:
            try:
                await say(distant, alice, f"{n}")
                break
            except OutcomeUnknown:
                unknown += 1
    assert await bodies(store) == [f"{n}" for n in range(60)]


async def test_reads_go_on_with_the_next_host_when_the_first_is_silent(
    store: PostgresStore, url: str, node: Node, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine is gone and nobody refuses. Nobody writes, either."""
    for module in (postgres, hosts):
        monkeypatch.setattr(module, "CONNECT", 0.5)
    monkeypatch.setattr(postgres, "PING", 0.3)
    there = url.partition("@")[2].partition("/")[0]
    distant = await node(url.replace(there, f"127.0.0.1:{proxy.port},{there}"))
    await distant.ping()
    proxy.black_hole()
    async with asyncio.timeout(10):
        while True:
            try:
                await distant.ping()
                break
            except Unavailable:
                continue
    assert await calls.find_room(distant, ROOM)


async def test_a_node_that_is_too_old_for_the_database_does_not_read_it_either(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await calls.find_room(store, ROOM)
    await sql(url, "UPDATE metadata SET value = '99' WHERE name IN ('schema', 'oldest')")
    ours = "application_name = 'room-chat' AND query LIKE '%room%'"
    await sql(url, f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {ours}")
    with pytest.raises(Unavailable, match="newer release"):
        await calls.find_room(store, ROOM)
    await sql(url, "UPDATE metadata SET value = '1' WHERE name IN ('schema', 'oldest')")
    assert await calls.find_room(store, ROOM)


async def test_what_cannot_be_sent_fails_alone_and_costs_no_connection(
    store: PostgresStore, alice: Member
) -> None:
    async def too_large(tx: Transaction) -> None:
        await tx.fetch("UPDATE room SET rev = $1 WHERE code = 'none'", 2**63)

    assert store._writer
    before = store._writer._connection.db
    writes = (say(store, alice, "one"), store.write(ROOM, too_large), say(store, alice, "two"))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [Change, Unavailable, Change]
    assert store._writer._connection.db is before
    assert await bodies(store) == ["one", "two"]


async def test_a_refusal_of_what_was_asked_for_costs_no_connection(store: PostgresStore) -> None:
    async def refused(tx: Transaction) -> None:
        pids.append((await tx.fetch("SELECT pg_backend_pid()"))[0][0])
        raise Forbidden("Not yours.")

    pids: list[int] = []
    for ask in (store.read, store.snapshot, store.snapshot, store.read):
        with pytest.raises(Forbidden):
            await ask(refused)
    assert len(set(pids)) == 1


async def test_a_black_hole_is_bounded_and_heals(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await calls.history(distant, ROOM)
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.5)
    for module in (postgres_writer, writer_connection):
        monkeypatch.setattr(module, "STATEMENT", 1.0)
    monkeypatch.setattr(hosts, "CONNECT", 0.5)
    monkeypatch.setattr("chat.store.postgres.store.PING", 0.5)
    proxy.black_hole()
    began = time.monotonic()
    texts = [f"{n}" for n in range(20)]
    attempts = [*(say(distant, alice, text) for text in texts), distant.ping(), distant.ping()]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert {type(r) for r in results[:20]} == {OutcomeUnknown}, "they were sent, and may arrive late"
    assert {type(r) for r in results[20:]} == {Unavailable}
    assert all("PostgreSQL" in str(r) for r in results)
    assert time.monotonic() - began < 5
    proxy.heal()
    assert not (await say(distant, alice, "healed")).duplicate
    await distant.ping()
    for text in texts:  # said again
        await say(distant, alice, text)
    found = await bodies(store)
    found.remove("healed")
    assert found == texts


async def test_while_every_reader_waits_reads_are_refused_in_time_and_later_all_are_answered(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy
) -> None:
    await say(store, alice, "hello")

    async def crowd() -> list[Any]:
        reads = (calls.history(distant, ROOM) for _ in range(3 * READERS))
        return await asyncio.gather(*reads, return_exceptions=True)

    pages = await crowd()  # so many that every reader is connected
    proxy.black_hole()
    began = time.monotonic()
    refusals = await crowd()
    assert {type(r) for r in refusals} == {Unavailable}
    assert all("PostgreSQL cannot be read" in str(r) for r in refusals)
    assert time.monotonic() - began < hosts.STATEMENT + 3
    proxy.heal()
    assert await crowd() == pages
    assert await bodies(distant) == ["hello"]


async def test_a_slow_way_is_only_slow(
    store: PostgresStore, alice: Member, distant: PostgresStore, proxy: Proxy
) -> None:
    proxy.latency = 0.02
    await asyncio.gather(*(say(distant, alice, f"{n}") for n in range(100)))
    assert len(await bodies(distant)) == 100


async def test_a_room_that_somebody_holds_delays_and_then_refuses(
    store: PostgresStore, alice: Member, url: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hosts.SESSION, "lock_timeout", "300ms")
    monkeypatch.setattr(postgres_queue, "PATIENCE", 0.5)
    second = await node()
    async with held(url):
        with pytest.raises(Unavailable):
            await say(second, alice, "hello")
    assert (await say(second, alice, "hello")).position.rev == 1


async def test_a_node_that_stops_amid_a_write_gives_back_its_rooms(
    store: PostgresStore, alice: Member, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = await asyncpg.connect(
        url, server_settings=hosts.SESSION | {"idle_in_transaction_session_timeout": "200ms"}
    )
    await stopped.execute("BEGIN")
    await stopped.execute(batches.LOCK.replace("$1::text[]", f"'{{{ROOM}}}'"))
    assert (await say(store, alice, "hello")).position.rev == 1
    with pytest.raises(FAILURES):
        await stopped.execute("COMMIT")
    stopped.terminate()


async def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(store: PostgresStore, url: str) -> None:
    dice = random.Random()
    killed = [asyncio.to_thread(killed_after, url, round, dice.randint(1, 300)) for round in range(6)]
    acknowledged = [pair for pairs in await asyncio.gather(*killed) for pair in pairs]
    alice = await calls.take_seat(store, ROOM, "person-a", "Alice")
    await say(store, alice, "last")  # waits for whatever the killed nodes left unfinished
    page = await calls.history(store, ROOM, limit=1_000_000)
    stored = [(m.id, m.body) for m in page.messages]
    assert [id for id, _ in stored] == list(range(1, page.position.rev + 1))
    assert len({body for _, body in stored}) == len(stored)
    assert set(acknowledged) <= set(stored)
    assert len(set(acknowledged)) == len(acknowledged)


class Load:
    """Senders that repeat with its key what failed, and count what they were told."""

    def __init__(self, nodes: list[PostgresStore]) -> None:
        self._nodes = nodes
        self.acknowledged: dict[str, int] = {}
        self.failures: list[Exception] = []
        self._stopped = False
        self._moved = asyncio.Event()

    async def run(self, senders: int = 20) -> None:
        await asyncio.gather(*(self._send(n) for n in range(senders)))

    async def _send(self, number: int) -> None:
        store = self._nodes[number % len(self._nodes)]
        seat = await calls.take_seat(store, ROOM, f"person-{number}", f"Name {number}")
        sent = 0
        while not self._stopped:
            key = f"{number}-{sent}"
            try:
                done = await store.append(ROOM, seat.number, key, key)
            except (Unavailable, OutcomeUnknown) as error:
                self.failures.append(error)
                await asyncio.sleep(0.01)
            else:
                self.acknowledged[key] = done.message.id
                sent += 1
                self._moved.set()

    async def moves(self, by: int = 500) -> None:
        """Return once that many more were acknowledged."""
        goal = len(self.acknowledged) + by
        async with asyncio.timeout(60):
            while len(self.acknowledged) < goal:
                self._moved.clear()
                await self._moved.wait()

    def stop(self) -> None:
        self._stopped = True

    async def check(self, store: PostgresStore) -> None:
        """What was acknowledged is there, once, in order, and there are no holes."""
        page = await calls.history(store, ROOM, limit=1_000_000)
        assert [m.id for m in page.messages] == list(range(1, page.position.rev + 1))
        stored = {m.body or "": m.id for m in page.messages}
        assert len(stored) == len(page.messages)
        assert self.acknowledged.items() <= stored.items()


async def test_a_restart_of_the_server_loses_and_doubles_nothing(durable: Postgres, node: Node) -> None:
    url = durable.database()
    nodes = [await node(url), await node(url)]
    assert {n.durability for n in nodes} == {"fsync"}
    await calls.open_room(nodes[0], ROOM)
    load = Load(nodes)
    running = asyncio.create_task(load.run())
    for _ in range(3):
        await load.moves()
        await asyncio.to_thread(durable.restart, "immediate")
    await load.moves()
    load.stop()
    await running
    assert {type(f) for f in load.failures} <= {Unavailable, OutcomeUnknown}
    await load.check(nodes[1])


async def test_a_failover_to_a_synchronous_standby_loses_and_doubles_nothing(node: Node) -> None:
    with running() as primary, closing_server(await asyncio.to_thread(primary.standby)) as standby:
        name = primary.database().rpartition("/")[2]
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", name)
        primary.sql("SELECT pg_reload_conf()", name)
        url = f"postgresql://chat@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{name}"
        nodes = [await node(url), await node(url)]
        assert {n.durability for n in nodes} == {"replicated"}
        epoch = (await calls.open_room(nodes[0], ROOM)).epoch
        load = Load(nodes)
        sending = asyncio.create_task(load.run())
        await load.moves()
        await asyncio.to_thread(primary.stop, "immediate")
        await asyncio.to_thread(standby.promote)
        await load.moves()
        load.stop()
        await sending
        await load.check(nodes[1])
        assert {n.durability for n in nodes} == {"fsync"}  # it has no standby itself
        assert (await calls.history(nodes[0], ROOM)).position.epoch != epoch
        await asyncio.to_thread(primary.start)


async def test_a_commit_that_gave_up_waiting_for_the_standby_is_not_acknowledged(node: Node) -> None:
    with running() as primary:
        url = primary.database()
        store = await node(url)
        await calls.open_room(store, ROOM)
        alice = await calls.take_seat(store, ROOM, "person-a", "Alice")
        await sql(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await sql(url, "SELECT pg_reload_conf()")
        for _ in range(2):  # said again, it is stored already, and still not safe
            write = asyncio.create_task(say(store, alice, "hello"))
            stuck = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            async with asyncio.timeout(5):
                while not await sql(url, stuck):
                    assert not write.done(), "acknowledged without the standby"
                    await asyncio.sleep(0.01)
            with pytest.raises(OutcomeUnknown):
                await write
        await sql(url, "ALTER SYSTEM RESET synchronous_standby_names")
        await sql(url, "SELECT pg_reload_conf()")
        assert (await say(store, alice, "hello")).duplicate


async def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(
    durable: Postgres, node: Node
) -> None:
    url = durable.database()
    name = url.rpartition("/")[2]
    durable.sql(f"ALTER DATABASE {name} SET synchronous_commit = off", "postgres")
    store = await node(url)
    assert store.durability == "fsync"

    async def asked(tx: Transaction) -> str:
        ((value,),) = await tx.fetch("SELECT current_setting('synchronous_commit')")
        return str(value)

    assert await store.write(None, asked) == "on"


async def test_a_server_that_does_not_write_to_its_disk_is_called_what_it_is(store: PostgresStore) -> None:
    assert store.durability == "os"


# Over TLS


async def test_a_server_is_known_by_its_certificate(tmp_path: Path) -> None:
    with encrypted() as (server, certificate):
        url = f"{server.url('postgres')}?sslmode=verify-full&sslrootcert="
        store = PostgresStore(f"{url}{certificate}", wait=0)
        await store.open()
        ours = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        assert await sql(server.url("postgres"), f"{ours} WHERE application_name = 'room-chat'")
        await store.close()
        stranger, _ = certified(tmp_path, "IP:127.0.0.1")
        assert "sslrootcert=" in await refusal(f"{url}{stranger}")
        assert f"does not exist: {tmp_path}/none.pem" in await refusal(f"{url}{tmp_path}/none.pem")


async def test_a_connection_that_comes_for_a_cancelled_request_is_ended() -> None:
    db = Mock()

    async def connect() -> Any:
        return db

    asked = asyncio.create_task(_made_apart(connect()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is there, and the one who asked has not been woken yet
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await asyncio.sleep(0)
    db.terminate.assert_called_once_with()
