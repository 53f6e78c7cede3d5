"""The queue between Hypercorn and the application: nothing in it waits for an end that has come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from quart.asgi import ASGIWebsocketConnection

from chat.server.addresses import behind
from chat.server.answers import Answer, Headers, whole_answer
from chat.server.fast_path import fast_path
from chat.server.guards import Guard, around
from chat.server.inbox import Holding, Inbox
from chat.server.rates import FrameCount
from chat.server.text_reader import text_reader
from chat.server.turns import Place
from chat.server.worker import Worker


class BoundedWebsocket(ASGIWebsocketConnection):
    """For `app.asgi_websocket_class`: Quart would queue without end what a handler has no time for."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, scope)
        self.queue = Inbox(scope.get("chat.holding"))
        scope["chat.inbox"] = self.queue  # to be emptied without waiting
        # While the queue is full, nobody reads the news that the peer has gone: it makes room for itself.
        scope.get("chat.gone", []).append(partial(_make_room, self.queue))


@around(TaskGroup, "spawn_app")
async def _spawn_app(original: Guard, self: Any, app: Any, config: Any, scope: Any, send: Any) -> Any:
    """Let no event wait for an application that has ended, and no news of a peer's end wait for anything."""
    exchange = _Exchange(scope, send)
    exchange.put = await original(_Watched(self, exchange.end), app, config, scope, exchange.send_or_end)
    exchange.start(scope)
    return exchange.put_in_time


class _Exchange:
    """The events between a peer and the application that answers it, and what is held for them."""

    put: Callable[[Any], Awaitable[None]]  # into the queue of the application
    _answer: Answer | None = None

    def __init__(self, scope: Any, send: Any) -> None:
        self._send, stream = send, send.__self__
        self._gone: list[Callable[[], None]] = []
        self._ends: list[Callable[[], None]] = []
        self._holding: Holding | None = None
        self._place: Place | None = getattr(stream.send.__self__, "place", None)
        self._ended = False
        scope["chat.gone"], scope["chat.ended"] = self._gone, self._ends
        if self._place is not None:
            scope["chat.place"] = self._place
        worker = stream.context.worker
        if scope["type"] == "http":
            address = behind(scope["client"], scope["headers"], worker.options.trusted_proxies)
            scope["chat.bodies"] = worker.bodies, address
            self._answer = whole_answer(stream)
            scope["chat.answer"] = self._answer and self.answer
        if scope["type"] == "websocket":
            self._open_socket(scope, stream, worker)

    def _open_socket(self, scope: Any, stream: Any, worker: Worker) -> None:
        scope["chat.lane"] = fast_path(stream)
        scope["chat.text_reader"] = stream.text_reader = text_reader(stream)
        if worker.options.rate_limit:
            scope["chat.frames"] = stream.frames = FrameCount(worker.frame_rates)
        self._holding = scope["chat.holding"] = stream.buffer.holding = Holding(worker.inboxes)
        self._ends.append(self._holding.close)

    def start(self, scope: Any) -> None:
        """There is an application: it gives back what is held."""
        scope["chat.arrived"] = self._queue
        if self._place is not None:
            self._place.used = True

    def end(self, *_: Any) -> None:
        if self._place is not None:
            self._place.give_back()
        if not self._ended:
            self._ended = True
            _make_room(self._queue, always=True)
            for end in self._ends:
                end()

    @property
    def _queue(self) -> asyncio.Queue[Any]:
        queue: asyncio.Queue[Any] = self.put.__self__  # type: ignore[attr-defined]
        return queue

    async def send_or_end(self, message: Any) -> None:
        if message is None:
            self.end()
        elif self._place is not None:
            self._place.give_back()  # what follows is up to the peer
        await self._send(message)

    async def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """The whole answer at once; False if it has to be sent in events."""
        if self._place is not None:
            self._place.give_back()
        return self._answer is not None and await self._answer(status, headers, body)

    async def put_in_time(self, event: Any) -> None:
        if self._ended:
            return
        if event["type"] in {"websocket.disconnect", "http.disconnect"}:
            _make_room(self._queue)
            for make_room in self._gone:
                make_room()
            self._queue.put_nowait(event)
        else:
            if event["type"] == "websocket.receive" and self._holding is not None:
                await self._holding.admit(sys.getsizeof(event["bytes"] or event["text"]))
            await self.put(event)


class _Watched:
    """A group of tasks that says when a task has ended: one cancelled before its first step says nothing."""

    def __init__(self, group: Any, ended: Callable[..., None]) -> None:
        self._group, self._ended = group, ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def spawn(self, func: Callable[..., Any], *args: Any) -> None:
        self._group._task_group.create_task(func(*args)).add_done_callback(self._ended)


def _make_room(queue: asyncio.Queue[Any], always: bool = False) -> None:
    if queue.full() or always:
        while not queue.empty():
            queue.get_nowait()
