"""What one WebSocket receives: texts, and what its page has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chat import limits
from chat.cluster import tasks
from chat.context import Context
from chat.live import frames
from chat.live.connection import LATER, POLICY, Close, Connection
from chat.model.errors import Refused
from chat.model.receipts import read_life
from chat.model.rooms import Position
from chat.views.look import shared
from chat.views.reader import look_named
from chat.web import fields
from chat.web.acknowledging import begin_life, deal_life
from chat.web.act import act_by_frame
from chat.web.drafting import ask_for_draft, take_draft
from chat.web.names import show_names
from chat.web.pacing import answers_sent, pace
from chat.web.reports import report
from chat.web.sending import ComeBack
from chat.web.texts import Intake
from chat.web.transport import Socket


def typing(chat: Context, connection: Connection) -> None:
    chat.typing.sign(connection)
    chat.unread_marks.typed(connection)


# What a page says of its window and its reader, by the kind of the frame.
SIGNS: dict[object, Callable[[Context, Connection], None]] = {
    "focus": lambda chat, connection: chat.unread_marks.focus(connection),
    "blur": lambda chat, connection: chat.unread_marks.blur(connection),
    "typing": typing,
}


def count_page(chat: Context, connection: Connection) -> None:
    """From its first frame a page is open; one that only confirms a farewell is not, and takes no place."""
    if not connection.counts and connection.closing is None:
        chat.hub.connections.count(connection)
        chat.presence.arrive(connection.member)


class Receiver:
    """Takes what a socket brings, in order; a flood waits in its own inbox.

    Texts are taken as they arrive at the transport: no task and no queue for any of them. For what comes the
    ordinary way there is a task while it is handled; an idle page has none.
    """

    __slots__ = ("_chat", "_connection", "_ended", "_inbox", "_intake", "_reader", "_task")

    def __init__(self, chat: Context, connection: Connection, socket: Socket) -> None:
        self._chat, self._connection = chat, connection
        self._inbox, self._reader = socket.inbox, socket.text_reader
        self._intake: Intake | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._inbox.on_arrival = self._start
        if self._reader is not None:
            self._reader.attach(self)
        if not self._inbox.empty():
            self._start()

    @property
    def intake(self) -> Intake:
        """Of the texts; many a page only reads."""
        if self._intake is None:
            self._intake = Intake(self._chat, self._connection, self._reader)
        return self._intake

    def take_at_once(self, data: bytes) -> bool:
        taken = self._take_texts(frames.parse(data))
        if self._reader is not None and self._intake is not None and self._intake.submitter.is_full:
            self._reader.hold()
        return taken

    def _take_texts(self, frame: dict[str, Any] | None) -> bool:
        if frame is None or "body" not in frame:
            return False
        if "draft" in frame and self._connection.draft is None:
            self._connection.draft = fields.number(frame["draft"])
        return self.intake.take(frame)

    def is_idle(self) -> bool:
        """Nothing that came the ordinary way is being handled."""
        return self._task is None and self._inbox.empty()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._receive())
            self._task.add_done_callback(self._stop)

    async def _receive(self) -> None:
        while not (self._inbox.empty() or self._connection.closing or self._ended):
            await self._receive_once()
            await answers_sent(self._connection)
        self._inbox.done()
        self._task = None

    async def _receive_once(self) -> None:
        chat, connection = self._chat, self._connection
        frame = frames.parse(await self._inbox.take())
        if not self._take_texts(frame):
            await _attempt(chat, connection, self._take(frame))
        if self._intake is not None:
            self._intake.submitter.end_unstored()
        await asyncio.sleep(0)  # what was taken is on its way, or refused

    async def _take(self, frame: dict[str, Any] | None) -> None:
        """A frame with texts, or one that says what a page has, or both. Raises Refused for anything else."""
        chat, connection = self._chat, self._connection
        kind = frame.get("k") if frame else None
        if kind == "farewell":  # shown on the connection before this one
            connection.close(Close(POLICY))
            return
        count_page(chat, connection)
        if frame and kind == "draft":
            await take_draft(chat, connection, frame, self._life(frame))
            if "lines" in frame:
                await show_names(chat, connection, frame)
            return
        if frame and "act" in frame:
            await act_by_frame(chat, connection, frame)
            return
        if frame and kind == "names":
            await show_names(chat, connection, frame)
            return
        if sign := SIGNS.get(kind):
            sign(chat, connection)
            await pace(chat, connection)
            return
        if frame is None or (kind not in ("resume", "pending") and "body" not in frame):
            await pace(chat, connection)
            raise Refused("Something went wrong. Please reload the page.")
        if "body" in frame:
            await self.intake.post(frame)
        elif kind == "pending":
            await pace(chat, connection)  # nothing was waiting
        if kind == "resume":
            await self._resume(frame)

    async def _resume(self, frame: dict[str, Any]) -> None:
        """Follow the room from what the page says it has, and deal it a key if it has none."""
        if (frame.get("outage") or "") == "write":
            self.intake.submitter.unstored = True
        await _resume(self._chat, self._connection, frame)
        life = frame.get("life")
        if not isinstance(life, str):
            return
        if read_life(life)[0]:
            self._chat.unread_titles.elsewhere.come_back(self._connection)
            ask_for_draft(self._chat, self._connection)
        else:
            begin_life(self._chat, self._connection, self.intake.receipts, pending="body" in frame)

    def _life(self, frame: dict[str, Any]) -> str:
        """Of a page that types before it has been dealt one."""
        return "" if frame.get("life") else deal_life(self.intake.receipts)

    def _stop(self, task: asyncio.Task[None]) -> None:
        """A fault of ours ends the connection; `end` raises it."""
        if not task.cancelled() and task.exception() is not None:
            self._connection.close(Close(LATER))

    async def end(self) -> None:
        """Take nothing more. Raises what went wrong in taking it."""
        self._ended, self._inbox.on_arrival = True, None
        try:
            if self._task is not None:
                await tasks.end(self._task)
                if not self._task.cancelled():
                    self._task.result()
        finally:
            if self._intake is not None:
                self._intake.submitter.end()
            if self._reader is not None:
                self._reader.detach()


async def _attempt(chat: Context, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
    """Do something for a peer; what goes wrong is said to them and never ends the connection by itself."""
    try:
        await work
    except Exception as error:
        report(chat, connection, error)


async def _resume(chat: Context, connection: Connection, frame: dict[str, Any]) -> None:
    """Bring the page up to date from what it says it has, and follow the room from there."""
    if first := fields.number(frame.get("behind")):
        chat.unread_marks.begin_behind(connection, first)
    has_focus = frame.get("focus")
    if not has_focus and "focus" in frame:
        chat.unread_marks.hold(connection)
    if look := look_named(fields.token(frame, "look") or ""):
        connection.look = shared(look)  # what has been chosen since is for the next page
    position = Position(fields.token(frame, "epoch") or "", fields.number(frame.get("since")))
    said = frame.get("outage") or ""
    if said not in ("write", chat.hub.health.outage):
        connection.show("outage", chat.render.alerts.outage(chat.hub.health.outage, connection.look))
    if connection.feed is not None:
        await pace(chat, connection)  # once is free; asking again and again is not
    await _pace_resuming(chat, connection)
    if connection.feed is not None:
        chat.hub.leave(connection)
    await chat.hub.join(connection, position)
    # What is unread comes after the title of the room, which would take its place.
    chat.unread_titles.follow(connection, fields.number(frame.get("new")))
    if has_focus:
        chat.unread_marks.focus(connection)
    chat.presence.follow(connection.member.code)
    chat.typing.greet(connection)


async def _pace_resuming(chat: Context, connection: Connection) -> None:
    """Wait for the rate of those who come back. Raises ComeBack if that would be long."""
    wait = chat.own_limits.take_both(
        (limits.RESUMES, connection.member.person),
        (limits.RESUMES_OF_ADDRESS, connection.address),
        limits.PATIENCE,
    )
    if wait > limits.PATIENCE:
        raise ComeBack("resumes")
    if wait:
        await asyncio.sleep(wait)
