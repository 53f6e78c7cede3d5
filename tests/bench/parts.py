"""What is measured, part by part; each yields rows of the table."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from chat.store.sqlite.store import SQLiteStore

from .client import BODY, HOST, Member, Sender, Tab, Ticket, Timed, connect_all, hang_up, total
from .servers import Chat, Meter, Options, Use, appended, baseline, database, profiled, seats, sqlite

SETTLE = 4.0  # s after a crowd has come in: notices and rosters are told once a second


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. A target is a bound on the ratio, or on the value where nothing is compared."""

    measure: str
    value: float
    unit: str = ""
    baseline: float | None = None
    least: float | None = None
    most: float | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        judged = self.value if self.ratio is None else self.ratio
        if self.least is None and self.most is None:
            return None
        return (self.least is None or judged >= self.least) and (self.most is None or judged <= self.most)


@asynccontextmanager
async def serving(
    options: Options, rooms: int, members: int
) -> AsyncIterator[tuple[Chat, list[list[Ticket]]]]:
    with database(options) as path:
        tickets = await seats(sqlite(path), rooms, members)
        with Chat(options, sqlite(path)) as chat:
            yield chat, tickets


async def flooded(
    members: Sequence[Member],
    senders: Sequence[Sender],
    window: int,
    seconds: float,
    cpu: Callable[[], float],
    profile: AbstractContextManager[None],
) -> tuple[int, Use]:
    """Deliveries in `seconds` during which every sender keeps `window` texts on their way, and their cost."""
    for sender in senders:
        sender.keep(window)
    await asyncio.sleep(seconds / 4)
    with profile:
        before, meter = total(members), Meter(cpu)
        await asyncio.sleep(seconds)
        deliveries, use = total(members) - before, meter.read()
    for sender in senders:
        sender.keep(0)
    await asyncio.sleep(1.0)
    return deliveries, use


async def fan_out(options: Options) -> list[Row]:
    """a: one room of 200, one sender with 20 texts on their way"""
    people, window, seconds = 200, 20, options.seconds(8)

    async def measured(
        port: int, tickets: Sequence[Ticket], cpu: Callable[[], float], chat: Chat | None = None
    ) -> tuple[int, Use]:
        sender = Sender(tickets[0])
        members = [sender, *map(Member, tickets[1:])]
        await connect_all(members, port)
        await asyncio.sleep(SETTLE if chat else 0)
        result = await flooded(members, [sender], window, seconds, cpu, profiled(options, chat, "a"))
        hang_up(members)
        return result

    async with serving(options, 1, people) as (chat, tickets):
        ours, use = await measured(chat.port, tickets[0], chat.cpu, chat)
        size = len(await _fragment(chat, tickets[0][0]))
    async with baseline(options, "raw", str(size)) as (port, cpu):
        raw, raw_use = await measured(port, [Ticket("RAW")] * people, cpu)
    remark = f"{size} bytes a text; {use.busy}"
    return [
        Row(
            "a deliveries per CPU s, 1 room × 200", ours / use.cpu, "", raw / raw_use.cpu, 0.9, remark=remark
        ),
        Row("a deliveries per s", ours / use.wall, "", raw / raw_use.wall, remark="raw: " + raw_use.busy),
        Row("a messages per s", ours / use.wall / people, "", raw / raw_use.wall / people),
    ]


async def _fragment(chat: Chat, ticket: Ticket) -> bytes:
    """One message as the server writes it."""
    page = await Page.open(chat.port, ticket)
    body = await page.get(f"/rooms/{ticket.code}")
    page.close()
    start = body.rindex(b"<li id=", 0, body.rindex(BODY.encode()))
    return body[start : body.index(b"</li>", start)] + b"</li>"


