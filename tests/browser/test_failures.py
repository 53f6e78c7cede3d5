"""Pictures are kept of a test that fails, and of no other."""

from __future__ import annotations

from pathlib import Path

from pytest_runs import run

TESTS = """
import asyncio, pathlib
import pytest
from browser.failures import keep_pictures

class Open:
    async def screenshot(self, path):
        path.write_text("a picture")

class Closed:
    async def screenshot(self, path):
        raise ConnectionError("it is closed")

@pytest.fixture
def windows(request):
    yield
    asyncio.run(keep_pictures(request.node, [Closed(), Open()], pathlib.Path("pictures")))

@pytest.mark.parametrize("name", ["a/b"])
def test_bad(windows, name):
    assert False

def test_good(windows): ...
"""


def test_what_a_window_shows_is_kept_if_its_test_fails(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(TESTS)
    said = run(tmp_path, ["browser.failures"])
    assert "1 failed, 1 passed in" in said
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["test_bad-a-b--2.png"]
    assert "window 1: no picture, ConnectionError('it is closed')" in said
    assert "window 2: pictures/test_bad-a-b--2.png" in said
