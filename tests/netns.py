"""Nodes and servers in network namespaces, cut apart so that neither hears of it: python -m tests.netns

As root. A node whose packets vanish hears of no reset and no end, which no proxy on the way can bring about.
All is in namespaces of this run; the machine's own network is left alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

sys.path.insert(0, str(Path(__file__).parent))

from chaos.checker import Tally
from chaos.crowd import FRESH, GONE, SLACK, Crowd, gathered
from chaos.place import Place
from deployments import SECRET
from faults import Proxy
from postgres import Postgres, running
from redis_server import RedisServer
from serving import Server

CLONE_NEWNET = 0x40000000
RUN = f"chat{os.getpid()}"
DATA = "10.203.0.1"  # PostgreSQL and Redis, as the nodes see them
SETTLED = 8.0  # s after which the other node has to work as ever


class Net:
    """A namespace for the data and the people, which is this process's, one for each node, and a switch.

    The nodes reach the data over the switch, the people reach the nodes by cables of their own. To take a
    port off the switch drops what comes and goes, and neither side sees its link go down.
    """

    def __init__(self) -> None:
        self._made: list[str] = []

    def __enter__(self) -> Self:
        for name in ("switch", "data", "node0", "node1"):
            ip("netns", "add", f"{RUN}-{name}")
            self._made.append(name)
            inside(name, "ip", "link", "set", "lo", "up")
        inside("switch", "ip", "link", "add", "bridge", "type", "bridge")
        inside("switch", "ip", "link", "set", "bridge", "up")
        self._plug("data", DATA)
        for n in range(2):
            self._plug(f"node{n}", f"10.203.0.{n + 2}")
            pair("people", f"node{n}", f"node{n}", "data")
            addressed("data", f"node{n}", f"10.203.{n + 1}.1")
            addressed(f"node{n}", "people", f"10.203.{n + 1}.2")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._made:
            ip("netns", "del", f"{RUN}-{name}")

    def _plug(self, name: str, address: str) -> None:
        pair("eth", name, name, "switch")
        addressed(name, "eth", address)
        inside("switch", "ip", "link", "set", name, "up")
        self.join(name)

    def join(self, name: str) -> None:
        inside("switch", "ip", "link", "set", name, "master", "bridge")

    def cut(self, name: str) -> None:
        inside("switch", "ip", "link", "set", name, "nomaster")


def ip(*words: str) -> None:
    ended = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=30)
    if ended.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {ended.stderr.strip()}")


def inside(name: str, *command: str) -> None:
    ip("netns", "exec", f"{RUN}-{name}", *command)


def pair(link: str, peer: str, name: str, other: str) -> None:
    """A cable: the end `link` in the namespace `name`, the end `peer` in the namespace `other`."""
    where = ["netns", f"{RUN}-{name}"], ["netns", f"{RUN}-{other}"]
    ip("link", "add", link, *where[0], "type", "veth", "peer", "name", peer, *where[1])


def addressed(name: str, link: str, address: str) -> None:
    inside(name, "ip", "address", "add", f"{address}/24", "dev", link)
    inside(name, "ip", "link", "set", link, "up")


@contextmanager
def within(name: str) -> Iterator[None]:
    """This thread, and the processes that it starts, are in a namespace."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{RUN}-{name}") as there:
        enter(there.fileno())
        try:
            yield
        finally:
            enter(home.fileno())


def enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Apart(Place):
    """Two nodes, each in a namespace of its own; the people come to them by way of honest proxies."""

    def __init__(self, postgres: Postgres, redis: RedisServer) -> None:
        super().__init__(postgres, redis, {"CHAT_DATABASE_URL": postgres.database()})
        self._doors: list[Proxy] = []

    @property
    def ports(self) -> list[int]:
        return [door.port for door in self._doors]

    async def start(self, stack: AsyncExitStack) -> None:
        stack.callback(self.end)
        env = {"CHAT_DATABASE_URL": self.database, "CHAT_REDIS_URL": self.redis.url}
        env = {name: url.replace("127.0.0.1", DATA) for name, url in env.items()}
        for n in range(2):
            port = 8000 + n
            where = f"10.203.{n + 1}.2"
            options = ("--bind", f"{where}:{port}")
            node = Server(env=env | {"CHAT_SECRET_KEY": SECRET}, port=port, options=options)
            await asyncio.to_thread(started, node, f"node{n}")
            self.nodes.append(node)
            self._doors.append(await stack.enter_async_context(Proxy(port, where)))


def started(node: Server, name: str) -> None:
    with within(name):
        node.__enter__()


async def one_node_cut_off(net: Net, place: Place, tally: Tally) -> None:
    """The others work as ever; its pages say so; nothing is lost or doubled when it is back."""
    async with gathered(place, tally) as crowd:
        crowd.talk()
        await crowd.talk_for(0.5, 1.5)
        far = [tab for tab in crowd.tabs if tab.doors[0] == place.ports[0]]
        near = [tab for tab in crowd.tabs if tab not in far]
        left = [tab.name for tab in far if tab not in crowd.senders]  # readers stay where they are
        net.cut("node0")
        since = asyncio.get_running_loop().time()
        try:
            await timed("its pages say so", since, crowd, lambda: all(tab.outage for tab in far), FRESH)
            await asyncio.sleep(max(0.0, since + SETTLED - asyncio.get_running_loop().time()))
            before = [len(tab.acknowledged) for tab in near]
            gone = lambda: not any(name in tab.rosters[-1].names for tab in near for name in left)  # noqa: E731
            await timed("its people are gone elsewhere", since, crowd, gone, GONE)
            after = [len(tab.acknowledged) for tab in near if tab in crowd.senders]
            assert all(a > b for a, b in zip(after, before, strict=False)), "the other node stands still"
        finally:
            net.join("node0")
        healed = asyncio.get_running_loop().time()
        await timed("all is said to be well", healed, crowd, lambda: not any(t.outage for t in far), GONE)
        await crowd.rest()


async def all_cut_off(net: Net, place: Place, tally: Tally) -> None:
    """PostgreSQL and Redis vanish for everybody."""
    async with gathered(place, tally) as crowd:
        crowd.talk()
        await crowd.talk_for(0.5, 1.5)
        net.cut("data")
        since = asyncio.get_running_loop().time()
        try:
            await timed("every page says so", since, crowd, lambda: all(t.outage for t in crowd.tabs), FRESH)
            await crowd.talk_for(4, 12)
        finally:
            net.join("data")
        await crowd.rest()


async def timed(what: str, since: float, crowd: Crowd, happened: Callable[[], bool], bound: float) -> None:
    loop = asyncio.get_running_loop()
    await crowd.until(happened, since + bound + SLACK - loop.time(), what)
    print(f"  {what}: after {loop.time() - since:.1f} s (promised: {bound:g})", flush=True)


async def run(net: Net, folder: Path, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(running(listen_addresses=f"127.0.0.1,{DATA}"))
        postgres.trust("10.203.0.0/24")
        options = ("--bind", "127.0.0.1", DATA, "--protected-mode", "no")
        redis = stack.enter_context(RedisServer(folder, *options))
        place = Apart(postgres, redis)
        await place.start(stack)
        for check in (one_node_cut_off, all_cut_off):
            tally = Tally()
            for _ in range(rounds):
                print(check.__name__, flush=True)
                one = Tally()
                await check(net, place, one)
                tally.add(one)
            print(f"{check.__name__}: {tally}", flush=True)


def main() -> int:
    if os.geteuid():
        print("namespaces are made by root")
        return 1
    rounds = int(os.environ.get("CHAOS_ROUNDS", "2"))
    with TemporaryDirectory(prefix="chat-netns-") as folder, Net() as net, within("data"):
        asyncio.run(run(net, Path(folder), rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
