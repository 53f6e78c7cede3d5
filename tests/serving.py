"""A real `hypercorn` command in a process group of its own, for tests."""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

REPO = Path(__file__).parents[1]
HYPERCORN = Path(sys.executable).with_name("hypercorn")
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
FIRST_PORT, PARTS = 11_000, 32  # of the ports that tests use, and of how many workers


class Server:
    """Use it as a context manager: entering waits until the port answers, leaving kills what is left."""

    def __init__(
        self,
        app: str = "chat.app:create_app()",
        *,
        config: Path | None = REPO / "hypercorn.toml",
        env: Mapping[str, str] | None = None,
        cwd: Path = REPO,
        port: int | None = None,
        program: Path = HYPERCORN,
        options: tuple[str, ...] = (),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [str(program), "--bind", f"127.0.0.1:{self.port}", "--error-logfile", "-", *options]
        if config is not None:
            self._command += ["--config", str(config)]
        self._command.append(app)
        # What Python has compiled is kept for the next start, which takes a third less then.
        self.env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(env or {})}
        self._cwd = cwd
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._silent = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Run it, on the same port again if it has ended."""
        self._lines, self._silent = [], False
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self.wait_for_log("Running on ")
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()

    @property
    def log(self) -> str:
        """Everything that the server has written so far, and all of it once the server has ended."""
        with self._news:
            return "".join(self._lines)

    def wait_for_log(self, text: str, timeout: float = 15, count: int = 1) -> None:
        """Block until the server writes `text` (so often); fail with its log if it ends or takes too long."""
        with self._news:
            self._news.wait_for(
                lambda: self._silent or sum(text in line for line in self._lines) >= count, timeout
            )
        assert self.log.count(text) >= count, f"the server did not say {text!r}:\n{self.log}"

    @property
    def pids(self) -> list[int]:
        """The living processes of the server, the parent first."""
        return sorted(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._owns(pid))

    def _owns(self, pid: int) -> bool:
        try:
            state, _parent, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            return False  # it ended while we looked
        return int(group) == self._process.pid and state not in "ZX"

    @property
    def workers(self) -> list[int]:
        """The processes that serve: the command itself (`workers = 0`), or those that it spawned."""
        spawned = [pid for pid in self.pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return spawned or self.pids

    def rss(self) -> int:
        """Bytes of memory that the server's processes occupy."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def pause(self) -> None:
        """It keeps its connections and says nothing more."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def terminate(self) -> None:
        """Ask the parent to end, as a user would. Returns at once."""
        self._process.send_signal(signal.SIGTERM)

    def terminate_all(self) -> None:
        """Ask every process to end, as a service manager would. Returns at once."""
        os.killpg(self._process.pid, signal.SIGTERM)

    def wait(self, timeout: float = 15) -> int:
        """Block until the server has ended by itself, and return its exit code."""
        code = self._process.wait(timeout)
        self._listener.join(timeout)
        return code

    def kill(self) -> None:
        """End every process of the server without warning; then the port refuses."""
        pids = self.pids
        endings = [fd for pid in pids if (fd := _pidfd(pid)) is not None]
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _wait_all(endings, 10)
        self._process.wait(10)
        self._listener.join(10)
        assert not self.pids, f"still alive: {self.pids}"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0, "somebody still answers"


def guarded(folder: Path, loop: str, *lines: str, options: tuple[str, ...] = ()) -> Server:
    """The application of guarded_app.py on one of LOOPS, with more lines in its configuration."""
    config = folder / "hypercorn.toml"
    config.write_text("\n".join([f'worker_class = "{loop}"', *lines, ""]))
    return Server("tests.guarded_app:create_app()", config=config, options=options)


def needed(program: str | None, package: str) -> str:
    """Where a program was found. Skips the test if it was not, unless CI is set."""
    if program is not None:
        return program
    missing = f"apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """One that nobody else is given, though its server should be down for a while.

    The system gives its clients none of these, and each worker that runs tests has a part of them.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _ports() -> Iterator[int]:
    """Round and round through this worker's part, from anywhere: other tests may run on this machine."""
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    size = (end - FIRST_PORT) // PARTS
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS
    start = random.randrange(size)
    for n in itertools.count(start):
        yield FIRST_PORT + worker * size + n % size


_PORTS = _ports()


def _pidfd(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _wait_all(pidfds: list[int], timeout: float) -> None:
    """A pidfd is readable from the moment its process has ended, also of one whose parent is another."""
    deadline = time.monotonic() + timeout
    for fd in pidfds:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(max(0.0, deadline - time.monotonic()) * 1000), "a process survived SIGKILL"
        os.close(fd)
