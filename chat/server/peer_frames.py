"""Frames of a peer as they stand in its bytes: those that the text reader takes."""

from __future__ import annotations

from chat.server import bounds

TEXT, PING, PONG = 0x81, 0x89, 0x8A  # the first byte of such a message in one frame
MASKED, LENGTH = 0x80, 0x7F  # bits of the second byte


def end_of_frame(data: bytes, at: int) -> int:
    """Where the frame that begins at `at` ends, perhaps behind what is there; `at` if it is none for us."""
    size = len(data)
    if data[at] not in (TEXT, PING, PONG):
        return at
    if size - at < 4:
        return size + 1  # nobody knows yet; even an empty frame has a mask
    length = data[at + 1] & LENGTH
    if not data[at + 1] & MASKED:
        return at
    if length < 126:
        return at + 6 + length
    if data[at] != TEXT:
        return at
    length = int.from_bytes(data[at + 2 : at + 4]) if length == 126 else bounds.FAST_TEXT + 1
    return at + 8 + length if 126 <= length <= bounds.FAST_TEXT else at


def payload(data: bytes, at: int, end: int) -> bytes:
    """Of the frame that begins at `at`."""
    start = at + (6 if data[at + 1] & LENGTH < 126 else 8)
    return unmasked(data[start - 4 : start], data[start:end])


def unmasked(mask: bytes, data: bytes) -> bytes:
    size = len(data)
    masks = mask * (size // 4 + 1)
    return (int.from_bytes(data) ^ int.from_bytes(masks[:size])).to_bytes(size)
