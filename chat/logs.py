"""One line per event that matters: its name, then key=value. Never a text, a cookie or a whole code."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET = 60.0  # s between two lines of one name that anybody can cause

log = logging.getLogger("chat")


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


def configure() -> None:
    """Write to standard error unless whoever embeds the app has set up logging already."""
    if not log.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
