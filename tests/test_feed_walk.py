"""A random walk of readers who are caught up in small parts, while what they read is changed under them."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import calls
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from shapes import Shapes

from chat.live.bus import LocalBus
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Edit, Message
from chat.model.rooms import Position
from chat.store import NotFound, Store
from chat.store.sqlite.store import SQLiteStore
from chat.views.look import LOOK

T = TypeVar("T")
ROOM = "BCDFGHJK"
ENTRY = re.compile(r"([+~])(\d+):(\d+)=(\S*) ")
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
    def name(self, message: Message) -> str:
        return f"{message.id}:{message.rev}"


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

    def __init__(self, position: Position, shown: dict[int, tuple[int, str]]) -> None:
        self.epoch = position.epoch
        self.shown = shown
        self.start = position.rev  # what the page had when it was loaded
        self.connection: Connection | None = None

    @property
    def since(self) -> int:
        """What it says on coming back: the rev of its last message."""
        return self.shown[max(self.shown)][0] if self.shown else 0

    def take(self, text: str) -> None:
        assert len(text) <= FRAME or text.startswith("page ") or len(ENTRY.findall(text)) == 1
        if text.startswith("page "):
            self.shown = {}
        for how, id, rev, body in ENTRY.findall(text):
            number = int(id)
            if how == "+":
                assert number > max(self.shown, default=0), "a message came twice or out of order"
            elif number not in self.shown:
                assert number < min(self.shown, default=number), "a message changed that was lost"
                continue  # older than what the page shows: htmx finds no target
            self.shown[number] = int(rev), body


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
        log = {m.id: str(m.body) for m in (await calls.history(self.store, ROOM, limit=10_000)).messages}
        for tab in self.tabs:
            for _ in range(200):
                assert tab.connection
                if tab.connection.cursor == head.rev:
                    break
                await self._read(tab)
            assert tab.connection
            assert tab.connection.cursor == head.rev, "a reader never arrives"
            first = min(tab.shown, default=1)
            assert {id: body for id, (_, body) in tab.shown.items()} == {
                id: body for id, body in log.items() if id >= first
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
                self.store, ROOM, messages[-1 - back].id, 1, key, Delete() if delete else Edit(f"edit{key}")
            )
        except NotFound:
            pass  # it was deleted before

    @rule(step=st.integers(1, 4), last=st.integers(10, 60))
    def change_many(self, step: int, last: int) -> None:
        for back in range(0, last, step):
            self.run(self._change(back, delete=False))

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
        self.tabs.append(Tab(shown.page.position, {m.id: (m.rev, str(m.body)) for m in shown.page.messages}))

    @precondition(lambda self: self.tabs)
    @rule(which=st.integers(0, 3))
    def connect(self, which: int) -> None:
        tab = self.tabs[which % len(self.tabs)]
        if tab.connection is None:
            self.run(self._connect(tab))

    async def _connect(self, tab: Tab) -> None:
        tab.connection = Connection(Member(ROOM, 1, "ann", "Ann", 1), LOOK)
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
        frame = feed.frame(LOOK, cursor) or await self.hub.catch_up(feed, cursor, LOOK)
        if connection.feed is not feed or connection.cursor != cursor or tab.connection is not connection:
            return
        connection.cursor = frame.rev
        tab.take(frame.text)
        if cursor == -1:
            tab.epoch = feed.position.epoch

    @precondition(lambda self: self.tabs)
    @rule(
        which=st.integers(0, 3),
        sizes=st.lists(st.sampled_from([1, 150, 900]), max_size=12),
        changes=st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=3),
        end=st.sampled_from(["", "rewrite", "leave", "return"]),
    )
    def change_while_a_part_is_read(
        self, which: int, sizes: list[int], changes: list[tuple[int, bool]], end: str
    ) -> None:
        self.run(self._change_meanwhile(self.tabs[which % len(self.tabs)], sizes, changes, end))

    async def _change_meanwhile(
        self, tab: Tab, sizes: list[int], changes: list[tuple[int, bool]], end: str
    ) -> None:
        self.late.gate.clear()
        reading = asyncio.create_task(self._read(tab))
        await asyncio.sleep(0.002)
        await self._write(sizes)
        for change in changes:
            await self._change(*change)
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


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
