"""What the log has, and whether every page says the same: acknowledged is there once, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import calls
from shown import messages_of

from chat.model.messages import Message
from chat.model.notices import Verb
from chat.model.rooms import Position
from chat.store.postgres.store import PostgresStore
from chat.store.read_positions import read_up_to

from .tab import Line, Tab, line, look, plain


@dataclass
class Tally:
    """The figures of one test; `complaints` say what was wrong."""

    rounds: int = 0
    acknowledged: int = 0
    acts: int = 0  # edits, deletions, reactions
    replies: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    slowest: float = 0.0  # s from a text's being acknowledged to its being seen by the last one
    complaints: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another room's figures in."""
        self.rounds += other.rounds
        self.acknowledged += other.acknowledged
        self.acts += other.acts
        self.replies += other.replies
        self.lost += other.lost
        self.doubled += other.doubled
        self.reordered += other.reordered

    def lose(self, what: str) -> None:
        self.lost += 1
        self.complaints.append(f"lost: {what}")

    def double(self, what: str) -> None:
        self.doubled += 1
        self.complaints.append(f"doubled: {what}")

    def reorder(self, what: str) -> None:
        self.reordered += 1
        self.complaints.append(f"out of order: {what}")

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, {self.acknowledged} messages acknowledged, {self.acts} acts, "
            f"{self.replies} replies, {self.lost} lost, "
            f"{self.doubled} doubled, {self.reordered} out of order"
            + (f", seen by all within {self.slowest:.1f} s" if self.slowest else "")
        )


async def pages(port: int, code: str, cookie: str) -> list[Line]:
    """The whole history as a person reads it who scrolls to the start."""
    part = await look(port, f"/rooms/{code}", cookie)
    lines = [line(item) for item in messages_of(part)]
    while link := part.all("#older a"):
        part = await look(port, link[0]["hx-get"], cookie)
        lines[:0] = [line(item) for item in messages_of(part)]
    return lines


class New(NamedTuple):
    """What is new to somebody by the log: up to where they have read, how much is, and the first of it."""

    read: int
    number: int
    first: int

    def is_shown(self, shown: Iterable[tuple[int, int]], said: int) -> bool:
        return self.read >= said and all(new == (self.number, self.first) for new in shown)


async def unread(database: str, code: str) -> dict[str, New]:
    """By name: counted here, from the whole history, and not by the question that home asks."""
    messages = await logged(database, code)
    store = PostgresStore(database)
    await store.open()
    try:
        people = {one.number: one.name for one in await calls.present(store, code)}
        found = {number: await store.read(read_up_to, code, number) for number in people}
    finally:
        await store.close()
    new = {n: [m.id for m in messages if m.id > found[n] and m.body and m.author != n] for n in people}
    return {name: New(found[n], len(new[n]), new[n][0] if new[n] else 0) for n, name in people.items()}


async def new_to(port: int, tab: Tab) -> tuple[int, int]:
    """How much a fresh page and home say is new to somebody, and at which message the line of that stands."""
    items = (await look(port, f"/rooms/{tab.code}", tab.cookie)).all("#messages li")
    place = next((n for n, item in enumerate(items) if "new" in item.classes), None)
    badges = (await look(port, "/", tab.cookie)).all("#rooms .badge")
    home = int(badges[0].words.split()[0]) if badges else 0
    if place is None:
        return home, 0
    agrees = items[place].words.startswith(f"{home} new message")
    return home, int(items[place + 1].id.removeprefix("message-")) if agrees else -1


async def logged(database: str, code: str) -> list[Message]:
    """The whole history as the store has it, which is also what its changes lead to."""
    store = PostgresStore(database)
    await store.open()
    try:
        while True:  # until nobody came or left meanwhile
            head = await _head(store, code)
            messages, replayed = await _history(store, code), await _replayed(store, code, head)
            if await _head(store, code) == head:
                assert replayed == messages
                return messages
    finally:
        await store.close()


