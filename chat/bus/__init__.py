"""Hints between processes: "look at this room". They may be dropped, repeated or reordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from chat.rooms import Change

if TYPE_CHECKING:
    from chat.nodes import Redis


class Bus(Protocol):
    """Carries changes after their commit. The log is the truth; losing every hint costs only time."""

    heard: Callable[[Sequence[Change]], None]
    """Called in the event loop with changes of watched rooms. Set it before `open`."""
    lost: Callable[[], None]
    """Called when hints may have been missed, e.g. after a reconnection."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def watch(self, code: str) -> None: ...

    def unwatch(self, code: str) -> None: ...

    def announce(self, changes: Sequence[Change]) -> None:
        """Tell every process, this one too, of committed changes."""


def bus_for(
    redis: Redis | None,
    hinted: Callable[[str, int], None] = lambda way, changes: None,
    interrupted: Callable[[], None] = lambda: None,
) -> Bus:
    """The bus that goes with CHAT_REDIS_URL. `hinted` counts changes by what became of them; `interrupted`,
    the times when hints stopped coming."""
    if redis is None:
        from chat.bus.local import LocalBus

        return LocalBus()
    from chat.bus.redis import RedisBus

    return RedisBus(redis, hinted=hinted, interrupted=interrupted)