async def paced(options: Options) -> list[Row]:
    """b: one room of 1,000, 6 texts a second"""
    people, every, texts = options.some(1000), 1 / 6, int(options.seconds(15) * 6)
    took, sent = array("d"), array("d")
    async with serving(options, 1, people) as (chat, tickets):
        sender = Sender(tickets[0][0])
        members = [sender, *(Timed(ticket, sent, took.append) for ticket in tickets[0][1:])]
        await connect_all(members, chat.port)
        await asyncio.sleep(SETTLE)
        with profiled(options, chat, "b"):
            meter, start = Meter(chat.cpu), time.perf_counter()
            for number in range(texts):
                await asyncio.sleep(max(0.0, start + number * every - time.perf_counter()))
                sent.append(time.perf_counter())
                sender.say()
            await asyncio.sleep(every)
            use = meter.read()
        missing = texts * people - total(members)
        hang_up(members)
    latency = sorted(took)
    deliveries = texts * people
    return [
        Row("b p99 from sender to member", latency[int(len(latency) * 0.99)] * 1000, "ms", most=100),
        Row("b p50", latency[len(latency) // 2] * 1000, "ms"),
        Row("b deliveries per CPU s", deliveries / use.cpu, remark=f"{missing} missing; {use.busy}"),
        Row("b CPU per delivery", use.cpu / deliveries * 1e6, "µs"),
    ]


async def storm(options: Options) -> list[Row]:
    """e: 3,000 members of one room lose their server; it comes back, and so do they"""
    with database(options) as path:
        (tickets,) = await seats(sqlite(path), 1, options.some(3000))
        tabs: list[Tab] = []
        try:
            return await _storms(options, path, tickets, tabs)
        finally:
            hang_up(tabs)


async def _storms(options: Options, path: Path, tickets: Sequence[Ticket], tabs: list[Tab]) -> list[Row]:
    with Chat(options, sqlite(path)) as chat:
        tabs += [Tab(ticket, chat.port) for ticket in tickets]
        await connect_all(tabs, chat.port)
        await asyncio.sleep(SETTLE)
        before, start = await _said(tabs, LIVE), time.perf_counter()
        await asyncio.to_thread(chat.kill)
    async with _restarted(options, path, tabs, chat) as chat:
        rows = await _survived(chat, tabs, before, start, "SIGKILL")
        await asyncio.sleep(SETTLE)
        before, start = await _said(tabs, LIVE), time.perf_counter()
        chat.terminate()
        await asyncio.to_thread(chat.wait, 30)
    async with _restarted(options, path, tabs, chat) as chat:
        return rows + await _survived(chat, tabs, before, start, "SIGTERM")


@asynccontextmanager
async def _restarted(options: Options, path: Path, tabs: Sequence[Tab], chat: Chat) -> AsyncIterator[Chat]:
    for tab in tabs:
        tab.forget()
    await _write(path, tabs[0].ticket.code, MISSED)
    chat = Chat(options, sqlite(path), chat.port)
    await asyncio.to_thread(chat.__enter__)  # the tabs' timers run on meanwhile
    try:
        yield chat
    finally:
        chat.kill()


MISSED, LIVE = 30, 20  # texts that are stored while nobody serves; and with everybody there


async def _said(tabs: Sequence[Tab], texts: int) -> int:
    """How many texts each tab has, once it has so many more."""
    goal = tabs[0].texts + texts
    tabs[0].say(texts)
    await until(lambda: all(tab.texts >= goal for tab in tabs), 20)
    return goal


async def _survived(chat: Chat, tabs: Sequence[Tab], before: int, start: float, how: str) -> list[Row]:
    up, current = time.perf_counter(), before + MISSED
    complete = await until(lambda: all(tab.texts >= current for tab in tabs), 40)
    end, used = time.perf_counter(), chat.cpu()
    await _said(tabs, LIVE)
    attempts = sum(tab.attempts for tab in tabs) / len(tabs)
    errors = sum(tab.cuts + bool(tab.refused) for tab in tabs)
    wrong = sum(tab.texts != current + LIVE for tab in tabs)
    crowd = f"e {how}, {len(tabs)} reconnect:"
    parts = f"up again after {up - start:.1f} s, {attempts:.1f} attempts each"
    remark = parts if complete else f"{parts}; NOT ALL"
    return [
        Row(f"{crowd} all are current", end - start, "s", most=8, remark=remark),
        Row(f"{crowd} errors", errors, "", most=0, remark="refused, or cut off again"),
        Row(f"{crowd} with a text lost or doubled", wrong, "", most=0),
        Row(f"{crowd} CPU", used, "s"),
    ]


async def until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.perf_counter() + seconds
    while not done():
        if time.perf_counter() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def _write(path: Path, code: str, texts: int) -> None:
    """Add to the log while nobody serves it: what was stored but not told when the server died."""
    store = SQLiteStore(str(path))
    await store.open()
    for _ in range(texts):
        await store.append(code, 1, f"{time.perf_counter_ns()}", BODY)
    await store.close()


PLACES = {  # in a room, and where they are
    "newest 50": "",
    "older 50": "/earlier?before={middle}",
    "later 50": "/later?after={middle}",
    "a message": "/{middle}",
    "a day": "/on/{day}",
    "a day without messages": "/on/1999-12-31",
}


class Page:
    """A keep-alive connection that fetches pages as a browser's would, uncompressed."""

    def __init__(self, port: int, ticket: Ticket) -> None:
        self._head = f"Host: {HOST}:{port}\r\nCookie: chat={ticket.cookie}\r\n\r\n"

    @classmethod
    async def open(cls, port: int, ticket: Ticket) -> Page:
        page = cls(port, ticket)
        page._reader, page._writer = await asyncio.open_connection(HOST, port)
        return page

    async def get(self, path: str) -> bytes:
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._head}".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{path}: {head[:80]!r}")
        return await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))

    def close(self) -> None:
        self._writer.close()

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter


