"""Run the tests, browsers aside, under every Python from 3.11 on that can be found: python -m tests.matrix"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

REPO = Path(__file__).parents[1]
OLDEST = (3, 11)
# Beside PATH: where pyenv and uv keep theirs.
PLACES = ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin")
# What the chat and its tests need, and what a Python built by hand may lack.
PROBE = "import ensurepip, sqlite3, ssl, sys, venv; print(*sys.version_info[:3])"

Version = tuple[int, ...]


class Result(NamedTuple):
    passed: bool
    text: str


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.matrix", description=__doc__)
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    options = parser.parse_args().options
    pythons = found()
    if not pythons:
        print("no Python from 3.11 on was found")
        return 1
    with TemporaryDirectory(prefix="chat-matrix-") as folder:
        results = {
            version: tried(version, path, Path(folder), options) for version, path in sorted(pythons.items())
        }
    for version, result in results.items():
        print(f"Python {dotted(version)}: {result.text}")
    return 0 if all(result.passed for result in results.values()) else 1


def found() -> dict[Version, Path]:
    """The newest working interpreter of each minor version."""
    newest: dict[Version, tuple[Version, Path]] = {}
    for python in candidates():
        version = probed(python)
        if version and version[:2] >= OLDEST and version > newest.get(version[:2], ((), python))[0]:
            newest[version[:2]] = (version, python)
    return dict(newest.values())


def candidates() -> Iterator[Path]:
    here = Path.home()
    folders = [Path(entry) for entry in os.get_exec_path()]
    folders += [folder for place in PLACES for folder in sorted(here.glob(place.removeprefix("~/")))]
    yield Path(sys.executable)
    for folder in folders:
        yield from sorted(p for p in folder.glob("python3*") if re.fullmatch(r"python3(\.\d+)?", p.name))


def probed(python: Path) -> Version | None:
    """Its version, or None if it does not start or lacks a module."""
    try:
        probe = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(map(int, probe.stdout.split())) if probe.returncode == 0 else None


def tried(version: Version, python: Path, folder: Path, options: list[str]) -> Result:
    """Set up an environment of its own, and run the tests in it."""
    print(f"Python {dotted(version)} ({python})", flush=True)
    environment = folder / dotted(version)
    inside = environment / "bin" / "python"
    start = time.monotonic()
    steps: list[list[str | Path]] = [
        [python, "-m", "venv", environment],
        [inside, "-m", "pip", "install", "--quiet", "--editable", ".[test]"],
        [inside, "-m", "pytest", "--ignore=tests/browser", "--color=no", *options],
    ]
    for step in steps:
        passed, verdict = shown(step)
        if not passed:
            break
    return Result(passed, f"{verdict} ({(time.monotonic() - start) / 60:.1f} min with its set-up)")


def shown(command: list[str | Path]) -> Result:
    """Run a command, show what it says, and take its last line for the verdict."""
    last = ""
    with subprocess.Popen(
        command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for last in running.stdout:
            print(last, end="", flush=True)
    return Result(running.returncode == 0, last.strip("= \n"))


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main())
