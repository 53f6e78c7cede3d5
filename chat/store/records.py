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
from chat.model.quotes import Quoted, start_of
from chat.model.rooms import Position, Room
from chat.store.queries import LARGEST

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
    id, rev, at, author, name, mark, body, kind, meta, before_author, before_at, *quoted = row
    before, said = before_of(before_author, before_at), decode_text(body)
    return Message(
        *(id, rev, at, author, name or "", mark or 1, said, kind, load_meta(meta), before),
        quoted=_quoted_of(*quoted) if quoted else None,
    )


def _quoted_of(
    id: int | None, rev: int | None, author: int | None, name: str | None, mark: int | None, body: str | None
) -> Quoted | None:
    """None if the message is no reply, or what it answers is no longer kept."""
    if id is None or rev is None:
        return None
    return Quoted(id, author, name or "", mark or 1, start_of(decode_text(body)), rev)


def dump_message(message: Message) -> list[Any]:
    """The row that `message_of` takes, but for what the message answers."""
    m = message
    before = m.before or (None, None)
    text = None if m.body is None else encode_text(m.body)
    return [m.id, m.rev, m.at, m.author, m.name, m.mark, text, m.kind, dump_meta(m.meta), *before]


def _dump_quoted(quoted: Quoted | None) -> list[Any] | None:
    if quoted is None:
        return None
    q, text = quoted, None if quoted.body is None else encode_text(quoted.body)
    return [q.id, q.rev, q.author, q.name, q.mark, text]


def columns(room: int, message: Message, body: Any) -> tuple[Any, ...]:
    """The row that `Dialect.insert` takes; `body` is the text, or what refers to it."""
    m = message
    before = m.before or (None, None)
    return room, m.id, m.rev, m.at, m.author, m.kind, body, *before, dump_meta(m.meta), reply_of(m.meta)


def is_storable(*numbers: int) -> bool:
    return all(abs(n) <= LARGEST for n in numbers)


def reply_of(meta: Meta) -> int | None:
    """The id of the message that one with this meta answers."""
    id = meta.get("reply")
    return id if type(id) is int and 0 < id <= LARGEST else None


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
    message, quoted = dump_message(change.message), _dump_quoted(change.message.quoted)
    fields = [change.code, change.position.epoch, change.position.rev, *message, quoted]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


NONE = type(None)
CHANGE: tuple[type | tuple[type, ...], ...] = (
    *(str, str, int),  # code, epoch, rev
    *(int, int, int, (int, NONE), str, int),  # id, rev, at, author, name, mark
    *((str, NONE), str, (str, NONE)),  # body, kind, meta
    *((int, NONE), (int, NONE)),  # before_author, before_at
    (list, NONE),  # what it answers
)
QUOTED = int, int, (int, NONE), str, int, (str, NONE)  # id, rev, author, name, mark, body


def load_change(fields: Sequence[Any]) -> Change:
    """The change of what `dump_change` said. Raises ValueError or TypeError for what is none."""
    _check(fields, CHANGE)
    code, epoch, rev, *row, quoted = fields[: len(CHANGE)]
    _check(quoted or (), QUOTED)
    return Change(code, message_of([*row, *(quoted or ())[: len(QUOTED)]]), Position(epoch, rev))


def _check(fields: Sequence[Any], kinds: Sequence[type | tuple[type, ...]]) -> None:
    for value, kind in zip(fields, kinds, strict=False):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError("not a change")
