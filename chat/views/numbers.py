"""Numbers of what is unread."""

from __future__ import annotations

from chat.store.my_rooms import COUNTED


def counted(unread: int) -> str:
    return str(unread) if unread < COUNTED else f"{COUNTED - 1}+"
