"""The queue between Hypercorn and the application: nothing in it waits for an end that has come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from quart.asgi import ASGIWebsocketConnection

from chat.server.addresses import behind
from chat.server.answers import Answer, Headers, whole_answer
from chat.server.fast_path import fast_path
from chat.server.guards import Guard, around
from chat.server.inbox import Holding, Inbox, SmallQueue
from chat.server.rates import FrameCount
from chat.server.socket import Conversation, Socket
from chat.server.text_reader import text_reader
from chat.server.turns import Place
from chat.server.worker import Worker


class BoundedWebsocket(ASGIWebsocketConnection):
    """For `app.asgi_websocket_class`: Quart would queue without end what a handler has no time for.

    It would also take three tasks; here the handler runs in the one that Hypercorn made, and what arrives
    is put into its inbox by who reads it.

    A handler may leave a conversation behind: it goes on in the same task, without Quart's contexts, the
    request and the calls that led to the handler.
    """

    _task: asyncio.Task[Any] | None = None
    _left = False
    _conversation: Conversation | None = None

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, scope)
        self.queue = self.inbox = Inbox(scope.get("chat.holding"))
        scope["chat.inbox"] = self.inbox  # to be emptied without waiting
        scope["chat.converse"] = self._go_on_with

    async def __call__(self, receive: Any, send: Any) -> None:
        exchange: Exchange | None = self.scope.pop("chat.exchange", None)  # type: ignore[typeddict-item]
        if exchange is None:
            await super().__call__(receive, send)
            return
        task = self._task = asyncio.current_task()
        exchange.pass_on(self.inbox, self._leave)
        del receive, exchange
        try:
            await self.handle_websocket(self._create_websocket_from_scope(send), send)
        except asyncio.CancelledError:
            if not self._left or task is None or task.uncancel():
                raise
        finally:
            self._task = None

    def _go_on_with(self, conversation: Conversation) -> None:
        """To be called by the handler of an accepted WebSocket, before it returns."""
        self._conversation = conversation
        self._closed = True  # Quart has no part in the end

    async def handle_websocket(self, websocket: Any, send: Any) -> None:
        await super().handle_websocket(websocket, send)
        if self._conversation is not None:
            talking = self._conversation(Socket(self.scope, self.inbox, send))
            self._conversation = None
            del websocket, self.scope
            await talking

    def _leave(self) -> None:
        """The peer has gone."""
        if self._task is not None:
            self._left = True
            self._task.cancel()


_NONE = Context()  # of callbacks that need none: each would copy that of its task


@around(TaskGroup, "spawn_app")
async def _spawn_app(original: Guard, self: Any, app: Any, config: Any, scope: Any, send: Any) -> Any:
    """Let no event wait for an application that has ended, and no news of a peer's end wait for anything."""
    exchange = Exchange(scope, send, SmallQueue(config.max_app_queue_size))
    work = _answered(app, config, scope, exchange)
    self._task_group.create_task(work).add_done_callback(exchange.end, context=_NONE)
    exchange.start(scope)
    return exchange.put_in_time


async def _answered(app: Any, config: Any, scope: Any, exchange: Exchange) -> None:
    """As Hypercorn does it, without what only WSGI applications need; a socket may forget its request."""
    try:
        working = _work(app, scope, exchange.next_event, exchange.send_or_end)
        del scope
        await working
    except Exception:
        await config.log.exception("Error in ASGI Framework")
    finally:
        await exchange.send_or_end(None)


def _work(app: Any, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    """Quart's, without the three calls that lead to it and stay on the stack of each socket."""
    quart: Any = app.app
    if scope["type"] == "websocket" and hasattr(quart, "asgi_websocket_class"):
        return quart.asgi_websocket_class(quart, scope)(receive, send)  # type: ignore[no-any-return]
    return app(scope, receive, send, None, None)  # type: ignore[no-any-return]


class Exchange:
    """The events between a peer and the application that answers it, and what is held for them."""

    _answer: Answer | None = None
    _gone: Sequence[Callable[[], None]] = ()
    _ends: Sequence[Callable[[], None]] = ()
    _holding: Holding | None = None
    _leave: Callable[[], None] | None = None  # of a handler that has an inbox

    def __init__(self, scope: Any, send: Any, events: SmallQueue) -> None:
        self._send, stream = send, send.__self__
        self._queue: asyncio.Queue[Any] = events  # for the application, or the texts for its handler
        self._place: Place | None = getattr(stream.send.__self__, "place", None)
        self._ended = False
        if self._place is not None:
            scope["chat.place"] = self._place
        worker = stream.context.worker
        if scope["type"] == "http":
            scope["chat.gone"], scope["chat.ended"] = self._gone, self._ends = [], []
            address = behind(scope["client"], scope["headers"], worker.options.trusted_proxies)
            scope["chat.bodies"] = worker.bodies, address
            self._answer = whole_answer(stream)
            scope["chat.answer"] = self._answer and self.answer
        if scope["type"] == "websocket":
            self._open_socket(scope, stream, worker)

    def _open_socket(self, scope: Any, stream: Any, worker: Worker) -> None:
        scope["chat.fast_path"] = stream.fast_path = fast_path(stream)
        scope["chat.text_reader"] = stream.text_reader = text_reader(stream)
        if worker.options.rate_limit:
            scope["chat.frames"] = stream.frames = FrameCount(worker.frame_rates)
        self._holding = scope["chat.holding"] = stream.buffer.holding = Holding(worker.inboxes)

    def start(self, scope: Any) -> None:
        """There is an application: it gives back what is held."""
        if scope["type"] == "http":
            scope["chat.arrived"] = self._queue
        else:
            scope["chat.exchange"] = self
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
            if self._holding is not None:
                self._holding.close()

    def pass_on(self, inbox: asyncio.Queue[Any], leave: Callable[[], None]) -> None:
        """From now on messages go to the inbox of the handler, and the news that the peer has gone to it."""
        events, self._queue, self._leave = self._queue, inbox, leave
        while not events.empty():  # it holds "websocket.connect", which nobody asks for
            if events.get_nowait()["type"] == "websocket.disconnect":
                leave()

    async def next_event(self) -> Any:
        return await self._queue.get()

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
            self._end_peer(event)
        elif event["type"] != "websocket.receive":
            await self._queue.put(event)
        else:
            message = event["bytes"] or event["text"]
            if self._holding is not None:
                await self._holding.admit(sys.getsizeof(message))
            await self._queue.put(event if self._leave is None else message)

    def _end_peer(self, event: Any) -> None:
        """The peer has gone: this waits for nothing."""
        _make_room(self._queue)
        for leave in self._gone:
            leave()
        if self._leave is None:
            self._queue.put_nowait(event)
        else:
            self._leave()


def _make_room(queue: asyncio.Queue[Any], always: bool = False) -> None:
    if queue.full() or always:
        while not queue.empty():
            queue.get_nowait()
