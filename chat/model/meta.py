"""What is kept with a message, a member or a room besides its columns: JSON values under names of features.

A release passes over names that it does not know, and keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Meta = Mapping[str, Any]
NO_META: Meta = MappingProxyType({})


def no_meta() -> Meta:
    return NO_META


def frozen(value: Any) -> Any:
    """A JSON value that nobody can change: it is shared by all who read it."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def with_meta(meta: Meta, **values: Any) -> Meta:
    """The same with these values, but without the names whose value is None."""
    gone = {name for name, value in values.items() if value is None}
    kept: Meta = frozen({name: value for name, value in {**meta, **values}.items() if name not in gone})
    return kept


def seats_in(meta: Meta, name: str) -> tuple[int, ...]:
    """The seats that a meta has under this name: whatever else a newer release made of it is none."""
    seats = meta.get(name)
    return tuple(filter(_is_seat, seats)) if isinstance(seats, tuple) else ()


def _is_seat(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
