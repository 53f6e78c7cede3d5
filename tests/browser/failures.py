"""What the windows of a test showed when it failed, kept as pictures in tests/.cache/failures."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from browser.drivers import Window

PICTURES = Path(__file__).parents[1] / ".cache" / "failures"
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


async def keep_pictures(test: pytest.Item, windows: Sequence[Window], folder: Path = PICTURES) -> None:
    """Only if the test failed. What is printed here is shown with the failure."""
    if not test.stash.get(FAILED, False):
        return
    name = re.sub(r"\W+", "-", test.name)
    folder.mkdir(parents=True, exist_ok=True)
    for number, window in enumerate(windows, 1):
        path = folder / f"{name}-{number}.png"
        try:
            await window.screenshot(path)
            print(f"window {number}: {path}")
        except Exception as error:  # of its driver, perhaps because the window is closed
            print(f"window {number}: no picture, {error!r}")
