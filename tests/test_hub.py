"""The hub on a real store, with buses that lose, repeat and reorder: hints may fail, messages may not."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import calls
import pytest
from people import FakeClock, until
from shapes import Shapes
from test_rendered_messages import kept_messages
from wsproto.connection import Connection as Protocol
from wsproto.connection import ConnectionType
from wsproto.events import TextMessage

from chat.live import heartbeats
from chat.live.bus import NO_OTHERS, LocalBus, Others, Receive, ReceiveSign
from chat.live.catch_up import Place
from chat.live.connection import POLICY, RESTART, Close, Connection
from chat.live.connections import SOCKETS
from chat.live.feed import RING
from chat.live.framing import websocket_frame
from chat.live.hub import Hub
from chat.model.changes import Change
from chat.model.members import Member
from chat.model.messages import Delete, Edit, Message
from chat.model.rooms import Position
from chat.store import Store, Unavailable
from chat.store.sqlite.store import SQLiteStore
from chat.views.look import LOOK, Look, Render

ROOM = "BCDFGHJK"


class DeafBus(LocalBus):
    """Loses every hint."""

    def open(
        self,
        receive: Receive,
        on_gap: Callable[[], None],
        on_sign: ReceiveSign = lambda sign: None,
        others: Others = NO_OTHERS,
    ) -> None:
        super().open(receive, on_gap)
        self.on_gap = on_gap

    def announce(self, changes: Sequence[Change]) -> None:
        pass


class NodeBus(LocalBus):
    """As with several nodes: what others change in a room that is not watched is not heard of."""

    def hears(self, code: str) -> bool:
        return code in self._watched


class FaultyBus(LocalBus):
    """Fails when it has passed a hint on."""

    def announce(self, changes: Sequence[Change]) -> None:
        super().announce(changes)
        raise RuntimeError("the bus broke down")


class MadBus(LocalBus):
    """Loses some hints, repeats some, and tells the rest late and in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.kept: list[Change] = []

    def announce(self, changes: Sequence[Change]) -> None:
        self.kept += [change for change in changes for _ in range(self.random.choice((0, 1, 1, 2, 3)))]
        self.random.shuffle(self.kept)
        told, self.kept = self.kept[:3], self.kept[3:]
        if told:
            super().announce(told)


