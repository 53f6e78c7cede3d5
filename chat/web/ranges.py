"""Parts of a file (RFC 9110, 14): WebKit plays no sound that it cannot ask for in parts."""

from __future__ import annotations

import re

RANGE = re.compile(r"bytes=([0-9]{1,9})-([0-9]{0,9})", re.ASCII)  # all that players ask for
Headers = list[tuple[bytes, bytes]]


def part(headers: Headers, body: bytes, asked: str) -> tuple[int, Headers, bytes]:
    """The status, headers and bytes of the part; the whole if what is asked for is none."""
    headers = [*headers, (b"accept-ranges", b"bytes")]
    found = RANGE.fullmatch(asked)
    first, last = (int(found[1]), int(found[2] or len(body) - 1)) if found else (1, 0)
    last = min(last, len(body) - 1)
    if first > last:
        return 200, headers, body
    some = body[first : last + 1]
    kept = [(name, value) for name, value in headers if name != b"content-length"]
    kept += [(b"content-length", b"%d" % len(some))]
    return 206, [*kept, (b"content-range", b"bytes %d-%d/%d" % (first, last, len(body)))], some
