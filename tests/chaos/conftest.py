"""How many rounds, and a line with the figures of each test at the end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from parallel_plugin import FIGURES
from postgres import Postgres, running

from .checker import Tally
from .place import Place, deployed


@pytest.fixture(scope="session")
def rounds() -> int:
    return int(os.environ.get("CHAOS_ROUNDS", "2"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """As durable as an operator's, and started again by the test that kills it."""
    with running() as postgres:
        yield postgres


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    tally = Tally()
    yield tally
    request.node.user_properties.append((FIGURES, f"chaos: {request.node.name}: {tally}"))


@pytest.fixture
async def place(tmp_path: Path, postgres: Postgres) -> AsyncIterator[Place]:
    async with deployed(tmp_path, postgres) as place:
        yield place


@pytest.fixture
async def proxied(tmp_path: Path, postgres: Postgres) -> AsyncIterator[Place]:
    """Every node reaches its servers by way of proxies."""
    async with deployed(tmp_path, postgres, proxies=True) as place:
        yield place
