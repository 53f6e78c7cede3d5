"""A random walk of readers who are caught up in small parts, while what they read is changed under them."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import calls
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from shapes import Shapes
from test_store import answer

from chat.features import reactions
from chat.live.bus import LocalBus
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Edit, Message
from chat.model.quotes import Quoted
from chat.model.rooms import Position
from chat.store import NotFound, Store
from chat.store.sqlite.store import SQLiteStore
from chat.views.look import LOOK, Render

T = TypeVar("T")
ROOM = "BCDFGHJK"
ANN = Member(ROOM, 1, "ann", "Ann", 1)
ENTRY = re.compile(r"([+~*^])(\d+):(\d+)=(\S*?)(?:<(\d+):(\S*))?\[([^]]*)\] ")
FRAME = 400  # bytes: some five messages


@pytest.fixture(scope="module", autouse=True)
def _small_bounds() -> Iterator[None]:
    """Everything in small, so that few messages are many parts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, bound in {
            "chat.live.framing.FRAME": FRAME,
            "chat.live.feed.FRAMES": 1000,
            "chat.live.feed.RING": 8,
            "chat.live.repairs.RING": 8,
            "chat.live.feed.RING_BYTES": 3500,
            "chat.live.repairs.READ": 1500,
            "chat.live.catch_up.READ": 1500,
            "chat.live.catch_up.WINDOW": 150,
            "chat.live.catch_up.PAGE": 4000,
            "chat.live.catch_up.FRAMES": 1500,
            "chat.views.messages.PAGE": 900,
        }.items():
            patch.setattr(name, bound)
        yield


class ShapesOfRevisions(Shapes):
    """A message with its rev, its text, what it answers, and the reactions to it."""

    def message(self, code: str, message: Message) -> Render:
        return lambda look: _entry("+", message)

    def amended(self, code: str, message: Message) -> Render:
        """As on a page, the first words of the text change wherever it is answered."""
        words = _words(message.as_quoted)
        return lambda look: f"{_entry('~', message)}^{message.id}:{message.rev}={words}[] "

    def extras(self, code: str, message: Message) -> Render:
        return lambda look: f"*{message.id}:{message.rev}=[{_row(message)}] "


def _entry(how: str, message: Message) -> str:
    quote = f"<{message.quoted.id}:{_words(message.quoted)}" if message.quoted else ""
    return f"{how}{message.id}:{message.rev}={message.body}{quote}[{_row(message)}] "


def _words(quoted: Quoted) -> str:
    return str(quoted.body)[:20]


def _row(message: Message) -> str:
    return ",".join(message.meta.get("reactions", {}))


class Item(NamedTuple):
    """A message as a page shows it."""

    rev: int
    body: str
    answers: int
    quote: str
    row: str


def _item(message: Message) -> Item:
    quoted = message.quoted
    quote = (quoted.id, _words(quoted)) if quoted else (0, "")
    return Item(message.rev, str(message.body), *quote, _row(message))


class Hints(LocalBus):
    """Arrive in any order, some twice and some never."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice

    def announce(self, changes: Sequence[Change]) -> None:
        hints = [change for change in changes for _ in range(self.dice.choice((0, 1, 1, 1, 2)))]
        self.dice.shuffle(hints)
        super().announce(hints)


class Late:
    """A store whose answers to reads come when the test says so."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name != "snapshot":
            return method

        async def answered_later(*args: Any) -> Any:
            answer = await method(*args)
            await self.gate.wait()
            return answer

        return answered_later


class Tab:
    """A page: what it shows, and the connection it has, if any. It suffers from what a browser would."""

    def __init__(self, position: Position, shown: dict[int, Item]) -> None:
        self.epoch = position.epoch
        self.shown = shown
        self.start = position.rev  # what the page had when it was loaded
        self.connection: Connection | None = None

    @property
    def since(self) -> int:
        """What it says on coming back: the rev of its last message."""
        return self.shown[max(self.shown)].rev if self.shown else 0

    def take(self, text: str) -> None:
        entries = ENTRY.findall(text)
        assert len(text) <= FRAME or text.startswith("page ") or len({entry[1] for entry in entries}) == 1
        if text.startswith("page "):
            self.shown = {}
        for how, id, rev, body, answers, quote, row in entries:
            self._change(how, int(id), Item(int(rev), body, int(answers or 0), quote, row))

    def _change(self, how: str, number: int, item: Item) -> None:
        if how == "+":
            assert number > max(self.shown, default=0), "a message came twice or out of order"
            self.shown[number] = item
        elif how == "^":
            for id, old in self.shown.items():
                if old.answers == number:
                    self.shown[id] = old._replace(quote=item.body)
        elif number not in self.shown:  # older than what the page shows: htmx finds no target
            assert number < min(self.shown, default=number), "a message changed that was lost"
        else:
            self.shown[number] = (
                item if how == "~" else self.shown[number]._replace(rev=item.rev, row=item.row)
            )


