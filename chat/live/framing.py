"""Changes of a room joined into frames, each of bounded length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from chat.store.windows import Part, first_part, weight
from chat.views.kept import byte_length
from chat.views.look import Look
from chat.views.messages import RenderedMessages, RoomMessages

FRAME = 64 * 1024  # bytes of a frame; one message may be longer, by itself
LIKELY = FRAME // 4  # bytes of messages that make one frame, unless they are full of links


class Frame(NamedTuple):
    """What a reader has not seen, or the start of it, and the rev it leads to.

    Of a message that changed in that time and later again, a start has nothing.
    """

    text: str
    rev: int
    is_all: bool = True


def join(
    rendered: RenderedMessages, code: str, looks: Sequence[Look], window: Part, texts: int
) -> list[Frame]:
    """As much of a window as makes one frame, in each look, for those who have every text up to `texts`."""
    if sum(map(weight, chain(window.changed, window.created))) <= LIKELY:
        joined = _join(rendered, code, looks, _as_of(window), texts)
        if all(byte_length(text) <= FRAME for text in joined):
            return [Frame(text, window.rev) for text in joined]
    parts = [(look, frame_part(rendered.of(code, look), window, texts)) for look in looks]
    return [
        Frame(_join(rendered, code, (look,), part, texts)[0], part.rev, part.rev == window.rev)
        for look, part in parts
    ]


def frame_part(rendered: RoomMessages, window: Part, texts: int = 0) -> Part:
    """As much of a window as makes one frame, each message weighed as it is rendered.

    A change is weighed as `RoomMessages.change` has it: with no `texts`, as the whole message.
    """
    part = first_part(
        *window,
        FRAME,
        lambda message: byte_length(rendered.message(message)),
        lambda message: byte_length(rendered.change(message, texts)),
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


def _join(rendered: RenderedMessages, code: str, looks: Sequence[Look], part: Part, texts: int) -> list[str]:
    """htmx looks up what changes before it appends, so changes of older messages go first."""
    changes = (rendered.changes(looks, code, message, texts) for message in part.changed)
    created = (rendered.messages(looks, code, message) for message in part.created)
    rows = [*changes, *created]
    return ["".join(map(itemgetter(place), rows)) for place in range(len(looks))]


def websocket_frame(text: str) -> bytes:
    """A text as one unmasked frame (RFC 6455, 5.2); nothing for no text."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload if size else b""
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
