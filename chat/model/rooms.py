"""Rooms, and how far a reader has come in one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple

from chat.model.meta import Meta, no_meta


class Position(NamedTuple):
    """How far a reader has come in a room: every change up to `rev` of this `epoch` is known."""

    epoch: str
    rev: int


@dataclass(frozen=True, slots=True)
class Room:
    code: str
    epoch: str  # changes whenever history may have been rewritten, e.g. restored from a back-up
    opened: int  # ms since 1970, UTC
    meta: Meta = field(default_factory=no_meta, hash=False)


def new_epoch() -> str:
    return secrets.token_hex(4)
