"""PostgreSQL ends while people talk, and its synchronous standby takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from postgres import Postgres, running

from .checker import Tally
from .crowd import gathered
from .place import Place, deployed


class Pair(NamedTuple):
    primary: Postgres
    standby: Postgres
    database: str  # a URL that names both

    def fail_over(self) -> None:
        self.primary.kill()
        self.standby.promote()


@asynccontextmanager
async def replicated() -> AsyncIterator[Pair]:
    """Nothing is acknowledged that is not on both."""
    with running() as primary:
        standby = await asyncio.to_thread(primary.standby)
        try:
            name = primary.database().rpartition("/")[2]
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", name)
            primary.sql("SELECT pg_reload_conf()", name)
            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            yield Pair(primary, standby, f"postgresql://chat@{hosts}/{name}")
        finally:
            standby.stop()
            if not primary.runs:
                primary.start()  # the end of the fixture stops it


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with replicated() as pair:
        yield pair


@pytest.fixture
async def place(tmp_path: Path, pair: Pair) -> AsyncIterator[Place]:
    async with deployed(tmp_path, pair.primary, CHAT_DATABASE_URL=pair.database) as place:
        yield place


async def test_a_failover_amid_the_talk_loses_nothing_and_open_pages_go_on_by_themselves(
    place: Place, pair: Pair, tally: Tally
) -> None:
    async with gathered(place, tally) as crowd:
        pids = [node.pids for node in place.nodes]
        crowd.talk()
        await crowd.talk_for(1, 2)
        epochs = {tab.epoch for tab in crowd.tabs}
        await asyncio.to_thread(pair.fail_over)
        await crowd.talk_for(1, 3)
        await crowd.rest()
        assert not epochs & {tab.epoch for tab in crowd.tabs}, (
            "history may be another, and no page began anew"
        )
        assert await crowd.told() == (len(crowd.tabs), 0)
        assert [node.pids for node in place.nodes] == pids