async def pages(options: Options) -> list[Row]:
    """f: pages of a room's end, middle, a message and a day, at a thousand and at a million messages"""
    many = options.some(1_000_000)
    small, big = await _pages(options, 1000), await _pages(options, many)
    rows = []
    for name, (wall, used), (wall_before, used_before) in zip(PLACES, big, small, strict=True):
        title = f"f GET {name} of {many:,}:"
        rows += [
            Row(f"{title} p50", wall, "ms", most=5, remark=f"{wall_before:.2f} ms at 1,000"),
            Row(f"{title} CPU", used, "ms", most=5),
            Row(f"{title} CPU against 1,000 messages", used, "ms", used_before, most=1.25),
        ]
    return rows


async def _pages(options: Options, messages: int) -> list[tuple[float, float]]:
    """ms of wall and of processor time for a page of each of the places."""
    with database(options) as path:
        ticket = (await seats(sqlite(path), 1, 20))[0][0]
        await asyncio.to_thread(_fill, path, messages)
        with Chat(options, sqlite(path)) as chat:
            page = await Page.open(chat.port, ticket)
            room = f"/rooms/{ticket.code}"
            results = []
            with profiled(options, chat, f"f{messages}"):
                for place in PLACES.values():
                    day = datetime.fromtimestamp(time.time() - messages * 10, UTC).date()  # of the middle
                    address = room + place.format(middle=messages // 2, day=day)
                    results.append(await _fetched(chat, page, address, options.some(300)))
            page.close()
    return results


async def _fetched(chat: Chat, page: Page, address: str, times: int) -> tuple[float, float]:
    for _ in range(20):
        await page.get(address)
    took, meter = [], Meter(chat.cpu)
    for _ in range(times):
        start = time.perf_counter()
        await page.get(address)
        took.append((time.perf_counter() - start) * 1000)
    return median(took), meter.read().cpu * 1000 / times


def _fill(path: Path, messages: int) -> None:
    """A room with a long past: 20 people who take turns, a message every 20 s."""
    start = int(time.time() * 1000) - messages * 20_000

    def author(id: int) -> int:
        return id // 3 % 20 + 1

    texts = ((id, f"{BODY} {id}") for id in range(1, messages + 1))
    rows = (
        (id, id, start + id * 20_000, author(id), id, author(id - 1), start + (id - 1) * 20_000)
        for id in range(1, messages + 1)
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.executemany("INSERT INTO text (serial, body) VALUES (?, ?)", texts)
        db.executemany(
            "INSERT INTO message (room, id, rev, at, author, text, before_author, before_at) "
            "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.execute("UPDATE room SET rev = ?", (messages,))
        db.execute("COMMIT")


async def appends(options: Options) -> list[Row]:
    """g: the store alone, 100 senders; and 100 rooms of one through sockets"""
    with database(options) as path:
        store = await appended(options, sqlite(path), 100, options.seconds(6))
    async with serving(options, 100, 1) as (chat, tickets):
        senders = [Sender(room[0]) for room in tickets]
        await connect_all(senders, chat.port)
        await asyncio.sleep(SETTLE)
        profile = profiled(options, chat, "g")
        sent, use = await flooded(senders, senders, 1, options.seconds(5), chat.cpu, profile)
        hang_up(senders)
    return [
        Row("g appends per s at the store, 100 senders", store["rate"], "", least=5000),
        Row(
            "g p99 of an append",
            store["p99"] * 1000,
            "ms",
            most=60,
            remark=f"p50 {store['p50'] * 1000:.1f} ms",
        ),
        Row("g CPU per append", store["cpu"] * 1e6, "µs"),
        Row("g messages per s through 100 sockets", sent / use.wall, remark=use.busy),
    ]


PARTS = {
    "a": fan_out,
    "b": paced,
    "e": storm,
    "f": pages,
    "g": appends,
}
