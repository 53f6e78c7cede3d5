"""One line per event that matters: its name, then key=value. Never a text, a cookie or a whole code."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time

QUIET = 60.0  # s between two lines of one name that anybody can cause

log = logging.getLogger("chat")


def event(name: str, **facts: object) -> None:
    log.info(" ".join([name, *(f"{key}={value}" for key, value in facts.items())]))


_counts: dict[str, tuple[float, int]] = {}  # per name: when it was last written, and how many since


def counted(name: str, **facts: object) -> None:
    """As `event`, for what anybody can cause: one line a minute and name, with how many there were."""
    now = time.monotonic()
    written, count = _counts.get(name, (-QUIET, 0))
    if now - written < QUIET:
        _counts[name] = written, count + 1
        return
    _counts[name] = now, 0
    event(name, count=count + 1, **facts)


def quoted(text: str) -> str:
    """What somebody sent, on one line and not too long."""
    return json.dumps(text[:100])


def room(code: str) -> str:
    """A room's name for the log: tells rooms apart, opens none of them."""
    return hashlib.sha256(code.encode()).hexdigest()[:8]


def configure() -> None:
    """Write to standard error unless whoever embeds the app has set up logging already."""
    if not log.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
