"""Real redis-server processes for tests, each on a port of its own, and a cluster of three."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from serving import free_port, needed

SLOTS = 16384


def program() -> str:
    """The path of redis-server. Skips the test where there is none, unless CI is set."""
    return needed(shutil.which("redis-server") or shutil.which("valkey-server"), "redis-server")


class RedisServer:
    """Nothing is kept on disk: after a restart it knows nothing. Use it as a context manager."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [program(), *where, "--save", "", "--appendonly", "no", *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 15
        while True:
            try:
                self.ask("PING")
                return
            except redis.ConnectionError:
                assert self._process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)

    def kill(self) -> None:
        """End it without warning; then the port refuses."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", self.port)) != 0, "somebody still answers"

    @property
    def runs(self) -> bool:
        return self._process is not None

    def pause(self) -> None:
        """It keeps its connections and says nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | int) -> Any:
        """One command, over a connection of its own."""
        with redis.Redis(port=self.port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(*words)


class RedisCluster:
    """Three masters that share the slots."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.servers = []
        for n in range(3):
            (folder / str(n)).mkdir()
            where = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            self.servers.append(RedisServer(folder / str(n), *options, *where))
        self.url = ",".join(server.url for server in self.servers)

    def keeper(self, tag: str) -> RedisServer:
        """The one that has what is kept under {tag}."""
        slot = self.servers[0].ask("CLUSTER", "KEYSLOT", f"{{{tag}}}")
        return self.servers[next(n for n in range(3) if slot < (n + 1) * SLOTS // 3)]

    def __enter__(self) -> Self:
        first = None
        for n, server in enumerate(self.servers):
            server.start()
            server.ask("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            first = first or server
        assert first is not None
        for server in self.servers[1:]:
            first.ask("CLUSTER", "MEET", "127.0.0.1", server.port, server._options[-1])
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.kill()

    @property
    def whole(self) -> bool:
        """Every server that answers would serve everything."""
        infos = [server.ask("CLUSTER", "INFO") for server in self.servers if server.runs]
        return all(map(_complete, infos))

    def wait(self) -> None:
        """Return once all three serve all that is theirs."""
        deadline = time.monotonic() + 30
        while not self.whole:
            assert time.monotonic() < deadline, "the cluster does not form"
            time.sleep(0.05)


def _complete(info: str | dict[str, str]) -> bool:
    lines: Iterable[str]
    lines = (f"{k}:{v}" for k, v in info.items()) if isinstance(info, dict) else info.splitlines()
    return {"cluster_state:ok", "cluster_known_nodes:3"} <= set(lines)
