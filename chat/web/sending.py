"""What one WebSocket sends: all that its page has not seen, as one frame."""

from __future__ import annotations

import asyncio

from chat import limits
from chat.context import Context
from chat.features import seats
from chat.live.budget import OverBudget
from chat.live.connection import LATER, POLICY, Close, Connection
from chat.live.feed import Feed
from chat.live.framing import Frame, websocket_frame
from chat.store import NotFound, Unavailable
from chat.store.members import find_seat
from chat.web.transport import Socket


class ComeBack(Exception):
    """Too much is asked for at once: the page comes back later, and says again what it has."""


async def send(chat: Context, connection: Connection, socket: Socket) -> None:
    """Send whatever is pending as one frame, again and again, until there is a reason to stop.

    Waiting for the socket is the back-pressure: what comes meanwhile joins the next frame.
    """
    while True:
        await connection.ready()
        frame = await _pending(chat, connection)
        if frame:
            chat.metrics.delivered(1, 0)
            if connection.write_frame is None or not connection.write_frame(websocket_frame(frame)):
                await _send_slowly(chat, connection, socket, frame)
        if connection.closing is not None:
            if last := connection.take_slots():  # what came while the last frame was on its way
                await socket.send("".join(last.values()))
            return


async def _send_slowly(chat: Context, connection: Connection, socket: Socket, frame: str) -> None:
    """Wait until the socket has taken a frame, unless too much waits already: then the page comes back."""
    try:
        with chat.hub.sending.held(frame):
            await socket.send(frame)
    except OverBudget:
        ask_to_come_back(chat, connection, ComeBack("sending"))


def ask_to_come_back(chat: Context, connection: Connection, refused: ComeBack) -> None:
    chat.metrics.refusals.labels(str(refused)).inc()
    connection.close(Close(LATER))


async def _pending(chat: Context, connection: Connection) -> str:
    """Everything this connection has not seen: messages, then the panels, then what is for it alone.

    That comes last, for the title of a room is a panel and what this person has unread in front of it is not.
    """
    parts = [await _changes(chat, connection)]
    if (feed := connection.feed) is not None and connection.panels_seen != feed.panels.version:
        parts.append(feed.panels.since(connection.panels_seen, connection.look))
        connection.panels_seen = feed.panels.version
    parts += connection.take_slots().values()
    return "".join(parts)


async def _changes(chat: Context, connection: Connection) -> str:
    feed, cursor = connection.feed, connection.cursor
    if feed is None or cursor is None:
        return ""
    try:
        if await has_left(chat, connection, feed):
            return ""
        frame = feed.frame(connection.look, cursor, connection.texts) or await _catch_up(
            chat, connection, feed
        )
    except ComeBack as refused:
        ask_to_come_back(chat, connection, refused)
        return ""
    except (Unavailable, NotFound):
        connection.close(Close(LATER))
        return ""
    if connection.feed is not feed or connection.cursor != cursor:
        return ""  # it resumed from elsewhere meanwhile, or history was rewritten
    connection.move_to(frame.rev, frame.is_all)
    if frame.text:
        chat.metrics.delivered(0, max(1, frame.rev - max(cursor, 0)) if cursor >= 0 else 1)
    if frame.rev < feed.position.rev:
        connection.wake()  # for the rest, once this is taken
        await asyncio.sleep(0)
    return frame.text


async def has_left(chat: Context, connection: Connection, feed: Feed[Connection]) -> bool:
    """Whether the seat of a connection ended and is still nobody's; then it closes and says why."""
    member = connection.member
    if member.number not in feed.ended:
        return False
    held = await chat.store.read(find_seat, member.code, member.person)
    if held is not None and held.number == member.number:  # its person has taken it up again
        feed.ended.pop(member.number, None)
        return False
    chat.presence.forget(member)  # perhaps they left on another node
    why = seats.why_ended(held, feed.ended.get(member.number, ""))
    connection.close(Close(POLICY, why, over=held is None))
    return True


async def _catch_up(chat: Context, connection: Connection, feed: Feed[Connection]) -> Frame:
    """What is read from the log for one reader has its rate. Raises store errors."""
    person, address = connection.member.person, connection.address
    wait = chat.own_limits.take_both(
        (limits.CATCH_UPS, person),
        (limits.CATCH_UPS_OF_ADDRESS, address),
        limits.PATIENCE,
    )
    if wait > limits.PATIENCE:
        raise ComeBack("catch-ups")
    if wait:
        await asyncio.sleep(wait)
    return await chat.hub.catch_up(feed, connection)
