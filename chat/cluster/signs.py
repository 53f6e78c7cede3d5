"""Signs on their way through Redis: a line "signs NODE CODE CODE …", then the signs as JSON.

Releases that know no signs pass over them: see chat.cluster.publications.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from chat.model.signs import LABEL, Sign

FORMAT = b"signs "  # what such a publication begins with
SIGNS = 256  # of one publication, which so has at most 64 KB
HEED_BYTES = 128 * 1024  # longer ones are not ours


def dump_signs(node: str, signs: Sequence[Sign]) -> str:
    """At most SIGNS of them."""
    codes = dict.fromkeys(sign.code for sign in signs)
    return f"signs {' '.join([node, *codes])}\n{json.dumps(signs, separators=(',', ':'))}"


def load_signs(payload: bytes, node: str, heeds: Callable[[str], bool]) -> list[Sign]:
    """Those of other nodes that are about rooms which this node heeds.

    Raises ValueError or TypeError for what is none.
    """
    if len(payload) > HEED_BYTES:
        raise ValueError("too long")
    head, _, body = payload.partition(b"\n")
    _, sender, *codes = head.decode().split(" ")
    if sender == node or not any(map(heeds, codes)):
        return []
    signs = [_sign(*fields) for fields in json.loads(body)]
    return [sign for sign in signs if heeds(sign.code)]


def _sign(kind: object, code: object, seat: object, label: object) -> Sign:
    if not (isinstance(kind, str) and isinstance(code, str) and isinstance(label, str)):
        raise TypeError("not texts")
    if not isinstance(seat, int) or len(label) > LABEL:
        raise ValueError("not a seat with a name")
    return Sign(kind, code, seat, label)
