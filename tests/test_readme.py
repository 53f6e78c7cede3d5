"""What the documents say of the code is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import chat
from chat import limits
from chat.features import ACTIONS, ROOM_ACTIONS
from chat.metrics import Metrics
from chat.settings import Settings

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text("utf-8")
DOCUMENTS = sorted([*REPO.glob("*.md"), *REPO.glob("docs/**/*.md"), REPO / "static/vendor/README.md"])


def section(word: str) -> str:
    """The text below the first heading with this word, up to the next heading."""
    match = re.search(rf"^#+ [^\n]*\b{word}\b[^\n]*\n(.*?)(?=^#|\Z)", README, re.DOTALL | re.MULTILINE)
    assert match, f"no heading has the word {word!r}"
    return match[1]


def rows(word: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = [line for line in section(word).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def shown(default: object) -> str:
    if isinstance(default, bool):
        return "`on`" if default else "`off`"
    return f"`{default}`" if default not in ("", ()) else "–"


def test_the_table_of_settings_has_each_with_its_default_and_meaning() -> None:
    assert rows("Settings") == [
        [f"`CHAT_{field.name.upper()}`", shown(field.default), field.metadata["doc"]]
        for field in fields(Settings)
    ]


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (limits.per_minute("joins", 300), "per minute 300 joins"),
        (limits.per_minute("logouts", 300), "300 log-outs"),
        (limits.Rate("renames", 60, 10), "per minute 1 new name (10)"),
        (limits.Rate("titles", 60, 3), "a new title or topic a minute (3 in a burst)"),
        (limits.Rate("searches", 1, 30), "1 search (30)"),
        (limits.Rate("searches-of-address", 1 / 10, 300), "per second 10 searches (300)"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_rate_is_what_it_is_said_to_be(rate: limits.Rate, said: str) -> None:
    assert getattr(limits, rate.name.upper().replace("-", "_")) == rate
    assert said in " ".join(README.split())


def test_it_names_no_other_setting() -> None:
    settings = {f"CHAT_{field.name.upper()}" for field in fields(Settings)}
    assert set(re.findall(r"\bCHAT_[A-Z_]+", README)) == settings


def test_a_club_starts_it_as_everybody_does_but_for_others_to_reach() -> None:
    usual = section("Run").partition("pip install . && ")[2].splitlines()[0]
    assert usual.replace('.toml "', '.toml --bind 0.0.0.0:8000 "') in section("club").splitlines()


@pytest.mark.parametrize("word", ["Run", "Test"])
def test_one_command_runs_it_and_one_tests_it(word: str) -> None:
    block = re.search(r"^```sh\n(.*?)^```$", section(word), re.DOTALL | re.MULTILINE)
    assert block, f"no shell block below {word}"
    (command,) = block[1].splitlines()
    assert command.startswith("python3 -m venv .venv && ")
    assert not command.endswith("\\")


def _places() -> list[str]:
    return [path for cell, _ in rows("Where things are") for path in re.findall(r"`([^`]+)`", cell)]


def test_whatever_is_in_where_things_are_exists() -> None:
    for path in _places():
        assert (REPO / path).is_dir() if path.endswith("/") else (REPO / path).is_file(), path


def test_every_package_is_in_where_things_are() -> None:
    packages = {f"chat/{path.parent.name}/" for path in REPO.glob("chat/*/__init__.py")}
    assert packages <= set(_places())


def test_every_metric_is_in_the_table() -> None:
    text = Metrics().text().decode()
    measured = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
    named = {name.strip("`") for name, _ in rows("Watch")}
    assert set(measured) == named


REASON = re.compile(r'(?:refusals\.labels|ComeBack|_refused)\("([^"]+)"')
RATE = re.compile(r"(?:within|check)_rate\(chat, limits\.([A-Z_]+)")


def test_every_reason_for_a_refusal_is_in_the_table_and_no_other() -> None:
    code = "".join(path.read_text("utf-8") for path in (REPO / "chat").rglob("*.py"))
    (meaning,) = [meaning for name, meaning in rows("Watch") if name == "`chat_refusals_total`"]
    _, *named = re.findall(r"`([^`]+)`", meaning)
    rates = {getattr(limits, name).name for name in (*RATE.findall(code), "WRONG_CODES", "ALL_WRONG_CODES")}
    assert set(named) == {*REASON.findall(code), *rates, *ACTIONS, *ROOM_ACTIONS}


@pytest.mark.parametrize(
    "document", [REPO / "README.md", REPO / "docs/cluster.md"], ids=lambda path: path.name
)
def test_sql_for_operators_names_tables_that_exist(document: Path) -> None:
    script = (REPO / "chat/store/sqlite/migrations/001.sql").read_text("utf-8")
    named = re.findall(r"\b(?:DELETE FROM|UPDATE) (\w+)", document.read_text("utf-8"))
    assert named
    assert set(named) <= set(re.findall(r"CREATE TABLE (\w+)", script))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPO).as_posix())
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def test_the_newest_version_in_the_changelog_is_this_one() -> None:
    version = re.search(r"^## Version (\S+)$", (REPO / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert version
    assert version[1] == chat.__version__


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:3]) for path in REPO.glob("docs/decisions/*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
