"""The WebSocket: admit, converse, send, receive."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterable
from typing import Any

from quart import Blueprint, abort, current_app, websocket

from chat import actions, fields, limits, logs, storage
from chat.admission import BEHIND_A_PROXY, refuse_host, refuse_origin
from chat.codes import clean_code
from chat.context import Context
from chat.hub import LATER, POLICY, Farewell, Listener
from chat.live.budget import OverBudget
from chat.live.feed import Feed, Frame, wire
from chat.origins import behind_unknown_proxy, same_origin
from chat.receipts import BODIES, Receipts, read_life
from chat.rooms import BODY_FIELD, BODY_TYPED, Member, Position, Refused, clean_key
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.visitors import Arrival, arrival

PATIENCE = 20.0  # s that frames over the rate wait before they are refused
ACKNOWLEDGE = 0.15  # s after a text is stored until its control goes; see _acknowledge
LINGER = 2.0  # s for the peer to answer a close, so that the last fragment arrives
AGAIN = 1.0  # s until a page is told once more, in case its next control was slower than ACKNOWLEDGE

sockets = Blueprint("sockets", __name__)


class ComeBack(Exception):
    """Too much is asked for at once: the page comes back later, and says again what it has."""


@sockets.websocket("/rooms/<code>/live")
async def live(code: str) -> None:
    """Admit a visitor, then converse until either side has enough."""
    chat: Context = current_app.extensions["chat"]
    reached = arrival(
        websocket.headers,
        websocket.remote_addr or "",
        websocket.scheme,
        websocket.headers.get("Host", ""),
        chat.settings.trusted_proxies,
    )
    ours = _check_origin(chat, reached)
    try:
        code = clean_code(code[: fields.LIMITS["code"]])
    except Refused:
        code = ""  # nobody has a seat there
    found = chat.identities.find(websocket.cookies, reached.scheme)
    person = None if found is None else found.person
    member = None if person is None else await _member(chat, code, person)
    _hold_openings(chat, member, reached.address)
    frames: Any = websocket.scope.get("chat.frames")
    if frames is not None:
        frames.belongs_to(person, reached.address)
    await websocket.accept()
    if not ours:
        await _say_goodbye(
            chat, code, Farewell(POLICY, f"Nothing arrives on this page. {BEHIND_A_PROXY}"), person
        )
    elif member is None:
        await _say_goodbye(chat, code, Farewell(POLICY, "You are not in this room.", over=True), person)
    else:
        await _converse(chat, member, reached.address)


def _check_origin(chat: Context, reached: Arrival) -> bool:
    """False for a page of ours that may be told why nothing arrives on it; ends the handshake for others."""
    if refuse_host(reached, chat.settings.hosts, chat.repeats):
        chat.metrics.refusals.labels("host").inc()
        abort(421)
    if same_origin(websocket.headers, reached.scheme, reached.host, required=True):
        return True
    chat.metrics.refusals.labels("origin").inc()
    refuse_origin(websocket.headers, reached, chat.repeats)
    if not behind_unknown_proxy(websocket.headers, reached.host):
        abort(403)
    return False


def _hold_openings(chat: Context, member: Member | None, address: str) -> None:
    """Opening a socket costs more than anything sent over it. A browser that is refused tries again later.

    Strangers at an address have a rate of their own: members do not pay for them.
    """
    person, rate = None, limits.OPENINGS_OF_STRANGERS
    if member is not None:
        person, rate = member.person, limits.OPENINGS_OF_ADDRESS
    if chat.own_limits.take_both((limits.OPENINGS, person), (rate, address)):
        chat.metrics.refusals.labels("openings").inc()
        abort(429)


async def _member(chat: Context, code: str, person: str) -> Member | None:
    if chat.hub.away and (member := chat.presence.member(code, person)):
        return member  # whoever was here a moment ago may go on reading what is in memory
    return await chat.store.find_seat(code, person)


async def _converse(chat: Context, member: Member, address: str) -> None:
    listener = Listener(member, address)
    listener.lane = websocket.scope.get("chat.lane")  # type: ignore[assignment]
    chat.metrics.connections.inc()
    try:
        await _follow(chat, listener)
        if listener.farewell is not None:  # from here on nothing else is sent
            await _say_goodbye(chat, member.code, listener.farewell, member.person)
    finally:
        chat.metrics.connections.dec()


async def _follow(chat: Context, listener: Listener) -> None:
    """Send and receive until there is a reason to stop."""
    chat.hub.admit(listener, counts=False)
    try:
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(_receive(chat, listener))
            await _send(chat, listener)
            receiving.cancel()
    finally:
        if listener.counts:
            chat.presence.depart(listener.member)
        chat.hub.release(listener)


def _count(chat: Context, listener: Listener) -> None:
    """From its first frame a page is open; one that only confirms a farewell is not, and takes no place."""
    if not listener.counts and listener.farewell is None:
        chat.hub.count(listener)
        chat.presence.arrive(listener.member)


async def _say_goodbye(chat: Context, code: str, farewell: Farewell, person: str | None) -> None:
    """Show why, close, and wait a moment: a connection cut at once would make htmx come back for ever.

    A page is only kept away for good once it shows why: one that a browser is just leaving drops the
    fragment, and would wait for ever when it is restored. Without an answer it comes back and is told again.
    """
    close = farewell.code
    if farewell.reason:
        chat.metrics.refusals.labels("farewell").inc()
        await websocket.send(chat.render.farewell(code, farewell.reason, farewell.over))
        if close == POLICY and not await chat.goodbyes.confirmed(person, _inbox().take):
            close = LATER
    await websocket.close(close)
    if close == POLICY:
        try:
            async with asyncio.timeout(LINGER):
                while True:
                    await _inbox().take()
        except TimeoutError:
            pass


# Sending ----------------------------------------------------------------------------------------------


async def _send(chat: Context, listener: Listener) -> None:
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
                await websocket.send(_private(listener))
            return


async def _send_slowly(chat: Context, listener: Listener, frame: str) -> None:
    """Wait until the socket has taken a frame, unless too much waits already: then the page comes back."""
    try:
        with chat.hub.sending.held(frame):
            await websocket.send(frame)
    except OverBudget:
        _come_back(chat, listener, ComeBack("sending"))


def _come_back(chat: Context, listener: Listener, refused: ComeBack) -> None:
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
    parts.append(_private(listener))
    feed = listener.feed
    if feed is not None and listener.roster != feed.roster_version:
        listener.roster = feed.roster_version
        parts.append(feed.roster)
    if listener.beat:
        listener.beat = False
        parts.append(chat.render.heartbeat())
    return "".join(parts)


def _private(listener: Listener) -> str:
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
        _come_back(chat, listener, refused)
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
        PATIENCE,
    )
    if wait > PATIENCE:
        raise ComeBack("catch-ups")
    if wait:
        await asyncio.sleep(wait)
    return await chat.hub.catch_up(feed, cursor)


# Receiving --------------------------------------------------------------------------------------------


async def _receive(chat: Context, listener: Listener) -> None:
    """Take what has come, in order, and have it stored together; a flood waits in its own socket."""
    sent = Receipts()
    try:
        while listener.farewell is None:  # Python 3.11 may swallow that we were told to end
            await _receive_once(chat, listener, sent)
    finally:
        for _, _, task in sent.writing:  # the page will say again, in order, what was not answered
            task.cancel()


async def _receive_once(chat: Context, listener: Listener, sent: Receipts) -> None:
    inbox = _inbox()
    await _outbox_sent(listener)
    await _attempt(chat, listener, _take(chat, listener, sent, fields.frame(await inbox.take())))
    while not inbox.empty():
        await asyncio.sleep(0)  # what was taken before is on its way, or refused
        if listener.outbox or len(sent.writing) >= BODIES:  # bounds what one turn may put into the outbox
            break
        await _attempt(chat, listener, _take(chat, listener, sent, fields.frame(inbox.take_nowait())))
    await _attempt(chat, listener, _settle(chat, listener, sent))


def _inbox() -> Any:
    """What has come and nobody has taken. Of a frame nothing is held but what is known of it."""
    return websocket.scope["chat.inbox"]  # type: ignore[typeddict-item]


async def _outbox_sent(listener: Listener) -> None:
    """A peer that does not read is not answered any further."""
    while listener.outbox:
        await asyncio.sleep(0.05)


async def _attempt(chat: Context, listener: Listener, work: Coroutine[Any, Any, None]) -> None:
    """Do something for a peer; what goes wrong is said to them and never ends the connection by itself."""
    try:
        await work
    except Refused as refused:
        _alert(chat, listener, chat.render.notice(refused.text))
    except ComeBack as refused:
        _come_back(chat, listener, refused)
    except (Unavailable, OutcomeUnknown):
        # Coming back, the page says again what it has and what it has not seen acknowledged.
        if not chat.hub.trouble:
            chat.metrics.refusals.labels("frame").inc()
            listener.show("trouble", chat.render.trouble("write"))
        listener.dismiss(Farewell(LATER))
    except NotFound:
        listener.dismiss(Farewell(POLICY, "You are not in this room any more.", over=True))
    except Exception:
        logs.log.exception("frame-failed room=%s", chat.codes.logged(listener.member.code))
        _alert(chat, listener, chat.render.notice("Something went wrong here. Please reload the page."))


async def _settle(chat: Context, listener: Listener, sent: Receipts) -> None:
    """Wait for the texts on their way to the disk, and answer them in their order."""
    writing, sent.writing = sent.writing, []
    tasks = [task for _, _, task in writing]
    try:
        for index, body, task in writing:
            await task
            if sent.answer(index, body):
                _acknowledge(chat, listener, sent)
        if listener.unstored:  # it is over
            listener.unstored, listener.trouble = False, chat.hub.trouble
            listener.show("trouble", chat.render.trouble(listener.trouble))
    finally:
        # After a failure nothing behind it is acknowledged: the page will say it all again, in order.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _alert(chat: Context, listener: Listener, fragment: str) -> None:
    chat.metrics.refusals.labels("frame").inc()
    listener.show("alert", fragment)


async def _take(chat: Context, listener: Listener, sent: Receipts, frame: dict[str, Any] | None) -> None:
    """A frame with texts, or one that says what a page has, or both. Raises Refused for anything else."""
    kind = frame.get("k") if frame else None
    if kind == "farewell":  # shown on the connection before this one
        listener.dismiss(Farewell(POLICY))
        return
    _count(chat, listener)
    if frame is None or (kind not in ("resume", "pending") and "body" not in frame):
        await _pace(chat, listener)
        raise Refused("The server did not understand that. Please reload the page.")
    if "body" in frame:
        await _post(chat, listener, sent, frame)
    elif kind == "pending":
        await _pace(chat, listener)  # nothing was waiting
    if kind == "resume":
        await _resume(chat, listener, frame)
        if isinstance(life := frame.get("life"), str) and not read_life(life)[0]:
            _begin_life(chat, listener, sent, pending="body" in frame)


async def _resume(chat: Context, listener: Listener, frame: dict[str, Any]) -> None:
    """Bring the page up to date from what it says it has, and follow the room from there."""
    position = Position(fields.token(frame, "epoch") or "", fields.number(frame.get("since")))
    match frame.get("trouble"):
        case "write":
            listener.unstored = True
        case "store" | "all" as said:
            listener.trouble = said
    if listener.feed is not None:
        await _pace(chat, listener)  # once is free; asking again and again is not
    await _pace_resuming(chat, listener)
    if listener.feed is not None:
        chat.hub.leave(listener)
    await chat.hub.join(listener, position)
    chat.presence.follow(listener.member.code)


async def _pace_resuming(chat: Context, listener: Listener) -> None:
    """Wait for the rate of those who come back. Raises ComeBack if that would be long."""
    wait = chat.own_limits.take_both(
        (limits.RESUMES, listener.member.person),
        (limits.RESUMES_OF_ADDRESS, listener.address),
        PATIENCE,
    )
    if wait > PATIENCE:
        raise ComeBack("resumes")
    if wait:
        await asyncio.sleep(wait)


async def _post(chat: Context, listener: Listener, sent: Receipts, frame: dict[str, Any]) -> None:
    bodies: fields.Texts | None = frame["body"]
    key, life = fields.token(frame, "key"), frame.get("life")
    if isinstance(life, str):
        key = ""  # a page has its life instead
    if key is None or bodies is None:
        await _pace(chat, listener)
        raise Refused("The server did not understand that. Please reload the page.")
    again = fields.token(frame, "again")
    if isinstance(life, str):
        await _post_in_life(chat, listener, sent, life, frame.get("k"), bodies)
    elif again is not None:
        await _post_again(chat, listener, sent, key, fields.number(frame.get("acked")), again, bodies)
    else:
        start = await _start(chat, listener, sent, key, fields.number(frame.get("acked")))
        for index, body in enumerate(bodies, start):
            if not sent.repeats(index, body):
                await _write(chat, listener, sent, key, index, body)


async def _post_in_life(
    chat: Context, listener: Listener, sent: Receipts, life: str, kind: object, bodies: Iterable[str]
) -> None:
    """The texts of a page, under the key of its life; one that has none yet keeps them until it has."""
    key, start = read_life(life)
    if not key:
        if kind is None:
            await _pace(chat, listener)
            # Not at once: the control of this text may still be the page's last, which is not repeated.
            asyncio.get_running_loop().call_later(ACKNOWLEDGE, _begin_life, chat, listener, sent, True)
        return
    await _start(chat, listener, sent, key, start, counted=True)
    is_new = False
    for place, offset, body in sent.new_texts(start, bodies, entered=kind is None, report=kind == "late"):
        is_new = True
        if body:
            await _write(chat, listener, sent, f"{key}+{offset}" if offset else key, place, body)
        else:  # Enter in an empty control: what was typed before may have landed in the one before it
            await _settle(chat, listener, sent)
            await _pace(chat, listener)
            sent.answer(place, body)
    if not is_new:
        await _pace(chat, listener)
    if start < sent.acked:
        _acknowledge(chat, listener, sent)


async def _start(
    chat: Context, listener: Listener, sent: Receipts, key: str, start: int, counted: bool = False
) -> int:
    if key != sent.key:
        await _settle(chat, listener, sent)
    sent.start(key, start, counted)
    return start


async def _write(chat: Context, listener: Listener, sent: Receipts, key: str, index: int, body: str) -> None:
    """Have a text stored, together with those before it unless that is much text."""
    if sent.writing and sum(len(body) for _, body, _ in sent.writing) + len(body) > fields.AS_TYPED:
        await _settle(chat, listener, sent)
        await _outbox_sent(listener)
    task = asyncio.create_task(_post_one(chat, listener, sent, key, index, body))
    sent.write(index, body, task)


def _begin_life(chat: Context, listener: Listener, sent: Receipts, pending: bool) -> None:
    """Deal a page the key of its life; what it has sent before then, it sends again.

    HTML out of a cache has none, so a key is never used by two pages, and a text is only stored under a
    key that its page knows.
    """
    sent.life = sent.life or secrets.token_urlsafe(9)
    listener.show("life", chat.render.life(sent.life))
    if pending:
        listener.show("pending", chat.render.send_pending())


async def _post_one(
    chat: Context, listener: Listener, sent: Receipts, key: str, index: int, body: str
) -> None:
    """Store one text; a refused one comes back beside the composer and counts as dealt with."""
    since = asyncio.get_running_loop().time()
    try:
        async with sent.turn:  # the leave for a later text may come sooner
            too_fast = await _pace(chat, listener, since)
        if too_fast:
            raise Refused("This was not sent: you are writing very fast.", "body")
        if await _pace_bytes(chat, listener, body):
            raise Refused("This was not sent: that is very much text in a minute.", "body")
        if sent.broken:
            raise Unavailable("A text before this one could not be stored.")
        with chat.metrics.append.time():
            await actions.post_message(chat.store, listener.member, key, index, body)
    except Refused as refused:
        _give_back(chat, listener, key, index, body, refused.text)
    except (NotFound, Unavailable, OutcomeUnknown):
        sent.broken = True
        raise
    except Exception:
        # Whatever our fault is, the text is its writer's: kept for a retry, it would fail for ever.
        logs.log.exception("post-failed room=%s", chat.codes.logged(listener.member.code))
        _give_back(chat, listener, key, index, body, "Something went wrong here, and this was not sent.")


def _give_back(chat: Context, listener: Listener, key: str, place: int, body: str, reason: str) -> None:
    chat.metrics.refusals.labels("message").inc()
    id = secrets.token_urlsafe(6)
    try:
        clean_key(key)
    except Refused:
        key, place = id, 0
    body = body.replace("\r\n", "\n")[:BODY_FIELD]  # no field of a page holds more
    body = body.encode(errors="replace").decode()  # half a character cannot be sent back
    # Every refused text has a slot of its own: none may take another's place.
    listener.show(f"refused {id}", chat.render.refused(listener.member.code, id, key, place, body, reason))


async def _post_again(
    chat: Context, listener: Listener, sent: Receipts, key: str, place: int, again: str, bodies: Iterable[str]
) -> None:
    """A refused text, sent again from its own form: that form goes, and comes back if it is refused again."""
    await _post_one(chat, listener, sent, key, place, "\n".join(bodies)[: BODY_TYPED + 1])
    if again.replace("-", "").replace("_", "").isalnum() and again.isascii():
        listener.show(f"sent again {again}", chat.render.sent_again(again))


def _acknowledge(chat: Context, listener: Listener, sent: Receipts) -> None:
    """Have the page drop the control of a text that is dealt with, a moment later.

    The page first puts a new control beside it, which takes some 20 ms. Were the old one gone before,
    nothing would have the focus: a phone would put its keyboard away.
    """
    sent.controls += 1
    if sent.controls == 1:
        asyncio.get_running_loop().call_later(ACKNOWLEDGE, _drop_controls, chat, listener, sent)


def _drop_controls(chat: Context, listener: Listener, sent: Receipts) -> None:
    if sent.counts:
        _tell_count(chat, listener, sent, sent.acked)
        asyncio.get_running_loop().call_later(AGAIN, _tell_count, chat, listener, sent, sent.acked)
    else:
        waiting = listener.progress[0] if isinstance(listener.progress, tuple) else 0
        listener.progress = (waiting + sent.controls, sent.acked)
        listener.wake()
    sent.controls = 0


def _tell_count(chat: Context, listener: Listener, sent: Receipts, acked: int) -> None:
    """Harmless if the page has taken it already; in vain while the page has no control but those sent."""
    if sent.counts and sent.counts[0] < acked == sent.acked:
        listener.progress = chat.render.taken(sent.key, sent.tell(), acked)
        listener.wake()


async def _pace_bytes(chat: Context, listener: Listener, body: str) -> bool:
    """Count the disk that a text takes, waiting a little if need be. True if it has to be refused."""
    size = storage.cost(body)
    wait = chat.own_limits.take_both(
        (limits.BYTES, listener.member.person),
        (limits.BYTES_OF_ADDRESS, listener.address),
        PATIENCE,
        size,
    )
    if wait > PATIENCE:
        return True
    if wait:
        await asyncio.sleep(wait)
    chat.storage.take(size, "body")
    return False


async def _pace(chat: Context, listener: Listener, since: float | None = None) -> bool:
    """Wait for the person's rate, not longer than a while after `since`. True if it would be: refuse then."""
    now = asyncio.get_running_loop().time()
    patience = max(0.0, PATIENCE - (now - (since or now)))
    wait = await chat.limits.take(limits.MESSAGES, listener.member.person, patience)
    if 0 < wait <= patience:
        await asyncio.sleep(wait)
    return wait > patience
