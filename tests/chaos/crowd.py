"""People who write and read on both nodes, and come to rest when they are asked to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from .checker import Tally, examine, logged, new_to, pages, told, unread
from .place import Place
from .tab import Line, Tab, ask, look

SENDERS, READERS = 6, 4
PACE = (0.1, 0.6)  # s between the texts of one sender
MANY = 60  # texts on their way: a person would wait
ACTS = 0.2  # of the times that somebody writes, they also do something to a message
REPLIES = 0.3  # of the texts answer another one
SLACK = 3.0  # s that a machine with too much to do may add to what is promised
FRESH = 6.0  # s in which everybody sees what was accepted, whatever is away
GONE = 16.0  # s in which a roster is right again
REST = 90.0  # s in which everybody has come back, been answered and seen all


class Crowd:
    def __init__(self, place: Place, code: str, tabs: Sequence[Tab], tally: Tally) -> None:
        self.place = place
        self.code = code
        self.tabs = list(tabs)
        self.senders = self.tabs[:SENDERS]
        self._gone: list[Tab] = []
        self.tally = tally
        self._talking: list[asyncio.Task[None]] = []

    def __str__(self) -> str:
        """What can be seen from outside, for a test that failed."""
        return "\n".join(map(str, self.tabs))

    @property
    def names(self) -> list[str]:
        return sorted(tab.name for tab in self.tabs)

    @property
    def acknowledged(self) -> int:
        return sum(len(tab.acknowledged) for tab in self.tabs)

    def talk(self, node: int | None = None) -> None:
        """All senders write; or those of one node only: nothing then tells the other to look at the log."""
        here = [tab for tab in self.senders if node is None or tab.doors[0] == self.place.ports[node]]
        self._talking = [asyncio.create_task(_talk(tab)) for tab in here]

    async def hush(self) -> None:
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        self._talking = []

    async def talk_for(self, least: float, most: float) -> None:
        await asyncio.sleep(random.uniform(least, most))

    async def part(self, tabs: Sequence[Tab]) -> None:
        """These people close their pages, whatever was on its way."""
        self._gone += tabs
        self.tabs = [tab for tab in self.tabs if tab not in tabs]
        await asyncio.gather(*(tab.close() for tab in tabs))

    async def until(self, happened: Callable[[], object], seconds: float, what: str) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not happened():
            for tab in self.tabs:
                tab.check()
            assert asyncio.get_running_loop().time() < deadline, f"not within {seconds:.0f} s: {what}\n{self}"
            await asyncio.sleep(0.02)

    async def rest(self) -> None:
        """Fall silent; then everything typed is acknowledged, seen by all, and as the log has it."""
        await self.hush()
        await self.until(self._answered, REST, "everything is acknowledged")
        await self.until(self._without_outage, REST, "no page says that something is out of order")
        await self.roll_call(self.names)
        await self.examine()
        await self.read()
        self.tally.rounds += 1

    async def roll_call(self, names: Sequence[str]) -> None:
        """Every page has this roster, the open ones and those that are loaded now."""
        await self.until(lambda: self.shown(names), GONE + SLACK, f"the rosters say {names}")
        for port in self.place.ports:
            page = await look(port, f"/rooms/{self.code}", self.tabs[0].cookie)
            assert sorted(person.text for person in page.all("#roster li bdi")) == names

    def _answered(self) -> bool:
        return not any(tab.waiting for tab in self.tabs)

    def shown(self, names: Sequence[str]) -> bool:
        newest = [tab.rosters[-1] for tab in self.tabs]
        return all(sorted(roster.names) == names and not roster.frozen for roster in newest)

    def _without_outage(self) -> bool:
        return not any(tab.outage for tab in self.tabs)

    async def examine(self) -> None:
        """Compare the pages, once they have had the time in which they promise to be right, with the log."""
        deadline = asyncio.get_running_loop().time() + FRESH + SLACK
        while True:
            shown = [await pages(port, self.code, self.tabs[0].cookie) for port in self.place.ports]
            same = all(_seen(tab.lines) == _seen(shown[0][-len(tab.lines) :]) for tab in self.tabs)
            if (same and shown[0] == shown[1]) or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.1)
        messages = await logged(self.place.database, self.code)
        assert shown[0] == shown[1], "the nodes show different histories"
        examine(self.tally, messages, shown[0], self.tabs, self._gone)
        assert not self.tally.complaints, "\n".join(self.tally.complaints)

    async def read(self) -> None:
        """Everybody says up to where they have read: soon the same is new to them wherever they look."""
        said = {tab: random.choice(tab.lines[-20:]).id for tab in self.tabs}
        for tab, id in said.items():
            await tab.read(id, random.choice(self.place.ports))
        deadline = asyncio.get_running_loop().time() + FRESH + SLACK
        while True:
            found = await unread(self.place.database, self.code)
            shown = {tab: [await new_to(port, tab) for port in self.place.ports] for tab in self.tabs}
            wrong = [tab for tab in self.tabs if not found[tab.name].is_shown(shown[tab], said[tab])]
            if not wrong:
                return
            assert asyncio.get_running_loop().time() < deadline, [
                (tab.name, said[tab], found[tab.name], shown[tab]) for tab in wrong
            ]
            await asyncio.sleep(0.5)

    async def told(self) -> tuple[int, int]:
        """How many people the room was told have entered and have left."""
        messages = await logged(self.place.database, self.code)
        return told(messages, "arrived", "entered"), told(messages, "away", "left")

    def in_time(self, since: float) -> None:
        """What was acknowledged after `since` was seen by the last one soon enough after that."""
        changed = {text for tab in self.tabs for text in tab.changed | tab.deleted}
        known = {text: at for tab in self.tabs for text, at in tab.acknowledged.items() if at >= since}
        times = {text: at for text, at in known.items() if text not in changed}
        waits = {text: max(tab.seen[text] for tab in self.tabs) - at for text, at in times.items()}
        self.tally.slowest = max(self.tally.slowest, *waits.values())
        assert self.tally.slowest < FRESH + SLACK, {
            text: wait for text, wait in waits.items() if wait > FRESH
        }


def _seen(lines: Sequence[Line]) -> list[object]:
    return [item.seen for item in lines]


async def _talk(tab: Tab) -> None:
    while True:
        if tab.waiting < MANY:
            answered = tab.anything_said() if random.random() < REPLIES else 0
            tab.type(f"{tab.name} {len(tab.typed)}", answered)
        if random.random() < ACTS:
            await tab.act()
        await asyncio.sleep(random.uniform(*PACE))


@asynccontextmanager
async def gathered(place: Place, tally: Tally, doors: Iterable[Sequence[int]] = ()) -> AsyncIterator[Crowd]:
    """A room with everybody in it, half on each node; `doors` are other ways in, one for each person."""
    ways = list(doors) or [place.ports[n % 2 :] + place.ports[: n % 2] for n in range(SENDERS + READERS)]
    made = await ask(ways[0][0], "/", form={"name": "Host", "create": "1"})
    code = made.headers["location"].removeprefix("/rooms/")
    host = made.headers["set-cookie"].partition(";")[0]
    assert (await ask(ways[0][0], f"/rooms/{code}/comings", host, {"on": "1"})).status == 303
    names = [f"{'Sender' if n < SENDERS else 'Reader'}{n}" for n in range(len(ways))]
    tabs = [await Tab.opened(name, code, way) for name, way in zip(names, ways, strict=True)]
    crowd = Crowd(place, code, tabs, tally)
    try:
        await crowd.roll_call(crowd.names)
        yield crowd
    finally:
        await crowd.hush()
        await asyncio.gather(*(tab.close() for tab in tabs))