class Watched:
    """A store that counts what is asked of it, and can be made to wait or fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []
        self.broken = False
        self.fail_once = False
        self.fail_next = ""  # the name of a function of the store
        self.gate = asyncio.Event()
        self.gate.set()
        self.held_back = 0  # answers that are known and have yet to be given
        self.answers = asyncio.Event()
        self.answers.set()

    def hold_answers(self) -> None:
        self.answers.clear()

    def let_go(self) -> None:
        self.answers.set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def asked(*args: Any) -> Any:
            question = calls.asked_for(args)
            self.asked.append(question)
            await self.gate.wait()
            if self.broken or self.fail_once or self.fail_next == question:
                self.fail_once, self.fail_next = False, ""
                raise Unavailable("The store is away.")
            answer = await method(*args)
            self.held_back += 1
            await self.answers.wait()
            self.held_back -= 1
            return answer

        return asked


class Room:
    """A store with one room, a hub, and people who write in it."""

    def __init__(self, store: SQLiteStore, path: Path) -> None:
        self.store = store
        self.path = path
        self.watched = Watched(store)
        self.shapes = Shapes()
        self.bus = LocalBus()
        self.member = Member(ROOM, 1, "person-a", "Ann", 1)
        self.keys = itertools.count()

    def hub(self, bus: LocalBus | None = None, check: float = 3600.0) -> Hub:
        self.bus = bus or LocalBus()
        hub = Hub(cast(Store, self.watched), self.bus, self.shapes, check)
        self.bus.open(hub.receive, hub.on_gap)
        self.store.listen(hub.committed)
        return hub

    async def write(self, *bodies: str) -> list[Change]:
        wait = [self.store.append(ROOM, 1, f"k{next(self.keys)}", body) for body in bodies]
        return list(await asyncio.gather(*wait))

    async def edit(self, id: int, body: str) -> None:
        await calls.amend(self.store, ROOM, id, Edit(body))

    async def delete(self, id: int) -> None:
        await calls.amend(self.store, ROOM, id, Delete())

    async def head(self) -> Position:
        return (await calls.heads(self.store, [ROOM]))[ROOM]


class Reader:
    """A connection as chat.web has it, which reads when the test says so."""

    def __init__(self, hub: Hub, member: Member, look: Look = LOOK) -> None:
        self.hub = hub
        self.connection = Connection(member, look)
        self.frames: list[str] = []

    async def join(self, since: Position) -> None:
        self.hub.connections.admit(self.connection)
        await self.hub.join(self.connection, since)

    async def read(self) -> str:
        """One frame of what this reader has not seen."""
        connection, feed = self.connection, self.connection.feed
        assert feed is not None
        assert connection.cursor is not None
        frame = feed.frame(connection.look, connection.cursor, connection.texts)
        frame = frame or await self.hub.catch_up(feed, connection)
        connection.move_to(frame.rev, frame.is_all)
        if frame.rev < feed.position.rev:
            connection.wake()
        if frame.text:
            self.frames.append(frame.text)
        return frame.text

    async def read_until(self, rev: int) -> None:
        """Read whenever there is something, as sockets do, until this much is known."""
        async with asyncio.timeout(5):
            while (self.connection.cursor or 0) < rev:
                await self.connection.ready()
                await self.read()

    @property
    def seen(self) -> list[str]:
        return " ".join(self.frames).split()


@pytest.fixture
async def room(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Room]:
    store = SQLiteStore(str(tmp_path / "chat.db"), clock=clock.wall)
    await store.open()
    await calls.open_room(store, ROOM)
    await calls.take_seat(store, ROOM, "person-a", "Ann")
    yield Room(store, tmp_path / "chat.db")
    await store.close()


async def _reader(
    hub: Hub, room: Room, since: Position | None = None, person: str = "person-a", look: Look = LOOK
) -> Reader:
    reader = Reader(hub, Member(ROOM, 1, person, "Ann", 1), look)
    await reader.join(since or await room.head())
    return reader


def _added(dones: Sequence[Change]) -> list[str]:
    return [f"+{d.message.id}={d.message.body}" for d in dones]


# The promise, whatever the bus does -------------------------------------------------------------------


async def test_everybody_gets_every_message_once_and_in_order(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room) for _ in range(5)]
    written = [done for n in range(20) for done in await room.write(f"m{n}")]
    await asyncio.gather(*(reader.read_until(20) for reader in readers))
    assert all(reader.seen == _added(written) for reader in readers)


async def test_a_bus_that_loses_every_hint_costs_time_and_no_message(room: Room) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    written = await room.write(*(f"m{n}" for n in range(400)))
    assert await reader.read() == ""
    await hub.repairs.check()
    await reader.read_until(400)
    assert reader.seen == _added(written)


async def test_the_hub_looks_into_the_log_by_itself_now_and_then(room: Room) -> None:
    hub = room.hub(DeafBus(), check=0.01)
    reader = await _reader(hub, room)
    checks = asyncio.create_task(hub.repairs.run())
    written = await room.write("a", "b")
    await reader.read_until(2)
    assert reader.seen == _added(written)
    checks.cancel()


async def test_a_bus_that_knows_it_lost_something_makes_the_hub_look_at_once(room: Room) -> None:
    bus = DeafBus()
    hub = room.hub(bus, check=3600.0)
    reader = await _reader(hub, room)
    checks = asyncio.create_task(hub.repairs.run())
    written = await room.write("a")
    bus.on_gap()
    await reader.read_until(1)
    assert reader.seen == _added(written)
    checks.cancel()


@pytest.mark.parametrize("seed", range(8))
async def test_a_bus_that_loses_repeats_and_reorders_changes_nothing(room: Room, seed: int) -> None:
    dice = random.Random(seed)
    hub = room.hub(MadBus(seed))
    readers = [await _reader(hub, room) for _ in range(4)]
    written: list[Change] = []
    for n in range(60):
        written += await room.write(*(f"m{n}.{i}" for i in range(dice.choice((1, 1, 2, 5)))))
        await dice.choice(readers).read()
    await hub.repairs.check()
    await asyncio.gather(*(reader.read_until(len(written)) for reader in readers))
    assert all(reader.seen == _added(written) for reader in readers)


async def test_repeated_and_old_hints_are_not_delivered_again(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    written = await room.write("a", "b", "c")
    for order in itertools.permutations(written):
        hub.receive(order)
        hub.receive([order[0], order[0]])
    await reader.read_until(3)
    await reader.read()
    assert reader.seen == _added(written)
    assert room.watched.asked.count("changes") == 1  # the one that loaded the feed


@pytest.mark.parametrize("epoch", ["ours", "another"])
async def test_a_hint_of_what_the_log_does_not_have_is_looked_up_once(room: Room, epoch: str) -> None:
    """Another chat on the same Redis may have a room of this code; its hints must not keep us reading."""
    hub = room.hub()
    reader = await _reader(hub, room)
    (written,) = await room.write("one")
    await reader.read_until(1)
    room.watched.asked.clear()
    far = Position(written.position.epoch if epoch == "ours" else "another", 999)
    hub.receive([Change(ROOM, replace(written.message, id=999, rev=999), far)])
    feed = hub.feeds[ROOM]
    while feed.repairing:
        await asyncio.sleep(0)
        assert room.watched.asked.count("changes") < 3
    (written,) = await room.write("two")
    await reader.read_until(2)


async def test_a_hint_of_another_room_is_nobody_s(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    await calls.open_room(room.store, "22222222")
    await calls.take_seat(room.store, "22222222", "person-a", "Ann")
    done = await room.store.append("22222222", 1, "k", "elsewhere")
    hub.receive([done])
    assert await reader.read() == ""


async def test_nothing_falls_between_the_page_and_the_socket(room: Room) -> None:
    hub = room.hub()
    await room.write("on the page")
    page = await calls.history(room.store, ROOM)
    await room.write("in between")
    reader = await _reader(hub, room, page.position)
    await room.write("after")
    await reader.read_until(3)
    assert reader.seen == ["+2=in", "between", "+3=after"]


async def test_what_is_stored_while_a_feed_loads_arrives_once(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    room.watched.gate.clear()
    reader = Reader(hub, room.member)
    joining = asyncio.create_task(reader.join(start))
    await until(lambda: hub.feeds)
    written = await room.write("a", "b")
    room.watched.gate.set()
    await joining
    await reader.read_until(2)
    assert reader.seen == _added(written)


# Frames -----------------------------------------------------------------------------------------------


async def test_many_changes_are_one_frame(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    written = await room.write(*(f"m{n}" for n in range(50)))
    assert (await reader.read()).split() == _added(written)
    assert await reader.read() == ""


async def test_changes_of_older_messages_come_before_new_ones(room: Room) -> None:
    hub = room.hub()
    await room.write("a", "b")
    reader = await _reader(hub, room)
    await room.write("c")
    await room.edit(1, "A")
    await room.write("d")
    await room.delete(2)
    assert await reader.read() == "~1=A ~2=None +3=c +5=d "


async def test_an_edit_of_what_a_reader_has_not_seen_is_no_second_line(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    await room.write("a")
    await room.edit(1, "b")
    await room.edit(1, "c")
    assert await reader.read() == "+1=c "


async def test_a_message_is_rendered_once_for_everybody(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room) for _ in range(50)]
    for n in range(10):
        await room.write(f"m{n}")
        frames = {await reader.read() for reader in readers}
        assert frames == {f"+{n + 1}=m{n} "}
    assert room.shapes.rendered == list(range(1, 11))


GERMAN, FRENCH = Look("de"), Look("fr")


async def test_a_message_is_rendered_once_for_each_look_that_is_present(room: Room) -> None:
    hub = room.hub()
    readers = {look: [await _reader(hub, room, look=look) for _ in range(10)] for look in (GERMAN, FRENCH)}
    for n in range(10):
        await room.write(f"m{n}")
        for look, of_one in readers.items():
            assert {await reader.read() for reader in of_one} == {f"+{n + 1}=m{n}({look.language}) "}
    assert room.shapes.rendered == [id for id in range(1, 11) for _ in readers]


async def test_who_is_behind_gets_what_they_lack_in_their_look(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    await room.write(*(f"m{n}" for n in range(RING + 10)))
    await _reader(hub, room)  # so that the ring begins with what is newest
    for look in (GERMAN, FRENCH):
        behind = await _reader(hub, room, start, look=look)
        assert (await behind.read()).startswith(f"+1=m0({look.language}) ")
        elsewhere = await _reader(hub, room, Position("restored", 1), look=look)
        assert (await elsewhere.read()).startswith(f"page({look.language}) ")


async def test_what_changed_is_kept_in_no_look_as_it_was(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room, look=look) for look in (LOOK, GERMAN)]
    await room.write("a secret")
    for reader in readers:
        await reader.read()
    await room.delete(1)
    for reader in readers:
        await reader.read()
    assert "a secret" not in "".join(html for _, html in kept_messages(hub.rendered))


@pytest.mark.parametrize("somebody_is_here", [True, False])
async def test_a_deleted_text_is_in_no_frame_that_was_kept_for_those_behind(
    room: Room, somebody_is_here: bool
) -> None:
    hub = room.hub()
    start = await room.head()
    await room.write("a secret", *(f"m{n}" for n in range(RING)))
    behind = await _reader(hub, room, start)
    assert "a secret" in await behind.read()
    assert hub.catching_up.held
    if not somebody_is_here:
        hub.leave(behind.connection)
    await room.delete(1)
    assert "a secret" not in _kept_frames(hub)
    assert hub.catching_up.held == 0


async def test_what_other_nodes_may_change_unheard_is_not_kept(room: Room) -> None:
    hub = room.hub(NodeBus())
    start = await room.head()
    await room.write("a secret", *(f"m{n}" for n in range(RING)))
    await hub.page(ROOM, None, LOOK)
    assert hub.rendered.held == 0
    readers = [await _reader(hub, room, start) for _ in range(2)]
    for reader in readers:
        assert "a secret" in await reader.read()
        assert hub.catching_up.held
        assert hub.rendered.held
        hub.leave(reader.connection)
    assert hub.catching_up.held == 0
    assert hub.rendered.held == 0


async def test_a_page_that_is_read_while_the_last_reader_leaves_is_not_kept(room: Room) -> None:
    hub = room.hub(NodeBus())
    await room.write("a secret")
    reader = await _reader(hub, room)
    room.watched.hold_answers()
    reading = asyncio.create_task(hub.page(ROOM, None, LOOK))
    await until(lambda: room.watched.held_back)
    hub.leave(reader.connection)
    room.watched.let_go()
    assert "a secret" in "".join((await reading).fragments)
    assert hub.rendered.held == 0


async def test_after_a_gap_only_what_somebody_follows_is_kept(room: Room) -> None:
    hub = room.hub()
    await calls.open_room(room.store, "ZZZZZZZZ")
    await calls.take_seat(room.store, "ZZZZZZZZ", "person-a", "Ann")
    await room.store.append("ZZZZZZZZ", 1, "key", "a secret")
    await room.write("text")
    await _reader(hub, room)
    await hub.page(ROOM, None, LOOK)
    held = hub.rendered.held
    await hub.page("ZZZZZZZZ", None, LOOK)
    assert hub.rendered.held > held
    hub.on_gap()
    assert hub.rendered.held == held


async def test_nothing_of_a_history_that_was_rewritten_is_kept(room: Room) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    await room.write("a secret")
    await hub.page(ROOM, None, LOOK)
    with sqlite3.connect(room.path) as db:
        db.execute("UPDATE room SET epoch = 'restored'")
    db.close()
    await hub.repairs.check()
    await until(lambda: reader.connection.cursor == -1)
    assert hub.rendered.held == hub.catching_up.held == 0


async def test_a_frame_read_before_a_deletion_is_not_kept(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    await room.write("a secret", *(f"m{n}" for n in range(RING)))
    behind, next_one = await _reader(hub, room, start), await _reader(hub, room, start)
    room.watched.hold_answers()
    reading = asyncio.create_task(behind.read())
    await until(lambda: room.watched.held_back)
    await room.delete(1)
    room.watched.let_go()
    assert "a secret" in await reading
    assert hub.catching_up.held == 0
    assert "a secret" not in await next_one.read()


async def test_frames_of_an_older_head_are_kept_no_longer_than_it_is_the_head(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    await room.write(*("x" for _ in range(RING + 10)))
    behind, next_one = await _reader(hub, room, start), await _reader(hub, room, start)
    await behind.read()
    held = hub.catching_up.held
    await room.write("y")
    await next_one.read()
    assert hub.catching_up.held == held


async def test_frames_for_those_behind_are_bounded_and_the_least_recently_used_goes_first(
    room: Room,
) -> None:
    hub = room.hub()
    start = await room.head()
    written = await room.write(*("x" for _ in range(RING + 20)))
    await _reader(hub, room)
    catching_up, head = hub.catching_up, written[-1].position
    catching_up._most = 10_000
    frames = []
    for rev in range(20):
        place = Place(LOOK, Position(start.epoch, rev), 0)
        frames.append(await catching_up.frame(ROOM, place, head.rev))
        await catching_up.frame(ROOM, Place(LOOK, Position(start.epoch, 0), 0), head.rev)
        assert catching_up.held <= 10_000
    kept = list(catching_up._rooms[ROOM].frames.values())
    assert 1 < len(kept) < 20
    assert {frame.text for frame in kept} == {frames[0].text, *(f.text for f in frames[1 - len(kept) :])}


def _kept_frames(hub: Hub) -> str:
    return "".join(frame.text for room in hub.catching_up._rooms.values() for frame in room.frames.values())


# Readers who are behind -------------------------------------------------------------------------------


async def test_a_slow_reader_holds_a_cursor_and_nothing_else(room: Room) -> None:
    hub = room.hub()
    slow, quick = await _reader(hub, room), await _reader(hub, room)
    for n in range(20):
        await room.write(*(f"{n}-{'x' * 1000}" for _ in range(10)))
        await quick.read()
    assert quick.connection.cursor == 200
    assert slow.connection.cursor == 0
    kept = [getattr(slow.connection, name) for name in Connection.__slots__]
    assert not [value for value in kept if isinstance(value, list | dict | set | bytes) and value]
    assert len(slow.connection.slots) == 0
    assert slow.seen == []
    await slow.read_until(200)
    assert slow.seen == quick.seen


async def test_the_feed_itself_holds_few_messages_and_few_bytes(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    assert reader.connection.feed is not None
    await room.write(*("x" for _ in range(RING + 50)))
    assert len(reader.connection.feed._messages) == RING
    await room.write(*("x" * 8000 for _ in range(60)))
    assert len(reader.connection.feed._messages) <= 33
    await room.edit(RING + 110, "y")
    assert len(reader.connection.feed._messages) <= 33


async def test_a_reader_further_behind_than_the_feed_reads_the_log(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    written = await room.write(*(f"m{n}" for n in range(RING + 100)))
    await reader.read_until(RING + 100)
    assert reader.seen == _added(written)
    assert reader.connection.cursor == RING + 100


async def test_a_message_edited_out_of_the_feed_s_memory_is_not_lost(room: Room) -> None:
    hub = room.hub()
    await room.write("old")
    reader = await _reader(hub, room)
    await room.edit(1, "new")
    await room.write(*(f"m{n}" for n in range(RING)))
    assert (await reader.read()).startswith("~1=new +3=m0 ")


async def test_up_to_a_thousand_revs_behind_are_caught_up(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    for _ in range(4):
        await room.write(*("x" for _ in range(250)))
    reader = await _reader(hub, room, start)
    await reader.read_until(1000)
    assert reader.seen == [f"+{n}=x" for n in range(1, 1001)]


async def test_more_than_a_thousand_revs_behind_the_newest_page_comes_instead(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    for _ in range(4):
        await room.write(*("x" for _ in range(250)))
    await room.write("last")
    reader = await _reader(hub, room, start)
    frame = await reader.read()
    assert frame.startswith("page +952=x ")
    assert frame.endswith("+1001=last ")
    await room.write("next")
    assert await reader.read() == "+1002=next "


async def test_a_reader_of_another_epoch_gets_the_newest_page(room: Room) -> None:
    hub = room.hub()
    await room.write("a", "b")
    reader = await _reader(hub, room, Position("restored", 1))
    assert await reader.read() == "page +1=a +2=b "
    await room.write("c")
    assert await reader.read() == "+3=c "


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536])
def test_a_text_for_the_wire_is_what_a_browser_reads(size: int) -> None:
    browser = Protocol(ConnectionType.CLIENT)
    browser.receive_data(websocket_frame("é" + "x" * (size - 2) if size > 1 else "x"))
    parts = [event for event in browser.events() if isinstance(event, TextMessage)]
    assert len("".join(part.data for part in parts).encode()) == size
    assert parts[-1].message_finished


async def test_a_reader_ahead_of_the_log_gets_the_newest_page(room: Room) -> None:
    hub = room.hub()
    await room.write("a", "b")
    head = await room.head()
    reader = await _reader(hub, room, Position(head.epoch, head.rev + 5))
    assert await reader.read() == "page +1=a +2=b "


async def test_a_message_is_rendered_once_wherever_its_readers_stand(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    slow = await _reader(hub, room, start)
    await room.write("a")
    middle = await _reader(hub, room, await room.head())
    await room.write("b")
    for reader in (slow, middle):
        await reader.read()
    assert sorted(room.shapes.rendered) == [1, 2]


async def test_readers_who_are_behind_together_share_one_read_of_the_log(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    await room.write(*("x" for _ in range(RING + 10)))
    readers = [await _reader(hub, room, start) for _ in range(30)]
    room.watched.asked.clear()
    frames = await asyncio.gather(*(reader.read() for reader in readers))
    assert len(set(frames)) == 1
    assert room.watched.asked == ["changes"]


async def test_a_storm_of_hints_makes_one_repair(room: Room) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    written = await room.write(*(f"m{n}" for n in range(100)))
    room.watched.asked.clear()
    for done in reversed(written):
        hub.receive([done])
    await reader.read_until(100)
    assert room.watched.asked == ["changes"]
    assert reader.seen == _added(written)


async def test_a_rewritten_history_reaches_everybody_as_the_newest_page(room: Room) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    await room.write("a", "b")
    with sqlite3.connect(room.path) as db:
        db.execute("UPDATE room SET epoch = 'restored'")
    db.close()
    await hub.repairs.check()
    await until(lambda: reader.connection.cursor == -1)
    assert await reader.read() == "page +1=a +2=b "
    room.store.listen(hub.receive)
    await room.write("c")
    assert await reader.read() == "+3=c "


async def test_what_this_process_stored_is_written_before_its_writer_goes_on(room: Room) -> None:
    """And not a turn of the event loop later; a bus that fails keeps nothing back."""
    hub = room.hub(FaultyBus())
    reader = await _reader(hub, room)
    await reader.connection.ready()
    frames: list[bytes] = []

    def write_frame(data: bytes) -> bool:
        frames.append(data)
        return True

    reader.connection.write_frame = write_frame
    waiting = asyncio.create_task(reader.connection.ready())
    await until(lambda: reader.connection.idle)
    seen: list[bytes] = []
    write = room.store.append(ROOM, 1, "key", "hello")
    write.add_done_callback(lambda _: seen.extend(frames))
    await write
    assert seen == [b"\x81\x09+1=hello "]
    waiting.cancel()


async def test_a_free_socket_gets_its_heartbeat_at_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.live.heartbeats.BEAT", 1)
    hub = room.hub()
    reader = await _reader(hub, room)
    await reader.connection.ready()
    waiting = asyncio.create_task(reader.connection.ready())
    await until(lambda: reader.connection.idle)
    written: asyncio.Queue[bytes] = asyncio.Queue()

    def write_frame(data: bytes) -> bool:
        written.put_nowait(data)
        return True

    reader.connection.write_frame = write_frame
    beats = asyncio.create_task(hub.heartbeats.run())
    assert await asyncio.wait_for(written.get(), 5) == b"\x81\x05beat "
    assert reader.connection.idle
    beats.cancel()
    waiting.cancel()


# Coming, going, failing -------------------------------------------------------------------------------


async def test_a_feed_lives_while_somebody_follows_it(room: Room) -> None:
    hub = room.hub()
    one, other = await _reader(hub, room), await _reader(hub, room)
    hub.release(one.connection)
    assert list(hub.feeds) == [ROOM]
    hub.release(other.connection)
    assert hub.feeds == {}
    assert not room.bus._watched
    assert hub.connections._by_person == {}
    assert not any(hub.heartbeats._shares)


async def test_a_feed_begun_again_starts_from_the_log(room: Room) -> None:
    hub = room.hub()
    hub.leave((await _reader(hub, room)).connection)
    written = await room.write("unheard")
    reader = await _reader(hub, room, Position((await room.head()).epoch, 0))
    assert (await reader.read()).split() == _added(written)


async def test_whoever_joins_while_the_store_fails_is_told_and_the_next_is_served(room: Room) -> None:
    hub = room.hub()
    room.watched.broken = True
    with pytest.raises(Unavailable):
        await _reader(hub, room)
    assert hub.feeds == {}
    assert not room.bus._watched
    room.watched.broken = False
    reader = await _reader(hub, room)
    await room.write("a")
    assert await reader.read() == "+1=a "


async def test_a_load_that_fails_late_does_not_harm_the_feed_that_came_after(room: Room) -> None:
    hub = room.hub()
    start = await room.head()
    room.watched.gate.clear()
    early = Reader(hub, room.member)
    joining = asyncio.create_task(early.join(start))
    await until(lambda: hub.feeds)
    old_load = hub.feeds[ROOM].repairing
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    hub.release(early.connection)
    late = Reader(hub, room.member)
    joining = asyncio.create_task(late.join(start))
    await until(lambda: hub.feeds)
    assert old_load is not None
    room.watched.fail_once = True
    room.watched.gate.set()
    await asyncio.gather(old_load, return_exceptions=True)
    await joining
    await room.write("a")
    assert await late.read() == "+1=a "


async def test_a_rewritten_history_is_noticed_even_if_the_store_fails_meanwhile(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    await room.write("a")
    with sqlite3.connect(room.path) as db:
        db.execute("UPDATE room SET epoch = 'restored'")
    db.close()
    await hub.repairs.check()  # asks for the heads, and begins a repair
    room.watched.fail_next = "heads"
    await until(lambda: "feed-stale" in caplog.text)
    await hub.repairs.check()
    await until(lambda: reader.connection.cursor == -1)
    assert await reader.read() == "page +1=a "


async def test_a_repair_that_fails_is_tried_again(room: Room) -> None:
    hub = room.hub(DeafBus())
    reader = await _reader(hub, room)
    written = await room.write("a")
    room.watched.broken = True
    hub.receive([written[0], *await room.write("b")][1:])
    await until(lambda: reader.connection.feed and reader.connection.feed.repairing is None)
    assert await reader.read() == ""
    with pytest.raises(Unavailable):
        await hub.repairs.check()
    room.watched.broken = False
    await hub.repairs.check()
    await reader.read_until(2)
    assert reader.seen == ["+1=a", "+2=b"]


async def test_checks_go_on_after_the_store_failed(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    hub = room.hub(DeafBus(), check=0.005)
    reader = await _reader(hub, room)
    checks = asyncio.create_task(hub.repairs.run())
    room.watched.broken = True
    await room.write("a")
    await until(lambda: "check-failed" in caplog.text)
    room.watched.broken = False
    await reader.read_until(1)
    checks.cancel()


async def test_an_eleventh_connection_of_a_person_ends_the_oldest(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room) for _ in range(SOCKETS)]
    assert not [r for r in readers if r.connection.closing]
    readers += [await _reader(hub, room), await _reader(hub, room)]
    ended = [r.connection.closing for r in readers]
    assert [farewell.code for farewell in ended if farewell] == [POLICY, POLICY]
    assert ended[2:] == [None] * SOCKETS
    assert ended[0] is not None
    assert "more than 10 tabs" in ended[0].reason


async def test_a_connection_ends_another_only_once_it_counts(room: Room) -> None:
    hub = room.hub()
    silent = Connection(Member(ROOM, 1, "person-a", "Ann", 1), LOOK)
    hub.connections.admit(silent, counts=False)
    readers = [await _reader(hub, room) for _ in range(SOCKETS)]
    assert not [r for r in readers if r.connection.closing]
    hub.connections.count(silent)
    ended = [silent.closing, *(r.connection.closing for r in readers)]
    assert [farewell is not None for farewell in ended] == [False, True] + [False] * (SOCKETS - 1)


async def test_other_people_s_connections_are_not_counted(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room, person=f"person-{n}") for n in range(2 * SOCKETS)]
    assert not [r for r in readers if r.connection.closing]


async def test_a_person_is_shown_out_of_one_room_by_all_connections(room: Room) -> None:
    hub = room.hub()
    mine = [await _reader(hub, room) for _ in range(3)]
    other = await _reader(hub, room, person="person-b")
    hub.connections.close(ROOM, "person-a", Close(POLICY, "You left this room."))
    hub.connections.close("22222222", "person-b", Close(POLICY))
    assert [r.connection.closing for r in mine] == [Close(POLICY, "You left this room.")] * 3
    assert other.connection.closing is None


async def test_at_the_end_everybody_is_told_to_come_back(room: Room) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room, person=f"person-{n}") for n in range(20)]
    await hub.connections.terminate()
    late = await _reader(hub, room)
    assert {r.connection.closing for r in [*readers, late]} == {Close(RESTART)}


async def test_the_first_reason_to_end_stays(room: Room) -> None:
    hub = room.hub()
    reader = await _reader(hub, room)
    reader.connection.close(Close(POLICY, "You left this room."))
    await hub.connections.terminate()
    assert reader.connection.closing == Close(POLICY, "You left this room.")


async def test_every_connection_gets_one_heartbeat_a_turn(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = room.hub()
    readers = [await _reader(hub, room, person=f"person-{n}") for n in range(30)]
    seconds = 0
    sleep = asyncio.sleep

    async def quick(_: float) -> None:
        nonlocal seconds
        seconds += 1
        await sleep(0 if seconds <= heartbeats.BEAT else 3600)

    monkeypatch.setattr("chat.live.heartbeats.asyncio.sleep", quick)
    beats = asyncio.create_task(hub.heartbeats.run())
    counts = []
    while seconds <= heartbeats.BEAT:
        await sleep(0)
        counts.append(sum("beat" in reader.connection.slots for reader in readers))
    assert counts[-1] == 30
    assert max(b - a for a, b in itertools.pairwise(counts)) <= 2  # spread evenly over the turn
    beats.cancel()


async def test_a_wake_before_the_wait_is_not_lost(room: Room) -> None:
    connection = Connection(room.member, LOOK)
    connection.wake()
    connection.wake()
    async with asyncio.timeout(1):
        await connection.ready()
    waiting = asyncio.create_task(connection.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    connection.wake()
    await waiting


# Texts that take long to show --------------------------------------------------------------------------


async def test_what_takes_long_is_made_ready_before_it_is_shown_and_the_order_stays(room: Room) -> None:
    """As from another node, where nothing was made before the text was stored."""
    repaired = []
    hub = room.hub()
    hub.repairs._repaired = lambda: repaired.append(1)
    reader = await _reader(hub, room)
    ready: list[bool] = []
    render = room.shapes.message

    def message(code: str, message: Message) -> Render:
        ready.append(not room.shapes.formatter.takes_long(message.body))
        return render(code, message)

    room.shapes.message = message  # type: ignore[method-assign]
    written = await room.write("first", "```\ncode\n```", "**a** ||b|| " * 100, "last")
    await reader.read_until(4)
    assert "".join(reader.frames) == "".join(f"+{done.message.id}={done.message.body} " for done in written)
    assert ready == [True] * 4
    assert not repaired
