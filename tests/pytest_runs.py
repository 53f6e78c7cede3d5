"""Pytest within a test: what a plugin of ours makes of other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from serving import REPO


def run(folder: Path, plugins: Iterable[str], *options: str, **env: str) -> str:
    """What pytest says of the tests in this folder, with these plugins and no others."""
    words = [word for plugin in (*plugins, "no:cacheprovider") for word in ("-p", plugin)]
    words += ["--config-file", os.devnull, "--rootdir", str(folder), *options]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = os.pathsep.join([str(REPO / "tests"), os.environ.get("PYTHONPATH", "")])
    env = {**ours, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **env}
    command = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False).stdout
