"""Code in colours: each piece of it with a class of static/text.css."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, String, _TokenType

LINES = 200  # of code that get colours; more are shown without
COLUMNS = 200  # characters of a line that gets colours
TOKENS = 1_500  # of a code; what is behind them gets none, so that this takes 50 ms at most
# What people call a language, by what Pygments calls it. Each lexer was tried with hostile code: those of
# Java and Rust take time in the square of its length.
NAMES = {
    "python": "py python3",
    "pycon": "",
    "javascript": "js jsx node",
    "typescript": "ts tsx",
    "json": "",
    "html": "htm",
    "xml": "svg",
    "css": "",
    "scss": "",
    "bash": "sh shell zsh",
    "console": "",
    "sql": "",
    "yaml": "yml",
    "toml": "",
    "ini": "cfg conf",
    "diff": "patch",
    "kotlin": "kt",
    "c": "h",
    "cpp": "c++ cc hpp",
    "csharp": "cs c#",
    "go": "golang",
    "ruby": "rb",
    "swift": "",
}
LANGUAGES = {name: lexer for lexer, names in NAMES.items() for name in (lexer, *names.split())}
COLOURS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "c"),
    (Keyword, "k"),
    (Number, "n"),
    (String, "s"),
    (Literal, "s"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Decorator, "f"),
    (Name.Tag, "k"),
    (Name.Attribute, "f"),
    (Name.Builtin, "y"),
    (Name.Exception, "y"),
    (Generic.Inserted, "i"),
    (Generic.Deleted, "d"),
)

Piece = tuple[str, str]  # a class, or none, and what is shown


def highlighted(code: str, language: str) -> list[Piece]:
    """All of the code, in pieces; in one if its language is not known, or it is long."""
    lexer = LANGUAGES.get(language.lower())
    lines = code.split("\n")
    if lexer is None or len(lines) > LINES or max(map(len, lines)) > COLUMNS:
        return [("", code)]
    tokens = get_lexer_by_name(lexer, stripnl=False, ensurenl=False).get_tokens(code)
    pieces = list(_pieces(islice(tokens, TOKENS)))
    shown = "".join(text for _, text in pieces)
    return [*pieces, ("", code[len(shown) :])] if code.startswith(shown) else [("", code)]


def _pieces(tokens: Iterable[tuple[_TokenType, str]]) -> Iterator[Piece]:
    """Neighbours of one class are one piece."""
    last, texts = "", [""]
    for kind, text in tokens:
        name = _class(kind) if text.strip() else last
        if name != last:
            yield last, "".join(texts)
            last, texts = name, []
        texts.append(text)
    yield last, "".join(texts)


def _class(kind: _TokenType) -> str:
    return next((name for parent, name in COLOURS if kind in parent), "")
