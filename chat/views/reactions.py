"""Who reacted to a message, and the page to choose another emoji from without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from chat.model.members import Member
from chat.model.messages import Message
from chat.views.emoji_groups import group_html
from chat.views.engine import Engine
from chat.views.reader import Reader

NAMED = 100  # people whose names are shown for each emoji


class Reacted(NamedTuple):
    """Those who gave an emoji: some of them, and how many more."""

    emoji: str
    people: Sequence[Member]
    more: int


def reacted(given: Mapping[str, Sequence[int]], people: Mapping[int, Member]) -> list[Reacted]:
    """`people` are the members with these seats."""
    return [
        Reacted(emoji, [people[seat] for seat in seats[:NAMED] if seat in people], max(0, len(seats) - NAMED))
        for emoji, seats in given.items()
    ]


class ReactionPages:
    def __init__(self, engine: Engine) -> None:
        self._page = engine.page

    def choose(self, member: Member, message: Message, group: int, reader: Reader) -> str:
        """Raises IndexError where there is no such group."""
        emoji = Markup(group_html(group))  # noqa: S704
        values = {"code": member.code, "message": message, "group": group, "emoji": emoji}
        return self._page("reactions/page.html", reader, **values)
