"""What is shown besides messages, the newest of each: slots of one page, panels of a whole room."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from chat.views.look import Look, Render, once_a_language

SLOTS = 256  # of one page; far more than one frame of texts can have refused
SLOT_BYTES = 1024 * 1024  # of a page's fragments as Python holds them
PANELS = 16  # of one room
PANEL_BYTES = 256 * 1024  # of a room's panels in one language as Python holds them


class Slots:
    """Fragments for one page, in the order in which their slots were filled."""

    __slots__ = ("_bytes", "_fragments")

    def __init__(self) -> None:
        self._fragments: dict[str, str] = {}
        self._bytes = 0

    def __contains__(self, slot: str) -> bool:
        return slot in self._fragments

    def __len__(self) -> int:
        return len(self._fragments)

    @property
    def is_full(self) -> bool:
        return len(self._fragments) >= SLOTS or self._bytes >= SLOT_BYTES

    @property
    def text(self) -> str:
        return "".join(self._fragments.values())

    def show(self, slot: str, fragment: str) -> None:
        if (old := self._fragments.get(slot)) is not None:
            self._bytes -= sys.getsizeof(old)
        self._fragments[slot] = fragment
        self._bytes += sys.getsizeof(fragment)

    def take(self) -> dict[str, str]:
        taken, self._fragments, self._bytes = self._fragments, {}, 0
        return taken


class Panels:
    """Parts of the page that are the same for everybody of one language in a room, such as the roster.

    They show no times: each would have to be rendered, and kept, for every zone that somebody is in.
    """

    def __init__(self) -> None:
        self.version = 0
        self._shown: dict[str, tuple[int, Render]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._shown

    def show(self, name: str, render: Render, looks: Iterable[Look]) -> None:
        """`looks` are those of the people here: in their languages it is rendered now, in others later.

        Raises ValueError if it is too much: whatever people can make grow has a bound of its own.
        """
        shown = self._shown | {name: (self.version + 1, once_a_language(render))}
        languages = {look.words for look in looks}
        if len(shown) > PANELS or any(_size(shown.values(), look) > PANEL_BYTES for look in languages):
            raise ValueError(f"The panel {name} does not fit.")
        self.version += 1
        self._shown = shown

    def since(self, version: int, look: Look) -> str:
        """Those that were shown after `version`."""
        return "".join(render(look) for shown, render in self._shown.values() if shown > version)


def _size(panels: Iterable[tuple[int, Render]], look: Look) -> int:
    return sum(sys.getsizeof(render(look)) for _, render in panels)
