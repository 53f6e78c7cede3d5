"""The line "New" on open pages: before the first text that came while nobody was at the page.

It belongs to one page, while frames with messages are the same for all: so it is sent by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chat.live.connection import Connection
from chat.live.framing import websocket_frame
from chat.views.look import Look

SLOT = "new"
MADE = 64  # that are kept: most pages of a room are shown the same

Render = Callable[[str, int, Look], str]  # of a room, for the message that it stands before


class NewLines:
    def __init__(self, render: Render, delivered: Callable[[int, int], None]) -> None:
        self._delivered = delivered
        self._late: dict[Connection, int] = {}  # pages that had yet to take the message

        @lru_cache(MADE)
        def made(code: str, first: int, look: Look) -> tuple[str, bytes]:
            html = render(code, first, look)
            return html, websocket_frame(html)

        self._made = made

    def put(self, connection: Connection, first: int) -> None:
        """Show it before a message and nowhere else, or not at all for 0.

        htmx looks up what a frame changes before it appends anything: the message must be there already.
        If it is not, `put_late` tries again.
        """
        self._late.pop(connection, None)
        if first and not (connection.idle and (connection.cursor or 0) >= first):
            self._late[connection] = first
            return
        html, frame = self._made(connection.member.code, first, connection.look)
        if connection.write_now(frame):
            self._delivered(1, 0)
        else:
            connection.show(SLOT, html)

    def put_late(self) -> None:
        """Show those that could not be shown before."""
        for connection, first in list(self._late.items()):
            self.put(connection, first)

    def leave(self, connection: Connection) -> None:
        """It has ended."""
        self._late.pop(connection, None)
