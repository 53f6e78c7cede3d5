"""How many rounds, and a line with the figures of each test at the end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .checker import Tally
from .place import Place, deployed

TALLIES = pytest.StashKey[dict[str, Tally]]()


@pytest.fixture(scope="session")
def rounds() -> int:
    return int(os.environ.get("CHAOS_ROUNDS", "2"))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    tally = Tally()
    request.config.stash.setdefault(TALLIES, {})[request.node.name] = tally
    return tally


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with deployed(tmp_path, CHAT_RATE_LIMIT="off") as place:
        yield place


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[Place]:
    """Every node reaches its servers by way of proxies."""
    async with deployed(tmp_path, proxies=True, CHAT_RATE_LIMIT="off") as place:
        yield place


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, tally in config.stash.get(TALLIES, {}).items():
        terminalreporter.write_line(f"chaos: {name}: {tally}")
