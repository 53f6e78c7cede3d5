"""The emoji to choose from, a static file for each group: the same for every message and reader."""

from __future__ import annotations

from html import escape

from chat.model.emoji import emoji_groups, names_of_emoji


def group_html(group: int) -> str:
    """Its emoji as buttons of the form in which they stand. Raises IndexError.

    They are named by themselves: a screen reader says each in its own language. The title is for eyes.
    """
    names = names_of_emoji()
    return "".join(
        f'<button name=emoji value={emoji} title="{escape(names.get(emoji, ""))}">{emoji}</button>\n'
        for emoji in emoji_groups()[group]
    )


def emoji_files() -> dict[str, bytes]:
    """By name."""
    return {f"emoji-{group}.html": group_html(group).encode() for group in range(len(emoji_groups()))}
