"""Collect every text that people read, and bring the catalogues up to date: python -m tests.catalogues"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

REPO = Path(__file__).parents[1]
LOCALES = REPO / "chat" / "locales"
# What these say is for operators, in English. So are exceptions that nobody but a log shows.
FOR_OPERATORS = {"cli.py", "settings.py", "startup.py", "private.py", "visitors.py", "logs.py", "metrics.py"}
FOLDERS_FOR_OPERATORS = {"cluster", "server", "store"}
UNSHOWN = {"ValueError", "NotFound", "Unavailable", "RuntimeError", "LookupError", "KeyError", "startswith"}
READABLE = re.compile(r"[A-Z%“](?:[^\W\d_]|[’'])* .*|[A-Z][a-z]+[.?!…]", re.DOTALL)
OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}


HEAD = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"
"""


class Text(NamedTuple):
    """In English, with its plural if it depends on a number."""

    one: str
    many: str = ""
    where: str = ""


def in_python(source: str, where: str = "") -> Iterator[Text]:
    """What rules and handlers say: whatever is a Sentence, and constants that read like one."""
    nodes = list(ast.walk(ast.parse(source)))
    done = {id(constant) for node in nodes for constant in _no_texts(node)}
    for node in nodes:
        if pair := _plural(node):
            done.update(map(id, pair))
            yield Text(str(pair[0].value), str(pair[1].value), where)
    calls = [node for node in nodes if isinstance(node, ast.Call) and _name(node) == "Sentence"]
    sentences = {id(call.args[0]) for call in calls}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in done]
    for constant in constants:
        if id(constant) in sentences or is_readable(constant.value):
            yield Text(str(constant.value), "", where)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_readable(value: object) -> bool:
    return isinstance(value, str) and READABLE.fullmatch(value) is not None and not value.isupper()


def _plural(node: ast.AST) -> list[ast.Constant]:
    """Two texts side by side with the number n in the second: arguments, or a pair that becomes some."""
    values: list[ast.expr] = []
    if isinstance(node, ast.Tuple):
        values = node.elts
    elif isinstance(node, ast.Call):
        values = node.args[:2]
    pair = [value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return pair if len(values) == len(pair) == 2 and "%(n)s" in str(pair[1].value) else []


def _no_texts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr | ast.JoinedStr):
        yield from ast.walk(node) if isinstance(node, ast.JoinedStr) else [node.value]
    elif isinstance(node, ast.Call) and _name(node) in UNSHOWN:
        yield from node.args


def in_template(source: str, where: str = "") -> Iterator[Text]:
    found = extract("jinja2.ext:babel_extract", BytesIO(source.encode()), options=OPTIONS)
    for _, message, _, _ in found:
        one, many = message[:2] if isinstance(message, tuple) else (message, "")
        yield Text(one, many, where)


def everywhere() -> Iterator[Text]:
    for path in sorted((REPO / "templates").rglob("*.html")):
        yield from in_template(path.read_text("utf-8"), path.relative_to(REPO).as_posix())
    for path in sorted((REPO / "chat").rglob("*.py")):
        inside = path.relative_to(REPO / "chat")
        if inside.name not in FOR_OPERATORS and inside.parts[0] not in FOLDERS_FOR_OPERATORS:
            yield from in_python(path.read_text("utf-8"), path.relative_to(REPO).as_posix())
    quota = REPO / "chat/store/quota.py"  # which refuses texts of people
    yield from in_python(quota.read_text("utf-8"), "chat/store/quota.py")


def update(catalogue: Catalog) -> Catalog:
    """The same with every text that there is now, and no other. What is new has no translation."""
    kept = Catalog(catalogue.locale)
    kept.mime_headers = [("Plural-Forms", catalogue.plural_forms)]
    for text in everywhere():
        key = (text.one, text.many) if text.many else text.one
        known = catalogue.get(key)
        kept.add(key, known.string if known else None, locations=[(text.where, 0)])
    return kept


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def write(path: Path, catalogue: Catalog) -> None:
    texts = BytesIO()
    write_po(texts, catalogue, width=110, omit_header=True, sort_by_file=True, include_lineno=False)
    head = HEAD.format(language=path.stem, plurals=catalogue.plural_forms)
    path.write_bytes(head.encode() + b"\n" + texts.getvalue())


def missing(catalogue: Catalog) -> list[str]:
    """Texts without a translation, or without one for each plural form."""
    return [texts[0] for texts, forms in translations(catalogue) if not all(forms)]


def translations(catalogue: Catalog) -> Iterator[tuple[list[str], list[str]]]:
    """Each text, perhaps with its plural, and its translation in each form."""
    for message in catalogue:
        if message.id:
            yield _as_list(message.id), _as_list(message.string or "")


def _as_list(text: str | list[str] | tuple[str, ...]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def main() -> None:
    for path in sorted(LOCALES.glob("*.po")):
        catalogue = update(read(path))
        write(path, catalogue)
        print(f"{path.name}: {len(catalogue)} texts, {len(missing(catalogue))} not translated")


if __name__ == "__main__":
    main()
