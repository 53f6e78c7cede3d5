"""What one WebSocket receives: texts, and what its page has."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from quart import websocket

from chat import limits, logs
from chat.context import Context
from chat.live import frames
from chat.live.connection import LATER, POLICY, Connection, Farewell
from chat.model.errors import Refused
from chat.model.receipts import BODIES, Receipts, read_life
from chat.model.rooms import Position
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.web import fields
from chat.web.sending import ComeBack, ask_to_come_back
from chat.web.texts import begin_life, outbox_sent, pace, post, settle


def count_page(chat: Context, connection: Connection) -> None:
    """From its first frame a page is open; one that only confirms a farewell is not, and takes no place."""
    if not connection.counts and connection.farewell is None:
        chat.hub.count(connection)
        chat.presence.arrive(connection.member)


async def receive(chat: Context, connection: Connection) -> None:
    """Take what has come, in order, and have it stored together; a flood waits in its own socket."""
    sent = Receipts()
    try:
        while connection.farewell is None:  # Python 3.11 may swallow that we were told to end
            await _receive_once(chat, connection, sent)
    finally:
        for _, _, task in sent.writing:  # the page will say again, in order, what was not answered
            task.cancel()


async def _receive_once(chat: Context, connection: Connection, sent: Receipts) -> None:
    inbox = socket_inbox()
    await outbox_sent(connection)
    await _attempt(chat, connection, _take(chat, connection, sent, frames.parse(await inbox.take())))
    while not inbox.empty():
        await asyncio.sleep(0)  # what was taken before is on its way, or refused
        if connection.outbox or len(sent.writing) >= BODIES:  # bounds what one turn may put into the outbox
            break
        await _attempt(chat, connection, _take(chat, connection, sent, frames.parse(inbox.take_nowait())))
    await _attempt(chat, connection, settle(chat, connection, sent))


def socket_inbox() -> Any:
    """What has come and nobody has taken. Of a frame nothing is held but what is known of it."""
    return websocket.scope["chat.inbox"]  # type: ignore[typeddict-item]


async def _attempt(chat: Context, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
    """Do something for a peer; what goes wrong is said to them and never ends the connection by itself."""
    try:
        await work
    except Refused as refused:
        _alert(chat, connection, chat.render.notice(refused.text))
    except ComeBack as refused:
        ask_to_come_back(chat, connection, refused)
    except (Unavailable, OutcomeUnknown):
        # Coming back, the page says again what it has and what it has not seen acknowledged.
        if not chat.hub.trouble:
            chat.metrics.refusals.labels("frame").inc()
            connection.show("trouble", chat.render.trouble("write"))
        connection.close(Farewell(LATER))
    except NotFound:
        connection.close(Farewell(POLICY, "You are not in this room any more.", over=True))
    except Exception:
        logs.log.exception("frame-failed room=%s", chat.codes.logged(connection.member.code))
        _alert(chat, connection, chat.render.notice("Something went wrong here. Please reload the page."))


def _alert(chat: Context, connection: Connection, fragment: str) -> None:
    chat.metrics.refusals.labels("frame").inc()
    connection.show("alert", fragment)


async def _take(chat: Context, connection: Connection, sent: Receipts, frame: dict[str, Any] | None) -> None:
    """A frame with texts, or one that says what a page has, or both. Raises Refused for anything else."""
    kind = frame.get("k") if frame else None
    if kind == "farewell":  # shown on the connection before this one
        connection.close(Farewell(POLICY))
        return
    count_page(chat, connection)
    if frame is None or (kind not in ("resume", "pending") and "body" not in frame):
        await pace(chat, connection)
        raise Refused("The server did not understand that. Please reload the page.")
    if "body" in frame:
        await post(chat, connection, sent, frame)
    elif kind == "pending":
        await pace(chat, connection)  # nothing was waiting
    if kind == "resume":
        await _resume(chat, connection, frame)
        if isinstance(life := frame.get("life"), str) and not read_life(life)[0]:
            begin_life(chat, connection, sent, pending="body" in frame)


async def _resume(chat: Context, connection: Connection, frame: dict[str, Any]) -> None:
    """Bring the page up to date from what it says it has, and follow the room from there."""
    position = Position(fields.token(frame, "epoch") or "", fields.number(frame.get("since")))
    match frame.get("trouble"):
        case "write":
            connection.unstored = True
        case "store" | "all" as said:
            connection.trouble = said
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
