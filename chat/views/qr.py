"""Links as pictures for the camera of a phone."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import segno

KEPT = 256  # pictures of 2 KB: each takes 4 ms to make


@lru_cache(KEPT)
def qr_code(link: str) -> bytes:
    """A QR code as SVG, black on white whatever the colours of the page."""
    out = BytesIO()
    segno.make(link, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, omitsize=True, border=4, light="#fff", svgclass=None, lineclass=None
    )
    return out.getvalue()
