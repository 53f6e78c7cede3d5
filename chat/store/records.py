"""Values as rows and as JSON, and back: what every database, the bus and a copy of a store have in common.

A kind of message, or a name in a meta, that this release does not know comes back as it was: a newer release
may have written it, and nodes are replaced one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Message, Previous
from chat.model.meta import NO_META, Meta, frozen
from chat.model.rooms import Position, Room

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
    """The message of a row of `entry`, but for the room that this begins with."""
    id, rev, at, author, name, mark, body, kind, meta, before_author, before_at = row
    before = before_of(before_author, before_at)
    return Message(
        id, rev, at, author, name or "", mark or 1, decode_text(body), kind, load_meta(meta), before
    )


def dump_message(message: Message) -> list[Any]:
    """The row that `message_of` takes."""
    m = message
    before = m.before or (None, None)
    text = None if m.body is None else encode_text(m.body)
    return [m.id, m.rev, m.at, m.author, m.name, m.mark, text, m.kind, dump_meta(m.meta), *before]


def columns(room: int, message: Message, body: Any) -> tuple[Any, ...]:
    """The row that `Dialect.insert` takes; `body` is the text, or what refers to it."""
    m = message
    before = m.before or (None, None)
    return room, m.id, m.rev, m.at, m.author, m.kind, body, *before, dump_meta(m.meta)


def load_member(row: Sequence[Any]) -> Member:
    """The member of a row: code, number, person, name, mark, meta."""
    code, number, person, name, mark, meta = row
    return Member(code, number, person, name, mark, load_meta(meta))


def load_room(row: Sequence[Any]) -> Room:
    """The room of a row: code, epoch, opened, meta."""
    code, epoch, opened, meta = row
    return Room(code, epoch, opened, load_meta(meta))


def before_of(author: int | None, at: int | None) -> Previous | None:
    return None if at is None else Previous(author, at)


def load_meta(text: str | None) -> Meta:
    """Raises ValueError or TypeError for what is none."""
    if not text:
        return NO_META
    meta = frozen(json.loads(text))
    if not isinstance(meta, Mapping):
        raise TypeError("not a meta")
    return meta


def dump_meta(meta: Meta) -> str | None:
    return json.dumps(meta, default=dict, ensure_ascii=False, separators=(",", ":")) if meta else None


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


def dump_change(change: Change) -> str:
    """A change as JSON; a reader passes over what a newer release adds at its end."""
    fields = [change.code, change.position.epoch, change.position.rev, *dump_message(change.message)]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


NONE = type(None)
CHANGE: tuple[type | tuple[type, ...], ...] = (
    *(str, str, int),  # code, epoch, rev
    *(int, int, int, (int, NONE), str, int),  # id, rev, at, author, name, mark
    *((str, NONE), str, (str, NONE)),  # body, kind, meta
    *((int, NONE), (int, NONE)),  # before_author, before_at
)


def load_change(fields: Sequence[Any]) -> Change:
    """The change of what `dump_change` said. Raises ValueError or TypeError for what is none."""
    for value, kind in zip(fields, CHANGE, strict=False):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError("not a change")
    code, epoch, rev, *row = fields[: len(CHANGE)]
    return Change(code, message_of(row), Position(epoch, rev))
