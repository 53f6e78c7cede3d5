"""Real PostgreSQL servers for the tests, started on free loopback ports."""

from __future__ import annotations

import atexit
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from serving import free_port, needed
from tls import certified

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_min_messages": "fatal",
}
AHEAD = 16  # schemas that one psql makes: to start it takes longer than to make one


class Postgres:
    """One server. `stop` and `start` keep port and data."""

    def __init__(self, programs: Path, data: Path, settings: Mapping[str, str], primary: int = 0) -> None:
        self._programs = programs
        self._data = data
        self.port = free_port()
        self._names = count()
        self._schemas: list[str] = []
        if primary:
            where = ["-h", "127.0.0.1", "-p", str(primary), "-U", "chat", "-D", str(data)]
            self._run("pg_basebackup", *where, "-R", "-N", "-c", "fast")
        else:
            self._run(
                "initdb", "-D", str(data), "-U", "chat", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
            )
        with open(data / "postgresql.conf", "a") as file:
            for name, value in {**SETTINGS, **settings, "port": self.port}.items():
                file.write(f"{name} = '{value}'\n")
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", str(self._data / "log"))

    def trust(self, network: str) -> None:
        """Accept connections from there, besides those of this machine."""
        with open(self._data / "pg_hba.conf", "a") as file:
            file.write(f"host all all {network} trust\n")
        self._run("pg_ctl", "reload", "-D", str(self._data))

    def standby(self) -> Postgres:
        """A server that follows this one. Stop it yourself."""
        return Postgres(self._programs, self._data.with_name("standby"), {}, primary=self.port)

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", mode)

    def restart(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "restart", "-w", "-D", str(self._data), "-m", mode, "-l", str(self._data / "log"))

    def kill(self) -> None:
        """End every process without warning; then `start` recovers what was committed."""
        pids = self.pids()
        for pid in pids:  # the parent first, or it would begin to recover
            _signal(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < deadline, "a process survived SIGKILL"
            time.sleep(0.01)

    def pause(self) -> None:
        """It keeps its connections and says nothing more."""
        for pid in self.pids():
            _signal(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    @property
    def runs(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pids(self) -> list[int]:
        """The parent, then its children."""
        parent = int((self._data / "postmaster.pid").read_text().split("\n")[0])
        return [
            parent,
            *(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == parent),
        ]

    def database(self, encoding: str = "UTF8") -> str:
        """The URL of a new, empty database."""
        name = f"chat_{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'", "postgres")
        return self.url(name)

    def schema(self) -> str:
        """The URL of a new, empty schema in a database that tests share: faster to have."""
        if not self._schemas:
            self._schemas = [f"chat_{next(self._names)}" for _ in range(AHEAD)]
            self.sql(";".join(f"CREATE SCHEMA {name}" for name in self._schemas), "postgres")
        return f"{self.url('postgres')}?search_path={self._schemas.pop()}"

    def url(self, name: str, port: int = 0) -> str:
        return f"postgresql://chat@127.0.0.1:{port or self.port}/{name}"

    def sql(self, statement: str, database: str) -> str:
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "chat", "-d", database]
        return self._run(*command, *where)

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._programs / program), *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        # A file, not a pipe: the server that pg_ctl leaves behind keeps it open.
        with tempfile.TemporaryFile("w+") as output:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=user, group=user,
                extra_groups=[] if user else None, cwd="/", timeout=60, check=False,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            )  # fmt: skip
            output.seek(0)
            said = output.read()
        assert ended.returncode == 0, f"{' '.join(command)}: {said}"
        return said.strip()


@cache
def the_server() -> Postgres:
    """The one that tests share until they end; fast, for none of them pulls the plug."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running(fsync="off", full_page_writes="off"))


@contextmanager
def running(folder: Path | None = None, **settings: str) -> Iterator[Postgres]:
    """A server for as long as the context lasts. Skips the test if PostgreSQL is not installed."""
    directory = Path(tempfile.mkdtemp(prefix="chat-postgres-", dir=folder))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres")
        server = Postgres(_programs(), directory / "data", settings)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def encrypted() -> Iterator[tuple[Postgres, Path]]:
    """A server that also speaks TLS, and the certificate by which it is known."""
    folder = Path(tempfile.mkdtemp(prefix="chat-tls-"))
    try:
        files = certified(folder, "IP:127.0.0.1")
        if os.geteuid() == 0:
            for path in (folder, *files):
                shutil.chown(path, "postgres")
        with running(ssl="on", ssl_cert_file=str(files[0]), ssl_key_file=str(files[1])) as server:
            yield server, files[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it ended while we looked


def _programs() -> Path:
    """Where the server's programs are; Debian keeps them off the path."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: float(p.split("/")[4]))
    initdb = found[-1] if found else shutil.which("initdb")
    return Path(needed(initdb, "postgresql")).parent
