"""The rules of the house that no single test would notice: templates, static files, paths."""

from __future__ import annotations

import re
from pathlib import Path

import house
import pytest
from jinja2 import Environment, nodes

from chat.views.assets import Assets
from chat.views.palette import PALETTE

REPO = Path(__file__).parents[1]
TEMPLATES = sorted((REPO / "templates").rglob("*.html"))
SOURCES = sorted((REPO / "chat").rglob("*.py"))
SCRIPTS = [*(REPO / "chat").rglob("*.sql"), *(REPO / "chat").rglob("*.lua")]
RUNTIME = [*SOURCES, *TEMPLATES, *SCRIPTS, REPO / "hypercorn.toml"]
OUTSIDE = re.compile(r"https?://|(?<![\w\"'/])//[a-z0-9.-]+\.[a-z]{2,}")


def _name(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


@pytest.fixture(params=TEMPLATES, ids=_name)
def template(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text()


def test_there_are_templates_to_look_at() -> None:
    assert len(TEMPLATES) > 20
    assert len(SOURCES) > 15


def test_a_template_holds_no_script_and_no_style_of_its_own(template: str) -> None:
    assert not re.search(r"<style|\sstyle\s*=", template, re.IGNORECASE)
    assert not re.search(r"\son\w+\s*=", template, re.IGNORECASE), "an event handler"
    assert not re.search(r"hx-on|hx-vars|javascript:|\bjs:", template, re.IGNORECASE), "evaluated by htmx"
    for attributes, content in re.findall(
        r"<script([^>]*)>(.*?)</script>", template, re.DOTALL | re.IGNORECASE
    ):
        assert "src=" in attributes
        assert not content.strip()


def test_a_template_fetches_nothing_from_elsewhere(template: str) -> None:
    link = '<a class="button quiet" href="{{ "https://wa.me/?text="'  # followed only by who chooses it
    assert not OUTSIDE.search(template.replace(link, ""))


def test_a_template_never_trusts_a_value(template: str) -> None:
    tree = Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).parse(template)
    filters = {node.name for node in tree.find_all(nodes.Filter)}
    assert not filters & {"safe", "forceescape", "xmlattr", "tojson"}
    assert "autoescape" not in template
    assert not list(tree.find_all(nodes.MarkSafe))


def test_every_value_of_an_attribute_is_quoted(template: str) -> None:
    """Escaping protects quoted attributes only."""
    assert not re.search(r"<[^>{]*=\{\{", template)


def test_a_fragment_in_an_attribute_stands_between_single_quotes(template: str) -> None:
    """It has double ones of its own: see `Engine.inline`."""
    assert template.count("inline(") == len(re.findall(r"='\{\{ inline\([^{}]*\) \}\}'", template))


def test_a_placement_is_one_line_about_one_shape() -> None:
    """`_message.html` is a shape; `append_message.html` says where it goes."""
    for path in (REPO / "templates" / "room").glob("[a-z]*.html"):
        assert "hx-partial" in path.read_text(), _name(path)
        assert len(path.read_text().splitlines()) <= 3, _name(path)


def test_stylesheets_fetch_nothing_from_elsewhere() -> None:
    sheets = list((REPO / "static").glob("*.css"))
    assert sheets
    for path in sheets:
        css = path.read_text()
        assert "@import" not in css
        assert not OUTSIDE.search(re.sub(r"http://www\.w3\.org/\S+", "", css)), _name(path)


def test_whatever_a_stylesheet_names_is_on_some_page() -> None:
    pages = [*(REPO / "templates").rglob("*.html"), *(REPO / "chat" / "views").glob("*.py")]
    words = set(re.findall(r"[\w-]+", " ".join(path.read_text("utf-8") for path in pages)))
    colours = {f"c{number}" for number in range(PALETTE)}
    for path in (REPO / "static").glob("*.css"):
        rules = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not set(re.findall(r"[.#]([a-zA-Z][\w-]*)", rules)) - words - colours, _name(path)


def test_the_stylesheet_of_the_room_takes_at_most_5_kb() -> None:
    sheet = Assets(REPO / "static").find("any/chat.css")
    assert sheet
    assert len(sheet.compressed or sheet.body) <= 5_000


def test_the_icon_is_a_picture_and_no_program() -> None:
    for path in (REPO / "static").glob("*.svg"):
        assert not re.search(r"<script|\son\w+=|href=|<foreignObject", path.read_text()), _name(path)


def test_the_only_scripts_are_the_vendored_ones() -> None:
    scripts = list((REPO / "static").rglob("*.js"))
    assert {path.parent.name for path in scripts} == {"vendor"}
    assert {path.name for path in scripts} == {"htmx.min.js", "hx-ws.min.js"}
    table = (REPO / "static/vendor/README.md").read_text()
    assert all(f"`{path.name}`" in table for path in scripts)  # tests/test_vendor.py compares the bytes


def test_nothing_at_run_time_names_a_path_of_this_machine() -> None:
    for path in RUNTIME:
        text = path.read_text()
        for place in ("/work", "/tmp", "/home", "/root", "/usr", "../", "~/"):
            assert place not in text.replace("sqlite:////var/lib", ""), f"{place} in {_name(path)}"


def test_no_secret_stands_in_the_source_and_nothing_debugs() -> None:
    for path in SOURCES:
        source = path.read_text()
        assert not re.search(r"secret\w*\s*[:=]+\s*(str\s*=\s*)?[\"'][^\"']", source, re.IGNORECASE), _name(
            path
        )
        assert not re.search(r"debug\s*=\s*True|\.run\(debug|breakpoint\(|\bprint\(", source, re.IGNORECASE)


def test_codes_and_ids_come_from_the_secure_source_only() -> None:
    for path in SOURCES:
        assert not re.search(r"^\s*(import random|from random)", path.read_text(), re.MULTILINE), _name(path)


def test_every_module_starts_with_what_it_is_for() -> None:
    for path in SOURCES:
        assert path.read_text().startswith('"""'), _name(path)


DECISIONS = sorted((REPO / "docs" / "decisions").glob("*.md"))
PATH = re.compile(r"[\w./-]+\.(?:py|sql|lua|html|css|md|toml|service)|(?:[\w.-]+/)+")


def _seen(decision: Path) -> str:
    _, found, rest = decision.read_text("utf-8").partition("**See.**")
    return " ".join(rest.split("\n\n")[0].split()) if found else ""


def _where(path: str) -> Path:
    """Templates that stand after another one may be named alone."""
    return REPO / path if "/" in path or (REPO / path).exists() else REPO / "templates" / "room" / path


@pytest.mark.parametrize("decision", DECISIONS, ids=_name)
def test_whatever_a_decision_refers_to_is_there(decision: Path) -> None:
    """`name` in `path`: the name is a word of that file. A path may also stand alone."""
    for clause in re.split(r"[;,] (?=`)|\.$", _seen(decision)):
        quoted = re.findall(r"`([^`]+)`", clause)
        paths = [text for text in quoted if PATH.fullmatch(text)]
        for path in paths:
            assert _where(path).exists(), path
        if " in `" in clause and paths:
            for name in quoted[: quoted.index(paths[0])]:
                word = name.rpartition(".")[2] if re.fullmatch(r"[\w.]+", name) else name
                assert word in _where(paths[0]).read_text("utf-8"), f"{name} in {paths[0]}"


def test_a_file_has_no_parts_with_titles() -> None:
    """A part that wants a title wants to be a file."""
    for path in SOURCES:
        assert not re.search(r"^# .*-{10}|^# ---", path.read_text("utf-8"), re.MULTILINE), path


def test_a_module_says_what_it_is_for() -> None:
    for path in SOURCES:
        assert path.name == "__init__.py" or path.read_text("utf-8").startswith('"""'), path


@pytest.mark.parametrize(
    ("sizes", "median", "p90", "longest"),
    [(house.functions(), 4, 14, 40), (house.files(), 90, 250, 300)],
    ids=["functions", "files"],
)
def test_functions_and_files_do_not_grow(sizes: house.Summary, median: int, p90: int, longest: int) -> None:
    assert sizes.median <= median
    assert sizes.p90 <= p90
    assert sizes.longest[0].lines <= longest, sizes.longest[:3]


def test_the_newcomers_page_names_what_is_there() -> None:
    text = " ".join((REPO / "docs" / "how-it-works.md").read_text("utf-8").split())
    for path in re.findall(r"`((?:chat|templates|tests|docs)/[\w/.-]+)`", text):
        assert (REPO / path).exists(), path
    named = re.findall(r"`([\w.]+)` (?:in |\()`(chat/[\w/]+\.py)`", text)
    assert len(named) > 10
    for name, path in named:
        assert name.rpartition(".")[2] in (REPO / path).read_text("utf-8"), f"{name} in {path}"


def test_comments_and_spaces_of_a_stylesheet_can_be_taken_out() -> None:
    """chat.views.assets does so by patterns that know nothing of strings."""
    for path in (REPO / "static").glob("*.css"):
        strings = re.findall(
            r"\"[^\"\n]*\"", re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        )
        assert not any(re.search(r"/\*|\*/|[{};]", text) for text in strings), _name(path)
