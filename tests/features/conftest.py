"""What people do holds on both deployments."""

from __future__ import annotations

import pytest
from deployments import BOTH
from people import Person
from quart import Quart


@pytest.fixture(params=BOTH)
def deployment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def eve(app: Quart) -> Person:
    """Somebody without a seat in any room."""
    return Person(app, "Eve")
