"""Which room of the house may know of which: the contracts of pyproject.toml, and proof that they bite."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

REPO = Path(__file__).parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")

# What nobody may do, and the contract that says so.
TRESPASSES = {
    "model/rooms.py": ("from chat import views", "Imports run one way"),
    "live/hub.py": ("from chat import server", "Only the app knows the server"),
    "web/room.py": ("import hypercorn", "Only the server knows Hypercorn"),
    "live/presence.py": ("import quart", "Only the web and who wires it know Quart"),
    "visitors.py": ("import sqlite3", "A driver is known to its own backend"),
    "features/edit.py": ("from chat.features import delete", "Features do not know each other"),
    "model/members.py": ("import jinja2", "The model needs nothing but the standard library"),
    "metrics.py": ("import redis", "Redis is known to the cluster only"),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-cache", "--config", str(REPO / "pyproject.toml")],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_imports_run_one_way() -> None:
    result = _lint(REPO)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(TRESPASSES)} kept, 0 broken" in result.stdout


def test_every_contract_finds_its_trespasser(tmp_path: Path) -> None:
    shutil.copytree(REPO / "chat", tmp_path / "chat", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (trespass, _) in TRESPASSES.items():
        file = tmp_path / "chat" / name
        file.write_text(file.read_text() + f"\n{trespass}\n")
    result = _lint(tmp_path)
    for _, contract in TRESPASSES.values():
        assert f"{contract} BROKEN" in result.stdout, result.stdout + result.stderr


def test_every_feature_is_in_the_contract() -> None:
    linter = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    contract = next(contract for contract in linter["contracts"] if contract["id"] == "features")
    shared = {"__init__", "action"}
    features = {file.stem for file in (REPO / "chat" / "features").glob("*.py")} - shared
    assert set(contract["modules"]) == {f"chat.features.{name}" for name in features}


def test_the_model_needs_nothing_but_the_standard_library_and_the_table_of_look_alikes() -> None:
    for file in (REPO / "chat" / "model").glob("*.py"):
        tree = ast.parse(file.read_text())
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        tops = {name.partition(".")[0] for name in names if not name.startswith("chat.model.")}
        assert tops <= sys.stdlib_module_names | {"confusable_homoglyphs"}, file


def test_only_the_engine_knows_jinja() -> None:
    for file in (REPO / "chat").rglob("*.py"):
        if file.name != "environment.py":
            source = file.read_text()
            assert "jinja2" not in source, file
            assert "render_template" not in source, file


def test_no_module_holds_state_in_a_global() -> None:
    for file in (REPO / "chat").rglob("*.py"):
        assert not [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Global)], (
            file
        )
