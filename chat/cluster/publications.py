"""Changes on their way through Redis: a line "1 NODE CODE CODE …", then the changes as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from chat.model.changes import Change
from chat.store.records import dump_change, load_change

PUBLISH_BYTES = 64 * 1024  # of one publication, so that no single one holds Redis up
HEED_BYTES = 1024 * 1024  # longer ones are not ours
FORMAT = "1"  # other releases pass over what they do not know


def dump_publications(node: str, changes: Sequence[Change]) -> Iterator[str]:
    """These changes, in order, as publications of bounded size."""
    codes: dict[str, None] = {}
    lines: list[str] = []
    size = 0
    for change in changes:
        line = dump_change(change)
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


def split_publication(payload: bytes, node: str) -> tuple[list[str], bytes]:
    """The rooms that a publication of another node tells of, and what `load_changes` takes.

    No rooms if it is this node's own. Raises ValueError for what is none.
    """
    if len(payload) > HEED_BYTES:
        raise ValueError("too long")
    line, _, content = payload.partition(b"\n")
    form, sender, *codes = line.decode().split(" ")
    return [] if form != FORMAT or sender == node else codes, content


def load_changes(content: bytes) -> list[Change]:
    """Raises ValueError, TypeError or KeyError for what is none."""
    return [load_change(fields) for fields in json.loads(content)]
