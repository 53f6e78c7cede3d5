"""Whole folders of tests are spread over processes, and what tests have counted is shown at the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BESIDE = 2  # workers more than there are cores, because many tests wait
FIGURES = "figures"  # the property of a test's report that holds them


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """None for single files: those are soon done, and can be printed from and debugged."""
    folders = any(Path(argument.partition("::")[0]).is_dir() for argument in config.args)
    return (os.cpu_count() or 1) + BESIDE if folders else 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The process that shows it has run no test: reports are all that it gets of them."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", "") == "teardown":
            for name, figures in report.user_properties:
                if name == FIGURES:
                    terminalreporter.write_line(figures)
