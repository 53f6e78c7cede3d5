"""HTTP and WebSockets: the only code that knows Quart. Each module adds its addresses to a blueprint."""

from chat.web import (
    act,
    entry,
    errors,
    files,
    help,
    home,
    ignoring,
    leaving,
    message,
    operations,
    own_settings,
    past,
    posting,
    reactions,
    reading,
    room,
    room_acts,
    search,
    stream,
)
from chat.web.requests import pages
from chat.web.socket import sockets

__all__ = [
    "act",
    "entry",
    "errors",
    "files",
    "help",
    "home",
    "ignoring",
    "leaving",
    "message",
    "operations",
    "own_settings",
    "pages",
    "past",
    "posting",
    "reactions",
    "reading",
    "room",
    "room_acts",
    "search",
    "sockets",
    "stream",
]
