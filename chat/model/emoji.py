"""Which texts are one emoji, and what emoji are called: Unicode's own table."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

LONGEST = 16  # characters; no emoji has more than ten
AS_PICTURE = "\ufe0f"  # keyboards leave it out at will


def one_emoji(text: str) -> str | None:
    """The emoji that a text is, as Unicode writes it in full; None if it is anything else."""
    return None if len(text) > LONGEST else _table().get(text.replace(AS_PICTURE, ""))


@cache
def _table() -> dict[str, str]:
    lines = (files(__package__) / "emoji.txt").read_text("utf-8").splitlines()
    found = (emoji for line in lines if not line.startswith("# ") for emoji in line.split(" "))
    return {emoji.replace(AS_PICTURE, ""): emoji for emoji in found}


def emoji_named(name: str) -> str | None:
    """The emoji that Unicode or other chats call by this name, with "_" for spaces."""
    return _names().get(name.lower())


@cache
def _names() -> dict[str, str]:
    lines = (files(__package__) / "emoji_names.txt").read_text("utf-8").splitlines()
    rows = (line.split(" ") for line in lines if not line.startswith("# "))
    return {name: emoji for emoji, *names in rows for name in names}
