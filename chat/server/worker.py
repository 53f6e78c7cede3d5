"""The worker: its limits and its end."""

from __future__ import annotations

import asyncio
import copy
import gc
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from chat.addresses import Networks
from chat.server import bounds
from chat.server.bodies import Bodies
from chat.server.guards import Guard, around
from chat.server.inbox import Pool
from chat.server.rates import FrameRates, Spacing
from chat.server.text_reader import TextReader
from chat.server.timer_wheel import TimerWheel
from chat.server.turns import Places, Turns
from chat.server.websockets import ping_again


@dataclass(frozen=True, slots=True)
class Options:
    """What the guards have to know of the application's settings: its `extensions["server"]`."""

    rate_limit: bool = True
    trusted_proxies: Networks = ()


class Worker:
    """What the connections of one worker process share."""

    def __init__(self, app: Any, config: Config, context: WorkerContext) -> None:
        self.config = bounded_config(config)
        self.read_timeout: float = self.config.read_timeout  # type: ignore[assignment]
        self.config.read_timeout = None  # Hypercorn's would cut an endless response, too
        self.writers: WeakSet[asyncio.StreamWriter] = WeakSet()
        self.idle: set[Any] = set()  # timers of the connections that wait for another request
        self.ends = False
        self.extensions: dict[str, Any] = getattr(app.app, "extensions", {})
        self.options: Options = self.extensions.get("server") or Options()
        self.drops = Spacing(bounds.DROPS)
        self.inboxes, self.bodies = Pool(), Bodies()
        self.turns, self.places = Turns(), Places()
        self.frame_rates = FrameRates(bounds.FRAMES, bounds.FRAMES_PER_PERSON, bounds.FRAMES_PER_ADDRESS)
        self.pings = TimerWheel(self.config.websocket_ping_interval, ping_again)  # type: ignore[arg-type]
        self.deadlines = TimerWheel(self.read_timeout, TextReader.check)
        self.ending = asyncio.create_task(self._end(context))

    async def _end(self, context: WorkerContext) -> None:
        """Let the application say goodbye, then cut: on 3.12 Hypercorn waits for ever (its issue 308)."""
        await context.terminated.wait()
        self.ends = True
        for timer in list(self.idle):
            timer.expire()
        end = asyncio.get_running_loop().time() + self.config.graceful_timeout * bounds.GRACE
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._say_goodbye()
                await asyncio.Event().wait()
        for writer in list(self.writers):
            abort(writer.transport)

    async def _say_goodbye(self) -> None:
        try:
            if hook := self.extensions.get("terminating"):
                await hook()
        except Exception:
            await self.config.log.exception("The application failed to end its connections")


def bounded_config(config: Config) -> Config:
    bounded = copy.copy(config)
    bounded._log = config.log
    for name, ceiling in bounds.CEILINGS.items():
        value = getattr(config, name)
        setattr(bounded, name, ceiling if value is None else min(value, ceiling))
    return bounded


@around(WorkerContext, "__init__")
def _start(original: Guard, self: Any, *args: Any) -> None:
    """The application has started, and nobody is connected yet."""
    original(self, *args)
    _hear_sigterm(self)
    _spare_the_collector()


def _spare_the_collector() -> None:
    """What is in memory by now stays there, so it need not be searched for garbage (decision 37)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(bounds.NEW_OBJECTS, *gc.get_threshold()[1:])


def _hear_sigterm(context: Any) -> None:
    """A service manager sends SIGTERM to every process; a worker would die of it without a goodbye."""

    def terminate() -> None:
        context.terminating = loop.create_task(context.terminate.set())

    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, terminate)


def abort(transport: asyncio.WriteTransport) -> None:
    with suppress(AttributeError):  # a TLS transport of Python 3.11.2 that is closed already
        transport.abort()
