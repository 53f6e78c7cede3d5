"""What a conversation sees of its WebSocket, which the server's package provides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Inbox(Protocol):
    """What has come and nobody has taken. Of a frame nothing is held but what is known of it."""

    on_arrival: Callable[[], None] | None

    def empty(self) -> bool: ...

    async def take(self) -> str | bytes | None: ...

    def take_nowait(self) -> str | bytes | None: ...

    def done(self) -> None: ...


class Taker(Protocol):
    """Takes texts as they arrive at the transport."""

    def take_at_once(self, data: bytes) -> bool:
        """Whether it took the payload of a text."""

    def is_idle(self) -> bool:
        """Whether all that came the ordinary way has been dealt with."""


class TextReader(Protocol):
    def attach(self, taker: Taker) -> None: ...

    def detach(self) -> None: ...

    def hold(self) -> None: ...

    def release(self) -> None: ...


class Socket(Protocol):
    @property
    def inbox(self) -> Inbox: ...

    @property
    def text_reader(self) -> TextReader | None: ...

    @property
    def write_frame(self) -> Callable[[bytes], bool] | None:
        """Takes a framed text if the socket is free, and says whether it did."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: int) -> None: ...