async def _head(store: PostgresStore, code: str) -> Position:
    return (await calls.heads(store, [code]))[code]


async def _history(store: PostgresStore, code: str) -> list[Message]:
    page = await calls.history(store, code)
    messages = list(page.messages)
    while page.more:
        page = await calls.history(store, code, messages[0].id)
        messages[:0] = page.messages
    return messages


async def _replayed(store: PostgresStore, code: str, head: Position) -> list[Message]:
    position, found = Position(head.epoch, 0), dict[int, Message]()
    while position.rev < head.rev:
        window = await calls.changes(store, code, position, 50)
        found |= {message.id: message for message in (*window.changed, *window.created)}
        position = window.position
    return [found[id] for id in sorted(found)]


def told(messages: Iterable[Message], *verbs: Verb) -> int:
    """How many people the notices say have done one of these."""
    parts = [part for m in messages if m.notice for part in m.notice.parts]
    return sum(part.count for part in parts if part.verb in verbs)


def examine(
    tally: Tally,
    messages: Sequence[Message],
    shown: Sequence[Line],
    tabs: Sequence[Tab],
    gone: Sequence[Tab] = (),
) -> None:
    """`messages` is what the store has, `shown` what the pages have; everybody has come to rest."""
    everybody = [*tabs, *gone]
    texts = [m.body for m in messages if m.body]
    assert [m.id for m in messages] == [item.id for item in shown], "the pages show another history"
    assert texts == [item.text for item in shown if item.text is not None], "the pages show other texts"
    tally.acknowledged = sum(len(tab.acknowledged) for tab in everybody)
    tally.acts = sum(tab.acts for tab in everybody)
    tally.replies = sum(message.quoted is not None for message in messages)
    _examine_texts(tally, list(map(plain, texts)), everybody)
    for tab in tabs:
        _examine_tab(tally, shown, tab)


def _examine_texts(tally: Tally, texts: Sequence[str], tabs: Sequence[Tab]) -> None:
    count = Counter(texts)
    for text in count:
        if count[text] > 1:
            tally.double(f"{text} is in the log {count[text]} times")
    for tab in tabs:
        for text in tab.acknowledged:
            if not count[text] and text not in tab.deleted:
                tally.lose(f"{text} was acknowledged")
        own = [text for text in texts if text.startswith(f"{tab.name} ")]
        wanted = [text for text in tab.typed if text in count]
        if list(dict.fromkeys(own)) != wanted:
            tally.reorder(f"{tab.name} typed {_difference(wanted, own)}")
    if strangers := set(count) - {text for tab in tabs for text in tab.typed}:
        tally.complaints.append(f"nobody typed {sorted(strangers)}")


def _examine_tab(tally: Tally, shown: Sequence[Line], tab: Tab) -> None:
    """From its first line on, a page has to look like the log."""
    for fault in tab.faults:
        tally.double(f"{tab.name}: {fault}")
    ids = [item.id for item in tab.lines]
    for id, times in Counter(ids).items():
        if times > 1:
            tally.double(f"{tab.name} shows {id} {times} times")
    if any(one > next for one, next in pairwise(ids)):
        tally.reorder(f"{tab.name} shows {ids}")
    there = {item.id: item for item in tab.lines}
    for item in shown:
        if ids and item.id >= ids[0] and item.id not in there:
            tally.lose(f"{tab.name} does not show {item.id}, {item.words!r}")
    seen = {item.seen for item in shown}
    for item in tab.lines:
        if item.seen not in seen:
            tally.complaints.append(f"{tab.name} shows {item}, which the log has not")


def _difference(wanted: Sequence[str], got: Sequence[str]) -> str:
    for n, (one, other) in enumerate(zip([*wanted, "nothing"], [*got, "nothing"], strict=False)):
        if one != other:
            return f"{one!r}, and the log has {other!r} in its place ({n})"
    return ""
