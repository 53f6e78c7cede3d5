"""How much of a room's log is read, or sent, at once: a window is cut where it would take too many bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from chat.model.messages import Message

ENTRY = 400  # bytes that a message takes in memory besides its text, about; and its markup in a page
META = 4  # bytes that a character of a meta takes in memory, about: its values are small
QUOTED = 300  # bytes in memory of what a message answers besides its first words, and in a page, about
UNBOUNDED = sys.maxsize


class Part(NamedTuple):
    """The start of a window: `changed` older messages, `created` ones, and the rev it leads to."""

    changed: list[Message]
    created: list[Message]
    rev: int


def weight(message: Message) -> int:
    """What a message takes in memory: a text with one emoji takes four bytes a character."""
    meta = META * len(str(message.meta)) if message.meta else 0
    quoted = QUOTED + sys.getsizeof(message.quoted.body) if message.quoted else 0
    return sys.getsizeof(message.body) + ENTRY + meta + quoted


def first_part(
    changed: Sequence[Message],
    created: Sequence[Message],
    end: int,
    most: int,
    weigh: Callable[[Message], int] = weight,
    weigh_changed: Callable[[Message], int] = weight,
) -> Part:
    """As much of a window that leads to `end` as weighs at most `most`, but at least one message.

    A message is due at the rev that created it or, if it is older than the window, at its last change. So a
    part holds all that is due up to where it leads, and the next one neither misses nor repeats a creation.
    """
    due = [(message.rev, message, weigh_changed) for message in changed]
    due += [(message.id, message, weigh) for message in created]
    due.sort(key=lambda entry: entry[0])
    total = 0
    for place, (rev, message, weighed) in enumerate(due):
        total += weighed(message)
        if total > most and place:
            return until(changed, created, rev - 1)
    return Part(list(changed), list(created), end)


def until(changed: Iterable[Message], created: Iterable[Message], end: int) -> Part:
    """What of a window is due up to `end`."""
    return Part([m for m in changed if m.rev <= end], [m for m in created if m.id <= end], end)


def oldest(messages: Sequence[Message], most: int) -> Sequence[Message]:
    """As many of the first ones as weigh at most `most`, but at least one."""
    total = 0
    for place, message in enumerate(messages):
        total += weight(message)
        if total > most and place:
            return messages[:place]
    return messages


def newest(messages: Sequence[Message], most: int) -> Sequence[Message]:
    """As many of the last ones as weigh at most `most`, but at least one."""
    total = 0
    for place in range(len(messages) - 1, -1, -1):
        total += weight(messages[place])
        if total > most and place < len(messages) - 1:
            return messages[place + 1 :]
    return messages
