"""What one WebSocket sends: all that its page has not seen, as one frame."""

from __future__ import annotations

import asyncio

from quart import websocket

from chat import actions, limits
from chat.context import Context
from chat.hub import LATER, POLICY, Farewell, Listener
from chat.live.budget import OverBudget
from chat.live.feed import Feed, Frame, wire
from chat.store import NotFound, Unavailable


class ComeBack(Exception):
    """Too much is asked for at once: the page comes back later, and says again what it has."""


async def send(chat: Context, listener: Listener) -> None:
    """Send whatever is pending as one frame, again and again, until there is a reason to stop.

    Waiting for the socket is the back-pressure: what comes meanwhile joins the next frame.
    """
    while True:
        await listener.ready()
        frame = await _pending(chat, listener)
        if frame:
            chat.metrics.frames.inc()
            if listener.lane is None or not listener.lane(wire(frame)):
                await _send_slowly(chat, listener, frame)
        if listener.farewell is not None:
            if listener.outbox:  # what came while the last frame was on its way
                await websocket.send(private_fragments(listener))
            return


async def _send_slowly(chat: Context, listener: Listener, frame: str) -> None:
    """Wait until the socket has taken a frame, unless too much waits already: then the page comes back."""
    try:
        with chat.hub.sending.held(frame):
            await websocket.send(frame)
    except OverBudget:
        ask_to_come_back(chat, listener, ComeBack("sending"))


def ask_to_come_back(chat: Context, listener: Listener, refused: ComeBack) -> None:
    chat.metrics.refusals.labels(str(refused)).inc()
    listener.dismiss(Farewell(LATER))


async def _pending(chat: Context, listener: Listener) -> str:
    """Everything this connection has not seen, messages first."""
    parts = [await _changes(chat, listener)]
    if listener.progress is not None:
        progress, listener.progress = listener.progress, None
        parts.append(progress if isinstance(progress, str) else chat.render.acknowledged(*progress))
    if listener.trouble != chat.hub.trouble and not listener.unstored:
        listener.trouble = chat.hub.trouble
        parts.append(chat.render.trouble(listener.trouble))
    parts.append(private_fragments(listener))
    feed = listener.feed
    if feed is not None and listener.roster != feed.roster_version:
        listener.roster = feed.roster_version
        parts.append(feed.roster)
    if listener.beat:
        listener.beat = False
        parts.append(chat.render.heartbeat())
    return "".join(parts)


def private_fragments(listener: Listener) -> str:
    fragments = "".join(listener.outbox.values())
    listener.outbox.clear()
    return fragments


async def _changes(chat: Context, listener: Listener) -> str:
    feed, cursor = listener.feed, listener.cursor
    if feed is None or cursor is None:
        return ""
    try:
        if listener.member.number in feed.ended and await chat.hub.has_left(feed, listener.member):
            chat.presence.forget(listener.member)  # perhaps they left on another node
            seat = await chat.store.find_seat(listener.member.code, listener.member.person)
            listener.dismiss(Farewell(POLICY, actions.why_ended(seat), over=seat is None))
            return ""
        frame = feed.frame(cursor) or await _catch_up(chat, listener, feed, cursor)
    except ComeBack as refused:
        ask_to_come_back(chat, listener, refused)
        return ""
    except (Unavailable, NotFound):
        listener.dismiss(Farewell(LATER))
        return ""
    if listener.feed is not feed or listener.cursor != cursor:
        return ""  # it resumed from elsewhere meanwhile, or history was rewritten
    listener.cursor = frame.rev
    if frame.text:
        chat.metrics.deliveries.inc(max(1, frame.rev - max(cursor, 0)) if cursor >= 0 else 1)
    if frame.rev < feed.position.rev:
        listener.wake()  # for the rest, once this is taken
        await asyncio.sleep(0)
    return frame.text


async def _catch_up(chat: Context, listener: Listener, feed: Feed[Listener], cursor: int) -> Frame:
    """What is read from the log for one reader has its rate. Raises store errors."""
    person, address = listener.member.person, listener.address
    wait = chat.own_limits.take_both(
        (limits.CATCH_UPS, person),
        (limits.CATCH_UPS_OF_ADDRESS, address),
        limits.PATIENCE,
    )
    if wait > limits.PATIENCE:
        raise ComeBack("catch-ups")
    if wait:
        await asyncio.sleep(wait)
    return await chat.hub.catch_up(feed, cursor)
