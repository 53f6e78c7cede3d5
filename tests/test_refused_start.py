"""What the operator sees when the chat refuses to start: one line, the setting, the fix, and an exit code."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from postgres import the_server
from serving import HYPERCORN, REPO, Server, free_port

CONFIG_ERROR = 78  # EX_CONFIG of sysexits.h
SECRET = "a secret of sixteen or more"
WAITING = "start-waiting"  # a line that says what the start waits for
APP = "chat.app:create_app()"
Env = dict[str, str]


class Ended:
    """A `hypercorn` command that ran until its end."""

    def __init__(self, env: Mapping[str, str], *options: str, config: bool = True, app: str = APP) -> None:
        chosen = ["--config", str(REPO / "hypercorn.toml")] if config else []
        command = [str(HYPERCORN), "--bind", f"127.0.0.1:{free_port()}", *chosen, *options]
        self.began = time.monotonic()
        with subprocess.Popen(
            [*command, app],
            cwd=REPO,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as running:
            kill = threading.Timer(75, os.killpg, (running.pid, signal.SIGKILL))
            kill.start()
            assert running.stdout is not None
            self.lines = [line.rstrip("\n") for line in running.stdout]
            self.code = running.wait()
            kill.cancel()

    @property
    def refusals(self) -> list[str]:
        return [line for line in self.lines if line.startswith("chat: ")]


def of_another_key(folder: Path, stack: ExitStack) -> Env:
    env = {"CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db", "CHAT_SECRET_KEY": SECRET}
    with Server(env=env) as server:
        server.terminate()
        server.wait()
    return env | {"CHAT_SECRET_KEY": "another secret of sixteen"}


def on_a_file(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db"}


def on_postgres_without_redis(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_DATABASE_URL": the_server().database(), "CHAT_SECRET_KEY": SECRET}


def in_use(folder: Path, stack: ExitStack) -> Env:
    env = on_a_file(folder, stack)
    stack.enter_context(Server(env=env))
    return env


def without_a_folder(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_DATABASE_URL": f"sqlite:///{folder}/missing/chat.db"}


def with_a_wrong_switch(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_RATE_LIMIT": "maybe", "CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db"}


def on_an_unknown_database(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_DATABASE_URL": "mysql://x"}


def of_a_newer_schema(folder: Path, stack: ExitStack) -> Env:
    with sqlite3.connect(folder / "chat.db") as db:
        db.execute("CREATE TABLE room (id)")
        db.execute(f"PRAGMA application_id = {0x63686174}")
        db.execute("PRAGMA user_version = 9999")
    (folder / "chat.db").chmod(0o600)  # or a line says that it was made private
    return {"CHAT_DATABASE_URL": f"sqlite:///{folder}/chat.db"}


def without_redis_beside_another(folder: Path, stack: ExitStack) -> Env:
    env = on_postgres_without_redis(folder, stack)
    stack.enter_context(Server(env=env))
    return env


def without_a_key_on_postgres(folder: Path, stack: ExitStack) -> Env:
    return {"CHAT_DATABASE_URL": the_server().database()}


def without_postgres(folder: Path, stack: ExitStack) -> Env:
    url = f"postgresql://chat@127.0.0.1:{free_port()}/chat"
    return {"CHAT_DATABASE_URL": url, "CHAT_SECRET_KEY": SECRET}


def with_a_silent_postgres(folder: Path, stack: ExitStack) -> Env:
    port = stack.enter_context(answering(lambda asked: b""))
    url = f"postgresql://chat@127.0.0.1:{port}/chat"
    return {"CHAT_DATABASE_URL": url, "CHAT_SECRET_KEY": SECRET}


def with_an_old_redis(folder: Path, stack: ExitStack) -> Env:
    info = b"# Server\r\nredis_version:6.2.7\r\nredis_mode:standalone\r\n"

    def answer(asked: bytes) -> bytes:
        """Several commands may come in one go."""
        commands = re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", asked)
        known = b"$%d\r\n%s\r\n" % (len(info), info)
        return b"".join(known if command == b"INFO" else b"+OK\r\n" for command in commands)

    port = stack.enter_context(answering(answer))
    return {
        "CHAT_DATABASE_URL": the_server().database(),
        "CHAT_SECRET_KEY": SECRET,
        "CHAT_REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A server that answers what it is sent, by this function."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        listener.settimeout(90)

        def serve(peer: socket.socket) -> None:
            try:
                while asked := peer.recv(65536):
                    peer.sendall(answer(asked))
            except OSError:
                pass

        def accept() -> None:
            try:
                while True:
                    peer = listener.accept()[0]
                    stack.enter_context(peer)
                    threading.Thread(target=serve, args=(peer,), daemon=True).start()
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


SOON = [  # refused at once
    (of_another_key, "CHAT_SECRET_KEY", "Set the same on every node"),
    (without_a_folder, "CHAT_DATABASE_URL", "Make it, or name another place"),
    (with_a_wrong_switch, "CHAT_RATE_LIMIT", "use on or off"),
    (on_an_unknown_database, "CHAT_DATABASE_URL", "Use sqlite:///chat.db or postgresql://"),
    (of_a_newer_schema, "CHAT_DATABASE_URL", "Install that release again"),
    (without_a_key_on_postgres, "CHAT_SECRET_KEY", "openssl rand -base64 32"),
    (with_an_old_redis, "CHAT_REDIS_URL", "use Redis 7 or newer"),
]
WAITED_FOR = [  # refused once the wait was in vain
    (in_use, "CHAT_DATABASE_URL", "stop the other", "chat.db"),
    (without_redis_beside_another, "CHAT_REDIS_URL", "set CHAT_REDIS_URL to the same on each", "PostgreSQL"),
    (without_postgres, "CHAT_DATABASE_URL", "Start it, or correct the address", "PostgreSQL"),
    (with_a_silent_postgres, "CHAT_DATABASE_URL", "Start it, or correct the address", "PostgreSQL"),
]
TWO_WORKERS = [
    (on_a_file, "set workers = 0 in hypercorn.toml"),
    (on_postgres_without_redis, "set CHAT_REDIS_URL to the same on each"),
]


def assert_refused(ended: Ended, setting: str, fix: str) -> None:
    text = "\n".join(ended.lines)
    (refusal,) = ended.refusals
    assert refusal == ended.lines[-1], text
    assert setting in refusal.partition(". ")[0], "the setting comes first"
    assert fix in refusal
    assert "Traceback" not in text
    assert "Running on" not in text
    usual = (WAITING, "fsync = off")  # the latter is how the tests run PostgreSQL
    others = [line for line in ended.lines[:-1] if not any(words in line for words in usual)]
    assert not others, "what else is said hides the refusal"


@pytest.mark.parametrize(("case", "setting", "fix"), SOON)
def test_a_start_refused_is_one_line_and_a_code_that_is_not_0(
    case: Callable[[Path, ExitStack], Env], setting: str, fix: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        ended = Ended(case(tmp_path, stack))
    assert_refused(ended, setting, fix)
    assert ended.code == CONFIG_ERROR


@pytest.fixture(scope="module")
def waited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Each waits for half a minute: all at once."""
    with ExitStack() as stack, ThreadPoolExecutor(len(WAITED_FOR) + len(TWO_WORKERS)) as pool:
        cases = [(row[0], ()) for row in WAITED_FOR] + [(row[0], ("--workers", "2")) for row in TWO_WORKERS]
        waiting = {
            case.__name__: pool.submit(Ended, case(tmp_path_factory.mktemp("chat"), stack), *options)
            for case, options in cases
        }
        return {name: ended.result() for name, ended in waiting.items()}


