"""Changes on their way through Redis: a line "1 NODE CODE CODE …", then the changes as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from chat.model.changes import Change
from chat.model.messages import Message, Previous
from chat.model.notices import Notice
from chat.model.rooms import Position

PUBLISH_BYTES = 64 * 1024  # of one publication, so that no single one holds Redis up
HEED_BYTES = 1024 * 1024  # longer ones are not ours
FORMAT = "1"  # other releases pass over what they do not know


def dump_publications(node: str, changes: Sequence[Change]) -> Iterator[str]:
    """Publications of bounded size that tell of these changes, in order."""
    codes: dict[str, None] = {}
    lines: list[str] = []
    size = 0
    for change in changes:
        line = json.dumps(_fields(change), ensure_ascii=False, separators=(",", ":"))
        if lines and size + len(line.encode()) > PUBLISH_BYTES:
            yield _publication(node, codes, lines)
            codes, lines, size = {}, [], 0
        codes[change.code] = None
        lines.append(line)
        size += len(line.encode())
    if lines:
        yield _publication(node, codes, lines)


def _publication(node: str, codes: dict[str, None], lines: list[str]) -> str:
    return f"{' '.join([FORMAT, node, *codes])}\n[{','.join(lines)}]"


def load_publication(payload: bytes, node: str, watched: set[str]) -> list[Change]:
    """The changes of a publication, unless it is this node's own or of rooms that nobody here watches.

    Raises ValueError, TypeError or KeyError for what is none.
    """
    if len(payload) > HEED_BYTES:
        raise ValueError("too long")
    head, _, body = payload.partition(b"\n")
    form, sender, *codes = head.decode().split(" ")
    if form != FORMAT or sender == node or watched.isdisjoint(codes):
        return []
    return [_change(fields) for fields in json.loads(body)]


def _fields(change: Change) -> list[Any]:
    m, notice = change.message, change.message.notice
    told = notice and [notice.verb, notice.names, notice.count, notice.ended]
    position = [change.code, change.position.epoch, m.rev]
    return [*position, m.id, m.at, m.author, m.name, m.mark, m.body, m.edited, told, m.before]


NONE = type(None)
SHAPE: tuple[type | tuple[type, ...], ...]
SHAPE = (str, str, int, int, int, (int, NONE), str, int, (str, NONE), (int, NONE), (list, NONE), (list, NONE))


def _change(fields: Sequence[Any]) -> Change:
    for value, kind in zip(fields, SHAPE, strict=True):
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError("not a change")
    code, epoch, rev, id, at, author, name, mark, body, edited, told, before = fields
    message = Message(
        id,
        rev,
        at,
        author,
        name,
        mark,
        body,
        kind="notice" if told else "text",
        edited=edited,
        notice=_notice(*told) if told else None,
        before=Previous(*before) if before else None,
    )
    return Change(code, message, Position(epoch, rev))


def _notice(verb: Any, names: Sequence[str], count: int, ended: Sequence[int]) -> Notice:
    if verb not in {"entered", "left", "renamed"} or not isinstance(count, int):
        raise ValueError("not a notice")
    return Notice(verb, tuple(map(str, names)), count, tuple(map(int, ended)))
