"""Whole folders of tests are spread over processes, and what tests have counted is shown at the end."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BESIDE = 2  # workers more than there are cores, because many tests wait
FIGURES = "figures"  # the property of a test's report that holds them


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """None for single files: those are soon done, and can be printed from and debugged."""
    folders = any(Path(argument.partition("::")[0]).is_dir() for argument in config.args)
    return (os.cpu_count() or 1) + BESIDE if folders else 0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Nothing else runs beside a test that is marked `quiet`, for what it promises takes a free processor."""
    run = getattr(item.config, "workerinput", {}).get("testrunuid")
    if run is None:
        return (yield)
    with _place(_lock(run), alone=item.get_closest_marker("quiet") is not None):
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if session := config.pluginmanager.get_plugin("dsession"):
        for file in (_lock(session.nodemanager.testrunuid), _lock(session.nodemanager.testrunuid, "-gate")):
            file.unlink(missing_ok=True)


def _lock(run: str, name: str = "") -> Path:
    return Path(tempfile.gettempdir(), f"chat-tests-{run}{name}")


@contextmanager
def _place(file: Path, alone: bool) -> Iterator[None]:
    """Many may be in the room, or one alone, who keeps the gate: else there would never be nobody in it."""
    with open(f"{file}-gate", "w") as gate, open(file, "w") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The process that shows it has run no test: reports are all that it gets of them."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", "") == "teardown":
            for name, figures in report.user_properties:
                if name == FIGURES:
                    terminalreporter.write_line(figures)
