"""What people do holds on both deployments."""

from __future__ import annotations

import secrets

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


@pytest.fixture
def page() -> str:
    """The key of a page's life."""
    return secrets.token_urlsafe(9)


@pytest.fixture
async def other(alice: Person, bob: Person, code: str) -> str:
    """Another room of Alice and Bob."""
    other = await alice.create()
    await bob.join(other, "Bob")
    return other
