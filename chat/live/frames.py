"""Frames of a page: what is known of one, cut by length, and its texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from chat.model.messages import BODY_TYPED, KEY_LENGTH
from chat.model.quotes import read_reply
from chat.model.receipts import BODIES

KNOWN = frozenset(
    (
        "act",
        "id",
        "version",
        "emoji",
        "on",
        "k",
        "key",
        "life",
        "again",
        "behind",
        "epoch",
        "focus",
        "new",
        "look",
        "outage",
        "acked",
        "since",
        "draft",
        "lines",
    )
)
TOKEN = KEY_LENGTH  # characters of the longest of them
AS_TYPED = 16 * 1024  # characters of a frame's texts that are held as they are

decode_json = json.JSONDecoder().decode  # `json.loads` looks at its arguments first


class Texts:
    """The texts of a frame, each cut. Those of a long frame wait as UTF-8.

    An emoji makes each character of a str four bytes.
    """

    def __init__(self, texts: list[str], replies: Sequence[int] = ()) -> None:
        """`replies` has, for each, the id of the message that it answers, or 0."""
        self._texts: list[str] | list[bytes] = texts
        self._replies = replies
        self.length = sum(map(len, texts))  # characters as they came
        if self.length > AS_TYPED:
            self._texts = [text[: BODY_TYPED + 1].encode(errors="surrogatepass") for text in texts]

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            yield text if isinstance(text, str) else text.decode(errors="surrogatepass")

    def reply(self, place: int) -> int:
        return self._replies[place] if place < len(self._replies) else 0


def parse(raw: str | bytes | None) -> dict[str, Any] | None:
    """What is known of a frame, and nothing else of it; None if it is none.

    `body` is None if it is neither a text nor a list of a page's texts.
    """
    try:
        found = decode_json(raw.decode() if isinstance(raw, bytes) else raw or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    known: dict[str, Any] = {name: _short(value) for name, value in found.items() if name in KNOWN}
    if "body" in found:
        known["body"] = _texts(found["body"], found.get("reply"))
    return known


def _texts(body: object, reply: object) -> Texts | None:
    replies = [read_reply(id) for id in (reply[: BODIES + 1] if isinstance(reply, list) else [reply])]
    if isinstance(body, str):
        return Texts([body], replies)
    if isinstance(body, list) and len(body) <= BODIES and all(isinstance(text, str) for text in body):
        return Texts(body, replies)
    return None


def _short(value: object) -> str | int | None:
    if isinstance(value, str):
        return value[: TOKEN + 1]
    return value if isinstance(value, int) else None
