"""A start that is refused: one line, and an exit code that a service manager takes for a failure."""

from __future__ import annotations

import logging
import multiprocessing
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import SemLock
from pathlib import Path
from typing import Any

import hypercorn.asyncio.run
from hypercorn.utils import LifespanFailureError

from chat.server.guards import Guard, around

EXIT = 78  # EX_CONFIG of sysexits.h
KEY = "refusal"  # of the application's extensions: the line that says why it does not start
OTHERS_END = 20.0  # s that the other workers have to end in
CLEANING = 1.0  # s that their manager has to clean up in


@around(hypercorn.asyncio.run, "_run")
def _run_worker(original: Guard, main: Any, **options: Any) -> None:
    """Hypercorn prints a traceback for an application that does not start, and exits with 0 if it manages
    workers: it looks for their exit codes a second time, when it has forgotten whose they are."""
    try:
        original(main, **options)
    except Exception as error:
        refusal = getattr(main.args[0].app, "extensions", {}).get(KEY)
        expected = isinstance(error, LifespanFailureError) and refusal
        with _claimed() as first:
            if first and expected:
                sys.stderr.write(f"chat: {refusal}\n")
                sys.stderr.flush()
            if first:
                _end_manager(main.args[1].workers, options.get("shutdown_trigger"))
        if not expected:
            raise
        logging.shutdown()
        raise SystemExit(EXIT) from None


@contextmanager
def _claimed() -> Iterator[bool]:
    """Whether this is the first worker of its manager to fail: only one says so."""
    parent = multiprocessing.parent_process()
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            if parent:  # an abstract name: no file, and gone with this process
                claim.bind(f"\0room-chat-refused-{parent.pid}")
        except OSError:
            yield False
        else:
            yield True


def _end_manager(workers: int, trigger: Any) -> None:
    """Have the other workers end in peace, and then their manager by a signal: nothing else makes its exit
    code other than 0. Without a manager (`workers = 0`) there is nothing to do."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None or parent.pid != os.getppid():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the manager's answer
    if workers > 1:
        os.kill(parent.pid, signal.SIGTERM)
    if _others_ended(parent.pid):
        _clean_up(trigger, workers > 1)
    os.kill(parent.pid, signal.SIGUSR1)


def _others_ended(manager: int) -> bool:
    """Wait for the end of the manager's other workers; False if they cannot be signalled or do not end."""
    deadline = time.monotonic() + OTHERS_END
    try:
        children = Path(f"/proc/{manager}/task/{manager}/children").read_text().split()
    except OSError:
        return False
    for pid in map(int, children):
        with suppress(OSError):  # it has ended already
            if pid != os.getpid() and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                ending = os.pidfd_open(pid)
                poll = select.poll()
                poll.register(ending, select.POLLIN)
                ended = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
                os.close(ending)
                if not ended:
                    return False
    return True


def _clean_up(trigger: Any, managed: bool) -> None:
    """Unlink the semaphores of the manager's event, unless it does: Python complains of them otherwise."""
    try:
        event = trigger.args[0]
        condition = event._cond
        counts = condition._sleeping_count, condition._woken_count, condition._wait_semaphore
        names = [lock._semlock.name for lock in (event._flag, condition._lock, *counts)]
    except (AttributeError, IndexError):
        return
    deadline = time.monotonic() + (CLEANING if managed else 0)
    files = [Path(f"/dev/shm/sem.{name[1:]}") for name in names]  # noqa: S108 - where Linux has them
    while time.monotonic() < deadline and any(file.exists() for file in files):
        time.sleep(0.01)
    for name in names:
        with suppress(FileNotFoundError):
            SemLock._cleanup(name)  # type: ignore[attr-defined]