@pytest.mark.parametrize(("case", "setting", "fix", "awaited"), WAITED_FOR)
def test_a_start_that_waits_says_what_for(
    case: Callable[[Path, ExitStack], Env], setting: str, fix: str, awaited: str, waited: dict[str, Ended]
) -> None:
    ended = waited[case.__name__]
    assert_refused(ended, setting, fix)
    assert ended.code == CONFIG_ERROR
    (waiting,) = [line for line in ended.lines if WAITING in line]
    assert awaited in waiting
    assert re.search(r"\d+ s", waiting), "it says for how long"


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_refused_workers_end_their_manager(workers: str, loop: str, tmp_path: Path) -> None:
    env = without_a_folder(tmp_path, ExitStack())
    ended = Ended(env, "--workers", workers, "--worker-class", loop, config=False)
    assert_refused(ended, "CHAT_DATABASE_URL", "Make it, or name another place")
    assert ended.code not in {0, None}


@pytest.mark.parametrize(("case", "fix"), TWO_WORKERS)
def test_one_worker_refused_ends_those_that_serve(
    case: Callable[[Path, ExitStack], Env], fix: str, waited: dict[str, Ended]
) -> None:
    """It waits for the other one, which has the database to itself."""
    ended = waited[case.__name__]
    (refusal,) = ended.refusals
    assert fix in refusal
    assert "stopped" in ended.lines[-1] or refusal == ended.lines[-1], "the other worker ended in peace"
    assert "Traceback" not in "\n".join(ended.lines)
    assert ended.code != 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_fault_at_the_start_shows_its_traceback_and_is_no_clean_end(workers: str, tmp_path: Path) -> None:
    """Not a wrong setting but a bug: a report of it needs the traceback."""
    (tmp_path / "broken.py").write_text(
        "import chat.app\n"
        "async def open_context(settings): raise RuntimeError('a bug')\n"
        "chat.app.open_context = open_context\n"
        "app = chat.app.create_app()\n"
    )
    ended = Ended({"PYTHONPATH": str(tmp_path)}, "--workers", workers, app="broken:app")
    assert "Traceback" in "\n".join(ended.lines)
    assert "a bug" in "\n".join(ended.lines)
    assert not ended.refusals
    assert ended.code not in {0, None}
