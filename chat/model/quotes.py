"""What a reply shows of the message that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.model.digits import to_number

START = 400  # characters of a text from which its first words are taken
DIGITS = 15  # of an id


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that another one answers, at its current state; `body` is None if it was deleted."""

    id: int
    author: int | None  # seat number
    name: str
    mark: int
    body: str | None  # the start of its text, and one character more if that is not all
    rev: int = field(default=0, compare=False)  # when this was so


def read_reply(value: object) -> int:
    """The message that a field says a text answers: 0 for none, and -1, which none has, for nonsense."""
    if value is None or value == "":
        return 0
    text = str(value) if type(value) is int else value
    return (to_number(text, DIGITS) if isinstance(text, str) else None) or -1


def start_of(body: str | None) -> str | None:
    return None if body is None else body[: START + 1]