class Walk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "chat.db"
        self.runner = asyncio.Runner()
        self.keys = itertools.count()
        self.tabs: list[Tab] = []
        self.run(self._open())

    async def _open(self) -> None:
        self.store = SQLiteStore(str(self.path))
        self.late = Late(cast(Store, self.store))
        bus = Hints(random.Random(0))
        self.hub = Hub(cast(Store, self.late), bus, ShapesOfRevisions(), 3600.0)
        bus.open(self.hub.receive, self.hub.on_gap)
        self.store.listen(self.hub.committed)
        await self.store.open()
        await calls.open_room(self.store, ROOM)
        await calls.take_seat(self.store, ROOM, "ann", "Ann")
        await self._open_page()
        self.store.listen(self.hub.committed)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self._finish())
        self.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()

    async def _finish(self) -> None:
        """Everybody comes back and reads to the end: then all have what the log has."""
        for tab in self.tabs:
            if tab.connection is None:
                await self._connect(tab)
        await self._quiet()
        head = (await calls.heads(self.store, [ROOM]))[ROOM]
        log = {m.id: _item(m) for m in (await calls.history(self.store, ROOM, limit=10_000)).messages}
        for tab in self.tabs:
            for _ in range(200):
                assert tab.connection
                if tab.connection.cursor == head.rev:
                    break
                await self._read(tab)
            assert tab.connection
            assert tab.connection.cursor == head.rev, "a reader never arrives"
            first = min(tab.shown, default=1)
            assert {id: item._replace(rev=0) for id, item in tab.shown.items()} == {
                id: item._replace(rev=0) for id, item in log.items() if id >= first
            }

    async def _quiet(self) -> None:
        """Until the hub is as the log has it."""
        await self.hub.repairs.check()
        while any(feed.repairing for feed in self.hub.feeds.values()):
            await asyncio.sleep(0)

    # What happens ---------------------------------------------------------------------------------------

    @rule(sizes=st.lists(st.sampled_from([1, 20, 150, 900]), min_size=1, max_size=15))
    def write(self, sizes: list[int]) -> None:
        self.run(self._write(sizes))

    async def _write(self, sizes: list[int]) -> None:
        await asyncio.gather(*(self._append("x" * size) for size in sizes))

    async def _append(self, body: str) -> None:
        key = next(self.keys)
        await self.store.append(ROOM, 1, f"k{key}", f"{key}{body}")

    @rule(back=st.integers(0, 30))
    def reply(self, back: int) -> None:
        self.run(self._reply(back))

    async def _reply(self, back: int) -> None:
        messages = (await calls.history(self.store, ROOM, limit=61)).messages
        if back < len(messages):
            key, extra = next(self.keys), partial(answer, id=messages[-1 - back].id)
            with suppress(NotFound):  # it was deleted
                await self.store.append(ROOM, 1, f"k{key}", f"{key}answer", extra)

    @rule(back=st.integers(0, 30), emoji=st.sampled_from("👍🎉"), on=st.booleans())
    def react(self, back: int, emoji: str, on: bool) -> None:
        self.run(self._react(back, emoji, on))

    async def _react(self, back: int, emoji: str, on: bool) -> None:
        messages = (await calls.history(self.store, ROOM, limit=61)).messages
        if back < len(messages):
            with suppress(NotFound):  # it was deleted
                await self.store.write(ROOM, reactions.react, ANN, messages[-1 - back].id, emoji, on)

    @rule(back=st.integers(0, 30), delete=st.booleans())
    def change(self, back: int, delete: bool) -> None:
        self.run(self._change(back, delete))

    async def _change(self, back: int, delete: bool) -> None:
        messages = (await calls.history(self.store, ROOM, limit=61)).messages
        if back >= len(messages):
            return
        key = f"k{next(self.keys)}"
        try:
            await calls.amend(
                self.store, ROOM, messages[-1 - back].id, Delete() if delete else Edit(f"edit{key}")
            )
        except NotFound:
            pass  # it was deleted before

    @rule(step=st.integers(1, 4), last=st.integers(10, 60), reacted=st.booleans())
    def change_many(self, step: int, last: int, reacted: bool) -> None:
        """All texts first, and then what is below them."""
        for back in range(0, last, step):
            self.run(self._change(back, delete=False))
        for back in range(0, last, step) if reacted else ():
            self.run(self._react(back, "👍", on=True))

    @rule()
    def rewrite_history(self) -> None:
        self.run(self._rewrite())

    async def _rewrite(self) -> None:
        """As a restored back-up does."""
        with sqlite3.connect(self.path) as db:
            db.execute("UPDATE room SET epoch = ?", [f"epoch{next(self.keys)}"])
        db.close()
        await self._quiet()

    @precondition(lambda self: len(self.tabs) < 4)
    @rule()
    def open_page(self) -> None:
        self.run(self._open_page())

    async def _open_page(self) -> None:
        shown = await self.hub.page(ROOM, None, LOOK)
        self.tabs.append(Tab(shown.page.position, {m.id: _item(m) for m in shown.page.messages}))

    @precondition(lambda self: self.tabs)
    @rule(which=st.integers(0, 3))
    def connect(self, which: int) -> None:
        tab = self.tabs[which % len(self.tabs)]
        if tab.connection is None:
            self.run(self._connect(tab))

    async def _connect(self, tab: Tab) -> None:
        tab.connection = Connection(ANN, LOOK)
        await self.hub.join(tab.connection, Position(tab.epoch, tab.since))

    @precondition(lambda self: self.tabs)
    @rule(which=st.integers(0, 3))
    def leave(self, which: int) -> None:
        tab = self.tabs[which % len(self.tabs)]
        if tab.connection is not None:
            self.hub.leave(tab.connection)
            tab.connection = None

    @precondition(lambda self: self.tabs)
    @rule(which=st.integers(0, 3), parts=st.integers(0, 3))
    def come_back_after_some_parts(self, which: int, parts: int) -> None:
        tab = self.tabs[which % len(self.tabs)]
        for _ in range(parts):
            self.run(self._read(tab))
        self.leave(which)
        self.run(self._connect(tab))

    @precondition(lambda self: self.tabs)
    @rule(which=st.integers(0, 3), times=st.integers(1, 4))
    def read(self, which: int, times: int) -> None:
        tab = self.tabs[which % len(self.tabs)]
        for _ in range(times):
            self.run(self._read(tab))

    async def _read(self, tab: Tab) -> None:
        """One frame, as chat.web.sending sends it."""
        connection = tab.connection
        if connection is None or connection.cursor is None:
            return
        feed, cursor = connection.feed, connection.cursor
        assert feed
        frame = feed.frame(LOOK, cursor, connection.texts) or await self.hub.catch_up(feed, connection)
        if connection.feed is not feed or connection.cursor != cursor or tab.connection is not connection:
            return
        connection.move_to(frame.rev, frame.is_all)
        tab.take(frame.text)
        if cursor == -1:
            tab.epoch = feed.position.epoch

    @precondition(lambda self: self.tabs)
    @rule(
        which=st.integers(0, 3),
        sizes=st.lists(st.sampled_from([1, 150, 900]), max_size=12),
        changes=st.lists(
            st.tuples(st.integers(0, 30), st.sampled_from(["edit", "delete", "react"])), max_size=3
        ),
        end=st.sampled_from(["", "rewrite", "leave", "return"]),
    )
    def change_while_a_part_is_read(
        self, which: int, sizes: list[int], changes: list[tuple[int, str]], end: str
    ) -> None:
        self.run(self._change_meanwhile(self.tabs[which % len(self.tabs)], sizes, changes, end))

    async def _change_meanwhile(
        self, tab: Tab, sizes: list[int], changes: list[tuple[int, str]], end: str
    ) -> None:
        self.late.gate.clear()
        reading = asyncio.create_task(self._read(tab))
        await asyncio.sleep(0.002)
        await self._write(sizes)
        for back, what in changes:
            if what == "react":
                await self._react(back, "🎉", on=True)
            else:
                await self._change(back, delete=what == "delete")
        if end == "rewrite":
            with sqlite3.connect(self.path) as db:
                db.execute("UPDATE room SET epoch = ?", [f"epoch{next(self.keys)}"])
            db.close()
        if end in {"leave", "return"} and tab.connection:
            self.hub.leave(tab.connection)
            tab.connection = None
        self.late.gate.set()
        if end == "return":
            await self._connect(tab)
        await reading
        await self._quiet()


@pytest.mark.parametrize("returns", [False, True])
def test_a_text_that_changes_and_then_something_else_about_it_is_not_lost_between_two_parts(
    returns: bool,
) -> None:
    walk = Walk()
    walk.write([1] * 12)
    walk.open_page()
    walk.connect(1)
    walk.read(1, 4)
    walk.change_many(1, 12, reacted=True)
    if returns:
        walk.come_back_after_some_parts(1, 1)
    walk.teardown()


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
