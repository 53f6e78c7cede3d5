"""A WebSocket that was accepted, without the request that it began with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chat.server.inbox import Inbox
from chat.server.text_reader import TextReader

Conversation = Callable[["Socket"], Awaitable[None]]


class Socket:
    """What a conversation needs of a WebSocket for as long as it is open."""

    __slots__ = ("_send", "inbox", "text_reader", "write_frame")

    def __init__(self, scope: Any, inbox: Inbox, send: Callable[[Any], Awaitable[None]]) -> None:
        self.inbox = inbox
        self.text_reader: TextReader | None = scope.get("chat.text_reader")
        self.write_frame: Callable[[bytes], bool] | None = scope.get("chat.fast_path")
        self._send = send

    async def send(self, text: str) -> None:
        await asyncio.sleep(0)  # a peer that sends without end gives way to the others
        await self._send({"type": "websocket.send", "bytes": None, "text": text})

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": ""})
