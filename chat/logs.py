"""One line per event that matters: its name, then key=value. Never a text, a cookie or a whole code.

Repeated lines of one kind are counted, not written, so that requests cannot fill the disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

log = logging.getLogger("chat")

QUIET = 60.0  # s between two lines of one name that anybody can cause
EVERY = 1.0  # s between two lines of one kind
KINDS = 200  # remembered apart; beyond it all others count as one
OTHERS = ("", 0, "others")
FORMAT_OF_HYPERCORN = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"

Kind = tuple[str, int, str]


def event(name: str, **facts: object) -> None:
    log.info(" ".join([name, *(f"{key}={value}" for key, value in facts.items())]))


class Repeats:
    """Lines that anybody can cause: one a minute of each name, with how many there were."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[str, tuple[float, int]] = {}  # when a name was last written, how often since

    def event(self, name: str, **facts: object) -> None:
        now = self._now()
        written, count = self._since.get(name, (now - QUIET, 0))
        if now - written < QUIET:
            self._since[name] = written, count + 1
            return
        self._since[name] = now, 0
        event(name, count=count + 1, **facts)


def quoted(text: str) -> str:
    """What somebody sent, on one line and not too long."""
    return json.dumps(text[:100])


@contextmanager
def waiting(what: str, limit: float, after: float = 1.0) -> Iterator[None]:
    """Say what the start waits for, and for how long at most, if that takes longer than `after` seconds."""
    line = "start-waiting for %s, up to %d s"
    timer = asyncio.get_running_loop().call_later(after, log.warning, line, what, limit)
    try:
        yield
    finally:
        timer.cancel()


class LineFormat(logging.Formatter):
    """`2026-11-27T09:30:00.123+01:00 INFO started store=fsync`: the time as proxies write it, too."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")


class SameFormat(logging.Filter):
    """Gives Hypercorn's lines our format; it makes its handler after we are set up."""

    def filter(self, record: logging.LogRecord) -> bool:
        for handler in logging.getLogger(record.name).handlers:
            if getattr(handler.formatter, "_fmt", "") == FORMAT_OF_HYPERCORN:
                handler.setFormatter(LineFormat())
        return True


def configure() -> None:
    """Write to standard error, unless the program that embeds the app has set up logging already."""
    for name in ("hypercorn.error", "asyncio"):
        others = logging.getLogger(name)
        if not any(isinstance(each, Throttle) for each in others.filters):
            others.addFilter(Throttle())
            others.addFilter(SameFormat())
    if not log.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.addFilter(Throttle())
        handler.setFormatter(LineFormat())
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class _Line:
    """The last line of a kind, and how many were held back since one was written."""

    __slots__ = ("due", "held", "record")

    def __init__(self, record: logging.LogRecord, due: float) -> None:
        self.record, self.due, self.held = record, due, 0


class Throttle(logging.Filter):
    """Lets the first line of a kind pass at once, then one a second that says how many there were."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._lines: dict[Kind, _Line] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._now()
        with self._lock:
            if len(self._lines) >= KINDS:
                self._lines = {k: line for k, line in self._lines.items() if line.held or line.due > now}
            kind = _kind(record)
            if len(self._lines) >= KINDS and kind not in self._lines:
                kind = OTHERS
            line = self._lines.setdefault(kind, _Line(record, now))
            if now >= line.due:
                held, line.held, line.due = line.held, 0, now + EVERY
                if held:
                    record.msg, record.args = f"{record.getMessage()} ({held} more like it)", None
                return True
            line.record, line.held = record, line.held + 1
            if line.held == 1:
                self._write_later(kind, line.due - now)
            return False

    def _write_later(self, kind: Kind, delay: float) -> None:
        """If no other comes, the last one is written with the count. Without a loop the next one has it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(delay, self._write, kind)

    def _write(self, kind: Kind) -> None:
        with self._lock:
            line = self._lines.get(kind)
            if line is None or not line.held:
                return
            line.held -= 1
            record = line.record
        logging.getLogger(record.name).handle(record)


def _kind(record: logging.LogRecord) -> Kind:
    """What tells lines apart: of an event its name, of any other line its first words before the values."""
    words = str(record.msg).partition("\n")[0][:200].split()
    label = " ".join(words[:1] if "=" in "".join(words[1:2]) else words[:4])
    error = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, f"{label} {error.__name__ if error else ''}"
