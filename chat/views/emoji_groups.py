"""The emoji to choose from, a static file for each group: the same for every message and reader.

They are named by themselves: a screen reader says each in its own language. The title is for eyes.
"""

from __future__ import annotations

from html import escape

from chat.model.emoji import emoji_groups, names_of_emoji


def group_html(group: int) -> str:
    """Its emoji as buttons of the form in which they stand. Raises IndexError."""
    return "".join(
        f"<button name=emoji value={emoji}{_title(emoji)}>{emoji}</button>\n"
        for emoji in emoji_groups()[group]
    )


def emoji_files() -> dict[str, bytes]:
    """By name. Radios: one Tab stop for the whole group, in a form that is sent by htmx."""
    return {f"emoji-{n}.html": _radios(group).encode() for n, group in enumerate(emoji_groups())}


def _radios(group: tuple[str, ...]) -> str:
    return "".join(
        f"<label{_title(emoji)}><input type=radio name=emoji value={emoji}>{emoji}</label>\n"
        for emoji in group
    )


def _title(emoji: str) -> str:
    return f' title="{escape(names_of_emoji().get(emoji, ""))}"'
