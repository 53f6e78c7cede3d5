"""What one WebSocket receives: texts, and what its page has."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from quart import websocket

from chat import limits
from chat.context import Context
from chat.live import frames
from chat.live.connection import POLICY, Connection, Farewell
from chat.model.errors import Refused
from chat.model.receipts import read_life
from chat.model.rooms import Position
from chat.web import fields
from chat.web.acknowledging import begin_life
from chat.web.act import act_by_frame
from chat.web.pacing import answers_sent, pace
from chat.web.reports import report
from chat.web.sending import ComeBack
from chat.web.texts import Intake


def count_page(chat: Context, connection: Connection) -> None:
    """From its first frame a page is open; one that only confirms a farewell is not, and takes no place."""
    if not connection.counts and connection.farewell is None:
        chat.hub.connections.count(connection)
        chat.presence.arrive(connection.member)


async def receive(chat: Context, connection: Connection) -> None:
    """Take what has come, in order; a flood waits in its own socket."""
    intake = Intake(chat, connection)
    fast = FastPath(intake)
    try:
        while connection.farewell is None:  # Python 3.11 may swallow that we were told to end
            await _receive_once(chat, connection, intake, fast)
    finally:
        fast.close()
        intake.submitter.end()


class FastPath:
    """Takes texts as they arrive at the transport: no task and no queue for any of them."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._inbox = socket_inbox()
        scope: Any = websocket.scope
        self._reader = scope.get("chat.text_reader")
        self.idle = False  # nothing that came the ordinary way is being handled
        if self._reader is not None:
            self._reader.attach(self._take, self._is_idle)
            intake.submitter.on_room = self._reader.release

    def _take(self, data: bytes) -> bool:
        taken = self._intake.take(frames.parse(data))
        if self._intake.submitter.is_full:
            self._reader.hold()
        return taken

    def _is_idle(self) -> bool:
        return self.idle and self._inbox.empty()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.detach()


async def _receive_once(chat: Context, connection: Connection, intake: Intake, fast: FastPath) -> None:
    await answers_sent(connection)
    fast.idle = True
    frame = frames.parse(await socket_inbox().take())
    fast.idle = False
    if not intake.take(frame):
        await _attempt(chat, connection, _take(chat, connection, intake, frame))
    intake.submitter.end_unstored()
    await asyncio.sleep(0)  # what was taken is on its way, or refused


def socket_inbox() -> Any:
    """What has come and nobody has taken. Of a frame nothing is held but what is known of it."""
    return websocket.scope["chat.inbox"]  # type: ignore[typeddict-item]


async def _attempt(chat: Context, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
    """Do something for a peer; what goes wrong is said to them and never ends the connection by itself."""
    try:
        await work
    except Exception as error:
        report(chat, connection, error)


async def _take(chat: Context, connection: Connection, intake: Intake, frame: dict[str, Any] | None) -> None:
    """A frame with texts, or one that says what a page has, or both. Raises Refused for anything else."""
    kind = frame.get("k") if frame else None
    if kind == "farewell":  # shown on the connection before this one
        connection.close(Farewell(POLICY))
        return
    count_page(chat, connection)
    if frame and "act" in frame:
        await act_by_frame(chat, connection, frame)
        return
    if frame is None or (kind not in ("resume", "pending") and "body" not in frame):
        await pace(chat, connection)
        raise Refused("The server did not understand that. Please reload the page.")
    if "body" in frame:
        await intake.post(frame)
    elif kind == "pending":
        await pace(chat, connection)  # nothing was waiting
    if kind == "resume":
        await _resume(chat, connection, intake, frame)
        if isinstance(life := frame.get("life"), str) and not read_life(life)[0]:
            begin_life(chat, connection, intake.receipts, pending="body" in frame)


async def _resume(chat: Context, connection: Connection, intake: Intake, frame: dict[str, Any]) -> None:
    """Bring the page up to date from what it says it has, and follow the room from there."""
    position = Position(fields.token(frame, "epoch") or "", fields.number(frame.get("since")))
    said = frame.get("trouble") or ""
    if said == "write":
        intake.submitter.unstored = True
    elif said != chat.hub.health.outage:
        connection.show("trouble", chat.render.alerts.outage(chat.hub.health.outage, connection.look))
    if connection.feed is not None:
        await pace(chat, connection)  # once is free; asking again and again is not
    await _pace_resuming(chat, connection)
    if connection.feed is not None:
        chat.hub.leave(connection)
    await chat.hub.join(connection, position)
    chat.presence.follow(connection.member.code)


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
