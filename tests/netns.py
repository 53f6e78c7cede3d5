"""Half-open connections for certain: nodes and servers in network namespaces, cut apart: python -m tests.netns

As root. A node whose packets vanish hears of no reset and no end: what no proxy on one machine can do.
Everything happens in namespaces of this run; the machine's own network is left alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

from chaos.checker import Tally
from chaos.crowd import FRESH, GONE, SLACK, Crowd, gathered
from chaos.place import Place
from deployments import SECRET
from postgres import Postgres, running
from redis_server import RedisServer
from serving import Server, free_port

CLONE_NEWNET = 0x40000000
RUN = f"chat{os.getpid()}"
DATA = "10.203.0.1"  # PostgreSQL and Redis, seen by the nodes
PEOPLE = "10.203.1.1"
AWAY = 20.0  # s of silence: longer than a lease, and than every wait of a node


class Net:
    """A namespace for each of: the data, the people, two nodes, and the switch between nodes and data.

    Taking a port off the switch drops what comes and goes, and neither side's link goes down.
    """

    def __init__(self) -> None:
        self._made: list[str] = []

    def __enter__(self) -> Net:
        for name in ("switch", "data", "people", "node0", "node1"):
            ip("netns", "add", f"{RUN}-{name}")
            self._made.append(name)
            inside(name, "ip", "link", "set", "lo", "up")
        inside("switch", "ip", "link", "add", "bridge", "type", "bridge")
        inside("switch", "ip", "link", "set", "bridge", "up")
        self._plug("data", DATA)
        for n in range(2):
            self._plug(f"node{n}", f"10.203.0.{n + 2}")
            self._lead(n)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._made:
            ip("netns", "del", f"{RUN}-{name}")

    def _plug(self, name: str, address: str) -> None:
        pair("data", name, name, "switch")
        addressed(name, "data", f"{address}/24")
        inside("switch", "ip", "link", "set", name, "up")
        self.join(name)

    def _lead(self, n: int) -> None:
        """The way of the people to a node does not go over the switch."""
        pair("people", f"node{n}", f"node{n}", "people")
        addressed("people", f"node{n}", f"10.203.{n + 1}.1/24")
        addressed(f"node{n}", "people", f"10.203.{n + 1}.2/24")

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
    inside(name, "ip", "address", "add", address, "dev", link)
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
