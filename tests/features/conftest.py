"""What people do holds on both deployments."""

from __future__ import annotations

import pytest
from deployments import BOTH


@pytest.fixture(params=BOTH)
def deployment(request: pytest.FixtureRequest) -> str:
    return str(request.param)
