"""Hints between processes: "look at this room". They may be dropped, repeated or reordered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from chat.model.changes import Change
from chat.model.signs import Sign

Receive = Callable[[Sequence[Change]], None]
ReceiveSign = Callable[[Sign], object]


class Others(NamedTuple):
    """Rooms that nobody follows here, but somebody has a seat in who is here."""

    concern: Callable[[str], bool]
    changed: Callable[[Iterable[str]], None]


NO_OTHERS = Others(lambda code: False, lambda codes: None)


class Bus(Protocol):
    """Carries changes after their commit. The log is the truth; losing every hint costs only time."""

    def open(
        self,
        receive: Receive,
        on_gap: Callable[[], None],
        on_sign: ReceiveSign = lambda sign: None,
        others: Others = NO_OTHERS,
    ) -> None:
        """Call `receive` in the event loop with changes of watched rooms, `on_gap` when hints may have been
        missed, e.g. after a reconnection, and `on_sign` with what other processes say of those rooms by
        `sign`, and of `others`, of whose changes there it is only told that there are some."""

    async def close(self) -> None: ...

    def watch(self, code: str) -> None: ...

    def unwatch(self, code: str) -> None: ...

    def hears(self, code: str) -> bool:
        """Whether every change of a room is announced here, if hints arrive."""

    def announce(self, changes: Sequence[Change]) -> None:
        """Tell every process, this one too, of committed changes."""

    def sign(self, sign: Sign) -> None:
        """Tell the other processes, unless that is difficult just now."""


class LocalBus:
    """The bus of a single process: a hint is a function call."""

    def __init__(self) -> None:
        self._watched: set[str] = set()
        self._receive: Receive = lambda changes: None

    def open(
        self,
        receive: Receive,
        on_gap: Callable[[], None],
        on_sign: ReceiveSign = lambda sign: None,
        others: Others = NO_OTHERS,
    ) -> None:
        self._receive = receive

    async def close(self) -> None:
        pass

    def watch(self, code: str) -> None:
        self._watched.add(code)

    def unwatch(self, code: str) -> None:
        self._watched.discard(code)

    def hears(self, code: str) -> bool:
        return True  # nobody else writes

    def announce(self, changes: Sequence[Change]) -> None:
        if ours := [change for change in changes if change.code in self._watched]:
            self._receive(ours)

    def sign(self, sign: Sign) -> None:
        pass  # there is nobody else
