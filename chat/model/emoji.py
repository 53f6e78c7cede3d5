"""Which texts are emoji, and what emoji are called: Unicode's own table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

LONGEST = 16  # characters; no emoji has more than ten
A_FEW = 12  # emoji without anything else, and then
SHORT = A_FEW * LONGEST  # characters at most
AS_PICTURE = "\ufe0f"  # keyboards leave it out at will
TONES = frozenset("🏻🏼🏽🏾🏿")  # of skin
GROUP = "# group: "


def one_emoji(text: str) -> str | None:
    """The emoji that a text is, as Unicode writes it in full; None if it is anything else."""
    return None if len(text) > LONGEST else _table().get(text.replace(AS_PICTURE, ""))


def is_a_few_emoji(text: str) -> bool:
    """Whether a text is nothing else, blanks between them aside."""
    if text.isascii() or len(text) > SHORT or text[:1] not in _first_characters():
        return False
    rest = "".join(text.replace(AS_PICTURE, "").split())
    for _ in range(A_FEW):
        rest = rest[_length_of_first(rest) :]
        if not rest:
            return True
    return False


def _length_of_first(text: str) -> int:
    """How many characters of a text are its first emoji, if it begins with one."""
    return next((n for n in range(min(LONGEST, len(text)), 0, -1) if text[:n] in _table()), 0)


@cache
def _first_characters() -> frozenset[str]:
    return frozenset(emoji[0] for emoji in _table())


@cache
def _table() -> dict[str, str]:
    found = (emoji for line in _lines("emoji.txt") for emoji in line.split(" "))
    return {emoji.replace(AS_PICTURE, ""): emoji for emoji in found}


@cache
def emoji_groups() -> tuple[tuple[str, ...], ...]:
    """All of them by Unicode's groups and in its order; those with a skin tone are left out."""
    parts = _read("emoji.txt").split(GROUP)[1:]
    groups = (part.partition("\n")[2].split() for part in parts)
    return tuple(tuple(emoji for emoji in group if TONES.isdisjoint(emoji)) for group in groups)


@cache
def names_of_emoji() -> dict[str, str]:
    """The short name in English of each that has no skin tone."""
    return {emoji: names[0].replace("_", " ") for emoji, *names in _named()}


def emoji_named(name: str) -> str | None:
    """The emoji that Unicode or other chats call by this name, with "_" for spaces."""
    return _names().get(name.lower())


@cache
def _names() -> dict[str, str]:
    return {name: emoji for emoji, *names in _named() for name in names}


def _named() -> Iterator[list[str]]:
    """Each emoji, followed by its names."""
    return (line.split(" ") for line in _lines("emoji_names.txt"))


def _lines(name: str) -> Iterator[str]:
    return (line for line in _read(name).splitlines() if not line.startswith("# "))


def _read(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
