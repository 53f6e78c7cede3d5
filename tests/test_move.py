"""move-store: everything arrives, in both directions, whatever interrupts it; and nothing else is touched."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import asyncpg
import calls
import pytest
from copies import ROOM, Place, after, change, contents, empty_places, fill, opened
from deployments import within
from people import Person
from postgres import the_server
from redis_server import RedisServer

from chat import startup
from chat.model.messages import Delete
from chat.model.rooms import Position
from chat.settings import Misconfigured, Settings
from chat.store import archive, store_for
from chat.store.archive import copying
from chat.store.archive.copying import NotCopied
from chat.store.archive.parts import PARTS, page_sql
from chat.store.sqlite.transaction import execute

ROOT = Path(__file__).parent.parent


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Place]:
    return empty_places(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def source(request: pytest.FixtureRequest, places: dict[str, Place]) -> str:
    return places[request.param]()


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, places: dict[str, Place]) -> str:
    return places[request.param]()


async def moved(source: str, target: str, say: Callable[[str], object] = lambda line: None) -> None:
    await archive.move(source, target, say)


async def test_everything_arrives(source: str, target: str) -> None:
    await fill(source)
    before = await contents(source)
    lines: list[str] = []
    await moved(source, target, lines.append)
    assert "message: 123 checked, of 2 rooms" in lines
    assert lines[-1].startswith("All is well")
    assert await contents(target) == before == await contents(source)


async def test_life_goes_on_after_it(source: str, target: str) -> None:
    await fill(source)
    await moved(source, target)
    async with opened(target) as store:
        head = (await calls.history(store, ROOM)).position
        done = await store.append(ROOM, 1, "new", "hello")
        assert (done.position, done.duplicate) == (Position(head.epoch, head.rev + 1), False)
        await calls.open_room(store, "NEWRM222")
        assert (await calls.take_seat(store, "NEWRM222", "person-9", "Zoe")).number == 1
        assert (await calls.take_seat(store, ROOM, "person-9", "IAN")).mark == 3
        await calls.amend(store, ROOM, done.message.id, Delete())
    back = source + "2" if source.startswith("sqlite") else the_server().database()
    await moved(target, back)
    assert await contents(back) == await contents(target)


async def test_an_interrupted_copy_goes_on(source: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "CHUNK", 20)
    await fill(source)
    before = await contents(source)
    for lines in itertools.count(2):
        try:
            await moved(source, target, after(lines))
            break
        except NotCopied as error:
            reason = str(error)
        assert "Run the same command again" in reason
        with pytest.raises(Misconfigured, match="unfinished copy of another store"):
            await store_for(target).open()
    assert lines > 5
    assert await contents(target) == before


async def test_an_unfinished_copy_is_of_one_store_only(
    source: str, target: str, places: dict[str, Place]
) -> None:
    await fill(source)
    with pytest.raises(NotCopied):
        await moved(source, target, after(1))
    other = places["sqlite"]()
    await fill(other, messages=1)
    with pytest.raises(NotCopied, match="unfinished copy of another store"):
        await moved(other, target)
    with pytest.raises(NotCopied, match="unfinished copy itself"):
        await moved(target, places["sqlite"]())


async def test_what_is_not_empty_is_left_alone(source: str, target: str) -> None:
    await fill(source, messages=5)
    await fill(target, messages=3)
    before = await contents(target)
    with pytest.raises(NotCopied, match="is not empty"):
        await moved(source, target)
    assert await contents(target) == before


async def test_a_store_in_use_is_not_touched(source: str, target: str) -> None:
    await fill(source)
    for url in (source, target):
        async with opened(url):
            with pytest.raises(Misconfigured, match="in use by"):
                await moved(source, target)
    await moved(source, target)


async def test_a_difference_is_found(source: str, target: str) -> None:
    await fill(source)

    def spoil(line: str) -> None:
        if line.startswith("idempotency_key: 120 of"):
            change(target, "UPDATE message SET at = at + 1 WHERE room = 2 AND id = 7")

    with pytest.raises(NotCopied, match="message, room number 2"):
        await moved(source, target, spoil)
    with pytest.raises(Misconfigured, match="unfinished copy"):
        await store_for(target).open()


async def test_a_source_that_was_used_meanwhile_is_noticed(source: str, target: str) -> None:
    await fill(source)
    with pytest.raises(NotCopied):
        await moved(source, target, after(3))
    async with opened(source) as store:
        await store.append(ROOM, 1, "later", "hello")
    with pytest.raises(NotCopied, match="Was one of them used"):
        await moved(source, target)


@pytest.mark.parametrize("url", ["redis://x", "sqlite:////nowhere/chat.db", "postgresql://127.0.0.1:1/x"])
async def test_wrong_urls_are_explained(url: str, places: dict[str, Place]) -> None:
    with pytest.raises(Misconfigured, match=r"unknown kind|does not exist|does not answer"):
        await moved(url, places["sqlite"]())


async def test_a_source_that_does_not_exist_is_not_made(tmp_path: Path, target: str) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        await moved(f"sqlite:///{tmp_path}/none.db", target)
    assert not (tmp_path / "none.db").exists()


async def test_people_are_who_they_were_on_nodes_that_have_the_key_and_no_other_key_will_do(
    places: dict[str, Place], server: RedisServer, ready: None
) -> None:
    source, target = places["sqlite"](), places["postgres"]()
    async with within(Settings(source)) as (app,):
        ann, bob = Person(app, "Ann"), Person(app, "Bob")
        code = await ann.create()
        await bob.join(code)
        await bob.write(code, "from one process")
    await moved(source, target)
    kept = Path(source.removeprefix("sqlite:///")).with_suffix(".key").read_text()
    nodes = Settings(target, server.url, kept)
    with pytest.raises(Misconfigured, match=r"CHAT_SECRET_KEY \(fingerprint .* is not the one"):
        await startup.open_context(replace(nodes, secret_key="another secret, also long enough"))
    async with within(nodes, nodes) as apps:
        for n, app in enumerate(apps):
            await bob.at(app).write(code, f"from node {n}")
        assert await ann.at(apps[1]).texts(code) == ["from one process", "from node 0", "from node 1"]
        assert (await Person(apps[0], "Eve").get(f"/rooms/{code}")).page.all("li .text") == []
    async with opened(target) as store:
        texts = [m for m in (await calls.history(store, code)).messages if m.kind == "text"]
    assert {(m.author, m.name) for m in texts} == {(2, "Bob")}


def command(source: str, target: str) -> list[str]:
    quart = [sys.executable, "-m", "quart", "--app", "chat.app:create_app()"]
    return [*quart, "move-store", source, target]


async def test_the_command_survives_kill_9_and_starts_no_server(
    places: dict[str, Place], tmp_path: Path
) -> None:
    source, target = places["sqlite"](), places["postgres"]()
    await fill(source, messages=3000)
    before = await contents(source)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def killed() -> None:
        with subprocess.Popen(
            command(source, target), cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout
            for line in child.stdout:
                if line.startswith(b"message: 4000"):
                    child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL

    await asyncio.to_thread(killed)
    again = await asyncio.to_thread(
        subprocess.run, command(source, target), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert "Going on with the copy" in again.stdout
    assert "message: 4000" not in again.stdout
    assert again.stdout.count("checked") == len(PARTS)
    assert await contents(target) == before
    refused = await asyncio.to_thread(
        subprocess.run, command(source, target), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr


async def test_a_page_of_a_large_table_is_found_by_its_index(places: dict[str, Place]) -> None:
    url = places["sqlite"]()
    await fill(url, messages=1)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
        for part in PARTS:
            start = tuple(0 for _ in part.key)
            plan = [row[3] for row in execute(db, f"EXPLAIN QUERY PLAN {page_sql(part)}", *start, 9)]
            assert "SEARCH" in plan[0], (part.table, plan)
            assert not [step for step in plan if "B-TREE" in step]
    url = places["postgres"]()
    await fill(url, messages=1)
    pg = await asyncpg.connect(url)
    await pg.execute("SET enable_seqscan = off")
    for part in PARTS:
        sql = page_sql(part)
        for n in range(1, len(part.key) + 2):
            sql = sql.replace(f"${n}", "'0'")
        steps = "\n".join(r[0] for r in await pg.fetch(f"EXPLAIN {sql}"))
        assert "Index Scan" in steps
        assert "Sort" not in steps
    await pg.close()
