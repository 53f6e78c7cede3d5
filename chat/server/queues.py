"""The queue between Hypercorn and the application: nothing in it waits for an end that has come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from quart.asgi import ASGIWebsocketConnection

from chat.server.addresses import behind
from chat.server.fast_path import fast_path
from chat.server.guards import Guard, around
from chat.server.inbox import Holding, Inbox
from chat.server.rates import FrameCount
from chat.server.turns import Place


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
    gone: list[Callable[[], None]] = []
    scope["chat.gone"] = gone
    ends: list[Callable[[], None]] = []
    scope["chat.ended"] = ends
    holding: Holding | None = None
    place: Place | None = getattr(send.__self__.send.__self__, "place", None)
    if place is not None:
        scope["chat.place"] = place
    if scope["type"] == "http":
        worker = send.__self__.context.worker
        address = behind(scope["client"], scope["headers"], worker.options.trusted_proxies)
        scope["chat.bodies"] = worker.bodies, address
    if scope["type"] == "websocket":
        stream = send.__self__
        scope["chat.lane"] = fast_path(stream)
        worker = stream.context.worker
        if worker.options.rate_limit:
            scope["chat.frames"] = stream.frames = FrameCount(worker.frame_rates)
        scope["chat.holding"] = stream.buffer.holding = holding = Holding(worker.inboxes)
        ends.append(holding.close)
    ended = False

    def let_go(*_: Any) -> None:
        nonlocal ended
        if place is not None:
            place.give_back()
        if not ended:
            ended = True
            _make_room(queue, always=True)
            for end in ends:
                end()

    async def send_or_end(message: Any) -> None:
        if message is None:
            let_go()
        elif place is not None:
            place.give_back()  # what follows is up to the peer
        await send(message)

    async def put_in_time(event: Any) -> None:
        if ended:
            return
        if event["type"] in {"websocket.disconnect", "http.disconnect"}:
            _make_room(queue)
            for make_room in gone:
                make_room()
            queue.put_nowait(event)
        else:
            if event["type"] == "websocket.receive" and holding is not None:
                await holding.admit(sys.getsizeof(event["bytes"] or event["text"]))
            await put(event)

    put = await original(_Watched(self, let_go), app, config, scope, send_or_end)
    queue: asyncio.Queue[Any] = put.__self__
    if place is not None:
        place.used = True
    return put_in_time


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
