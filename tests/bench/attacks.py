"""What one hostile visitor costs everybody else, in this tree and in an older one."""

from __future__ import annotations

import http.client
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving import REPO, Server

from . import attacker, bursts
from .parts import Row
from .servers import Options, cpu, database, sqlite

DESCRIPTORS = 1024  # Debian's default
LONGEST_WAIT = 25.0  # s that the visitor waits for one page
ATTACK = 30.0  # s that an attack is watched
VISITOR = ("127.0.0.2", 0)  # not the attacker's address
CALM = 1.0  # s without a wait: it is over
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    cpu: float
    wait: float
    memory: float  # MiB
    log: int  # bytes

    def __str__(self) -> str:
        return f"CPU {self.cpu:.1f} s, memory +{self.memory:.0f} MiB, log {self.log:,} B"


async def attacks(options: Options) -> list[Row]:
    """x  what one attacker costs: the longest wait of another visitor; baseline: the tree of --tree"""
    rows = []
    for name, attack in attacker.ATTACKS.items():
        before = _measured(options, name, options.tree) if options.tree else None
        after = _measured(options, name, REPO)
        remark = f"{after}; before: {before}" if before else str(after)
        rows.append(
            Row(f"x {attack.__doc__}", after.wait, "s", before.wait if before else None, remark=remark)
        )
    return rows + await bursts.bursts(options) + await bursts.school(options)


def _measured(options: Options, name: str, tree: Path) -> Cost:
    with database(options) as file:
        env = {"CHAT_DATABASE_URL": sqlite(file), "PYTHONPATH": str(tree)}
        server = Server(env=env, cwd=tree, config=tree / "hypercorn.toml")
        with _few_descriptors():
            server.start()
        try:
            return _watched(server, name)
        finally:
            server.kill()


def _watched(server: Server, name: str) -> Cost:
    """A visitor reads the first page again and again, while the attacker is at work and until it is calm."""
    _wait(server.port)
    used, memory, written = sum(map(cpu, server.pids)), server.rss(), len(server.log)
    script = Path(attacker.__file__)
    end = time.monotonic() + ATTACK
    longest, most, calm_since = 0.0, memory, 0.0
    with subprocess.Popen([sys.executable, str(script), name, str(server.port)]) as hostile:
        while time.monotonic() < end:
            waited = _wait(server.port)
            longest, most = max(longest, waited), max(most, server.rss())
            now = time.monotonic()
            if hostile.poll() is None or waited > 0.25:
                calm_since = now
            elif now - calm_since > CALM:
                break
            time.sleep(0.05)
        hostile.kill()
    log = len(server.log.encode()) - written
    return Cost(sum(map(cpu, server.pids)) - used, longest, (most - memory) / MIB, log)


def _wait(port: int) -> float:
    """Seconds until a page is there; the longest if it never is."""
    start = time.perf_counter()
    visitor = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT, source_address=VISITOR)
    with suppress(OSError, http.client.HTTPException):
        visitor.request("GET", "/")
        visitor.getresponse().read()
        visitor.close()
        return time.perf_counter() - start
    visitor.close()
    return LONGEST_WAIT


@contextmanager
def _few_descriptors() -> Iterator[None]:
    """A server that is started meanwhile may open as many files as a service does by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


PARTS = {"x": attacks}
