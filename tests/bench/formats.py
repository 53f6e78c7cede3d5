"""What pages of formatted texts, replies and reactions cost beside one of plain texts, and each text once."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from chat.views.formatted import formatted

from .client import BODY
from .parts import Row
from .servers import Chat, Options, database, profiled, sqlite
from .visits import TEXTS, Visitor, cost

ROUNDS = 200
TURNS = 4
EMOJI = ("👍", "❤️", "🎉")
KINDS = {
    "bold and italic": f"**{BODY[:20]}** and *{BODY[20:]}*",
    "one of each": "**bold** *italic* ~~gone~~ `code` ||hidden|| :tada:",
    "a quote": f"> {BODY}\nand an answer",
    "a list": "to buy:\n- milk\n- **eggs**\n- bread\n- butter",
    "links": "see **https://example.com/a_b** and https://example.com/?q=1&r=2",
    "a few lines of code": "```python\ndef greet(name: str) -> str:\n    return f'Hi {name}'  # twice\n```",
    "names": "@Ann Lee, @bob and @all: **please** look; or write to @someone at help@example.com",
}


async def formats(options: Options) -> list[Row]:
    """w: a page of 50 formatted texts, one of replies with reactions, beside plain ones; one text once"""
    with database(options) as path, Chat(options, sqlite(path)) as chat, profiled(options, chat, "w"):
        rooms = [_Room(chat, [BODY]), _Room(chat, [*KINDS.values()]), _Room(chat, [*KINDS.values()])]
        rooms[2].reply()
        rooms[2].react()
        plain, marked, full = _in_turns(chat, rooms, options.some(1000))
    once = {kind: _once(text) for kind, text in KINDS.items()}
    dearest = max(once, key=lambda kind: once[kind])
    return [
        Row(f"w CPU: page of {TEXTS} formatted texts", marked, "ms", plain, most=2),
        Row(f"w CPU: … of such replies, {len(EMOJI)} reactions each", full, "ms", plain, most=2),
        Row("w once: a plain text", _once(BODY), "µs"),
        Row(f"w once: a formatted text, mean of {len(once)}", sum(once.values()) / len(once), "µs", most=500),
        Row(f"w once: {dearest}, the dearest", once[dearest], "µs", most=500),
        Row("w once: names", once["names"], "µs", most=500),
    ]


class _Room:
    """Its one member writes a page of texts."""

    def __init__(self, chat: Chat, texts: Sequence[str]) -> None:
        self._host = Visitor(chat.port)
        self._at = self._host.post("/", name="Ann", create="1").headers["location"]
        self._known = self._host.cookies.copy()
        self._texts = texts
        for number in range(TEXTS):
            self._write(number)

    def _write(self, number: int, **fields: str) -> None:
        body = self._texts[number % len(self._texts)]
        self._post("messages", body=body, key=f"{number} {fields}", **fields)

    def _post(self, path: str, **form: str) -> None:
        answer = self._host.post(f"{self._at}/{path}", **form)
        assert answer.status == 303, answer.body
        self._host.cookies = self._known.copy()  # without the one that says which forms were sent last

    def reply(self) -> None:
        """Each of its texts is answered by one, and those are its page from now on."""
        for number, id in enumerate(self._ids()):
            self._write(number, reply=id)

    def react(self) -> None:
        for id in self._ids():
            for emoji in EMOJI:
                self._post(f"{id}/reactions", emoji=emoji, on="1")

    def _ids(self) -> list[str]:
        ids = re.findall(r'<li id="?message-(\d+)', self.get())
        assert len(ids) == TEXTS
        return ids

    def get(self) -> str:
        return self._host.get(self._at).body.decode()


def _in_turns(chat: Chat, rooms: Sequence[_Room], times: int) -> list[float]:
    """ms for the page of each, all of whose texts were rendered before."""
    costs = [[cost(chat, times // TURNS, room.get) for room in rooms] for _ in range(TURNS)]
    return [sum(of_room) / TURNS for of_room in zip(*costs, strict=True)]


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
