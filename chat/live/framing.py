"""Changes of a room joined into frames, each of bounded length."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from chat.store.windows import Part, first_part, weight
from chat.views.messages import RoomMessages, byte_length

FRAME = 64 * 1024  # bytes of a frame; one message may be longer, by itself
LIKELY = FRAME // 4  # bytes of messages that make one frame, unless they are full of links


class Frame(NamedTuple):
    """What a reader has not seen, or the start of it, and the rev it leads to."""

    text: str
    rev: int


def join(rendered: RoomMessages, window: Part, since: int) -> Frame:
    """As much of a window as makes one frame, for those who know everything up to `since`."""
    if sum(map(weight, chain(window.changed, window.created))) <= LIKELY:
        text = _join(rendered, _as_of(window), since)
        if byte_length(text) <= FRAME:
            return Frame(text, window.rev)
    part = frame_part(rendered, window, since)
    return Frame(_join(rendered, part, since), part.rev)


def frame_part(rendered: RoomMessages, window: Part, since: int = 0) -> Part:
    """As much of a window as makes one frame, each message weighed as it is rendered.

    A change is weighed as `RoomMessages.change` has it: with no `since`, as the whole message.
    """
    part = first_part(
        *window,
        FRAME,
        lambda message: byte_length(rendered.message(message)),
        lambda message: byte_length(rendered.change(message, since)),
    )
    return _as_of(part)


def _as_of(part: Part) -> Part:
    """A page says that it has all up to the rev of its last message.

    So one whose last change has yet to come does not say the rev of that.
    """
    for place, message in enumerate(part.created):
        if message.rev > part.rev:
            part.created[place] = replace(message, rev=part.rev)
    return part


def _join(rendered: RoomMessages, part: Part, since: int) -> str:
    """htmx looks up what changes before it appends, so changes of older messages go first."""
    changes = (rendered.change(message, since) for message in part.changed)
    return "".join(chain(changes, map(rendered.message, part.created)))


def websocket_frame(text: str) -> bytes:
    """A text as one unmasked frame (RFC 6455, 5.2); nothing for no text."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload if size else b""
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
