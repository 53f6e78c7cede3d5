"""Spread over processes, tests say and forbid the same as in one."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import parallel_plugin
import pytest
import pytest_runs
from serving import free_port

SKIPPED = """
import pytest

def test_skipped():
    pytest.skip("no browser here")

@pytest.mark.skip(reason="not today")
def test_marked(): ...
"""
MODULE = """
import pytest

pytest.importorskip("no_such_module_anywhere")

def test_of_it(): ...
"""
COUNTED = """
def test_counted(request):
    request.node.user_properties.append(("figures", "chaos: 3 rounds, 0 lost"))

def test_failed(request):
    request.node.user_properties.append(("figures", "chaos: 2 rounds, 1 lost"))
    assert False
"""


TIMED = """
import pathlib, time
import pytest

def note(name):
    with open("times", "a") as file:
        start = time.monotonic()
        time.sleep(0.05)
        file.write(f"{name} {start} {time.monotonic()}\\n")

@pytest.mark.parametrize("n", range(20))
def test_beside(n):
    note("beside")

@pytest.mark.quiet
@pytest.mark.parametrize("n", range(3))
def test_alone(n):
    note("alone")
"""


@pytest.fixture(params=["-n0", "-n1"])
def spread(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(folder: Path, spread: str, **env: str) -> str:
    return pytest_runs.run(folder, ("xdist", "ci_plugin", "parallel_plugin"), spread, **env)


def test_where_ci_is_set_nothing_may_be_skipped(tmp_path: Path, spread: str) -> None:
    (tmp_path / "test_one.py").write_text(SKIPPED)
    assert "2 skipped" in run(tmp_path, spread, CI="")
    said = run(tmp_path, spread, CI="true")
    assert "1 failed, 1 error in" in said, "the mark's is one of its setup"
    assert "no browser here (in CI nothing may be skipped)" in said


def test_where_ci_is_set_no_module_may_be_skipped(tmp_path: Path, spread: str) -> None:
    (tmp_path / "test_one.py").write_text(MODULE)
    (tmp_path / "test_two.py").write_text("def test_another(): ...")
    assert "1 skipped" in run(tmp_path, spread, CI="")
    said = run(tmp_path, spread, CI="true")
    assert "1 error" in said
    assert "no_such_module_anywhere" in said


def test_what_tests_have_counted_is_shown_at_the_end(tmp_path: Path, spread: str) -> None:
    (tmp_path / "test_one.py").write_text(COUNTED)
    said = run(tmp_path, spread).splitlines()
    assert {"chaos: 3 rounds, 0 lost", "chaos: 2 rounds, 1 lost"} <= set(said)


def test_nothing_runs_beside_a_test_that_needs_quiet(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(TIMED)
    before = set(Path(tempfile.gettempdir()).glob("chat-tests-*"))
    assert "23 passed" in run(tmp_path, "-n2")
    times = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    spans = [(name, float(start), float(end)) for name, start, end in times]
    overlaps = [
        {one, other}
        for (one, start, end), (other, later, _) in itertools.combinations(sorted(spans, key=by_start), 2)
        if start <= later < end
    ]
    assert {"beside"} in overlaps
    assert all("alone" not in pair for pair in overlaps)
    assert set(Path(tempfile.gettempdir()).glob("chat-tests-*")) <= before


def by_start(span: tuple[str, float, float]) -> float:
    return span[1]


def test_folders_are_spread_and_single_files_are_not(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    def workers(*arguments: object) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pytestconfig, "args", list(map(str, arguments)))
            return parallel_plugin.pytest_xdist_auto_num_workers(pytestconfig)

    file = tmp_path / "test_one.py"
    assert workers(tmp_path) == workers(file, tmp_path) == (os.cpu_count() or 1) + 2
    assert workers(file) == workers(f"{file}::test") == workers(file, f"{file}::test") == 0


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == 100
    assert max(ports) < 32_768, "a client might take one while its server is down"
