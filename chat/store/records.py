"""Rows as the domain's values, and back: the same columns in every database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from chat.model.messages import Message, Previous
from chat.model.notices import Notice
from chat.model.rooms import Position

ESCAPE = "\x1a"  # in texts as they are kept


class Head(NamedTuple):
    """A room's row and how far its log goes."""

    room: int
    epoch: str
    rev: int

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.rev)


def message_of(row: Sequence[Any]) -> Message:
    """The message of a row of `entry`."""
    _, id, rev, at, author, name, mark, body, edited, notice, *before = row
    if notice:
        return Message(
            id, rev, at, None, "", 1, "", kind="notice", notice=load_notice(notice), before=before_of(*before)
        )
    text = decode_text(body)
    return Message(id, rev, at, author, name, mark, text, edited=edited, before=before_of(*before))


def encode_text(body: str) -> str:
    """A text as it is kept: no database likes NUL, and PostgreSQL has no room for it at all."""
    if ESCAPE in body or "\0" in body:
        return body.replace(ESCAPE, f"{ESCAPE}1").replace("\0", f"{ESCAPE}0")
    return body


def decode_text(body: str | None) -> str | None:
    """The text that was kept as `body`."""
    if body and ESCAPE in body:
        return body.replace(f"{ESCAPE}0", "\0").replace(f"{ESCAPE}1", ESCAPE)
    return body


def before_of(author: int | None, at: int | None) -> Previous | None:
    return None if at is None else Previous(author, at)


def dump_notice(notice: Notice | None) -> str | None:
    if notice is None:
        return None
    return json.dumps([notice.verb, notice.names, notice.count, notice.ended], ensure_ascii=False)


def load_notice(text: str) -> Notice:
    verb, names, count, ended = json.loads(text)
    return Notice(verb, tuple(names), count, tuple(ended))
