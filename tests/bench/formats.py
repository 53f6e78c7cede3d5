"""What formatted texts cost: a page of them beside one of plain texts, and each of them once."""

from __future__ import annotations

import time
from functools import partial

from chat.views.formatted import formatted

from .client import BODY
from .parts import Row
from .servers import Chat, Options, database, profiled, sqlite
from .visits import TEXTS, Visitor, cost

ROUNDS = 200
KINDS = {
    "bold and italic": f"**{BODY[:20]}** and *{BODY[20:]}*",
    "one of each": "**bold** *italic* ~~gone~~ `code` ||hidden|| :tada:",
    "a quote": f"> {BODY}\nand an answer",
    "a list": "to buy:\n- milk\n- **eggs**\n- bread\n- butter",
    "links": "see **https://example.com/a_b** and https://example.com/?q=1&r=2",
    "a few lines of code": "```python\ndef greet(name: str) -> str:\n    return f'Hi {name}'  # twice\n```",
}


async def formats(options: Options) -> list[Row]:
    """w: a page of 50 formatted texts, baseline: of plain ones; and what one text costs once"""
    with database(options) as path, Chat(options, sqlite(path)) as chat, profiled(options, chat, "w"):
        plain, marked = (
            _page(options, chat, name, texts) for name, texts in (("Ann", [BODY]), ("Bob", [*KINDS.values()]))
        )
    once = {kind: _once(text) for kind, text in KINDS.items()}
    dearest = max(once, key=lambda kind: once[kind])
    return [
        Row(f"w CPU: page of {TEXTS} formatted texts", marked, "ms", plain, most=2),
        Row("w once: a plain text", _once(BODY), "µs"),
        Row(f"w once: a formatted text, mean of {len(once)}", sum(once.values()) / len(once), "µs", most=500),
        Row(f"w once: {dearest}, the dearest", once[dearest], "µs", most=500),
    ]


def _page(options: Options, chat: Chat, name: str, texts: list[str]) -> float:
    """ms for the page of a room with such texts, all of which were rendered before."""
    host = Visitor(chat.port)
    code = host.post("/", name=name, create="1").headers["location"].rpartition("/")[2]
    known = host.cookies.copy()
    for number in range(TEXTS):
        host.post(f"/rooms/{code}/messages", body=texts[number % len(texts)], key=f"bench{number}")
        host.cookies = known.copy()  # without the one that says which forms were sent last
    try:
        return cost(chat, options.some(1000), partial(host.get, f"/rooms/{code}"))
    finally:
        host.close()


def _once(text: str) -> float:
    """µs to format it, which is done once for all who read it."""
    times = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(ROUNDS):
            formatted(text)
        times.append(time.process_time() - begun)
    return min(times) / ROUNDS * 1e6


PARTS = {"w": formats}
