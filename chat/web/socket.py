"""The WebSocket: admit, converse, say goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from quart import Blueprint, abort, current_app, websocket

from chat import limits, logs
from chat.context import Context
from chat.live.connection import LATER, POLICY, Close, Connection
from chat.model.codes import clean_code
from chat.model.errors import Refused
from chat.model.members import Member
from chat.model.sentences import Sentence
from chat.origins import behind_unknown_proxy, same_origin
from chat.store.members import find_seat
from chat.views.look import Look
from chat.visitors import ClientInfo, parse_client
from chat.web import fields
from chat.web.admission import BEHIND_A_PROXY, refuse_host, refuse_origin
from chat.web.receiving import Receiver
from chat.web.requests import current_reader
from chat.web.sending import send
from chat.web.transport import Socket

LINGER = 2.0  # s for the peer to answer a close, so that the last fragment arrives

sockets = Blueprint("sockets", __name__)


@sockets.websocket("/rooms/<code>/live")
async def live(code: str) -> None:
    """Admit a visitor, then serve the connection until either side closes it."""
    chat: Context = current_app.extensions["chat"]
    client, ours, person = identify(chat)
    try:
        code = clean_code(code[: fields.LIMITS["code"]])
    except Refused:
        code = ""  # nobody has a seat there
    member = None if person is None else await _member(chat, code, person)
    check_rate(chat, person if member else None, client.address)
    await accept(person, client.address)
    reader = current_reader()
    look, sounds = reader.look, reader.choices.sound == "on"
    if not ours:
        close = Close(POLICY, Sentence("Nothing new arrives on this page.", after=(BEHIND_A_PROXY,)))
        go_on(partial(_say_goodbye, chat, code, close, person, look))
    elif member is None:
        close = Close(POLICY, "You are not in this room.", over=True)
        go_on(partial(_say_goodbye, chat, code, close, person, look))
    else:
        go_on(partial(_converse, chat, member, client.address, look, sounds))


def identify(chat: Context) -> tuple[ClientInfo, bool, str | None]:
    """The client, whether it is a page of ours as `check_origin` says, and the person, if there is one."""
    client = parse_client(
        websocket.headers,
        websocket.remote_addr or "",
        websocket.scheme,
        websocket.headers.get("Host", ""),
        chat.settings.trusted_proxies,
    )
    ours = check_origin(chat, client)
    found = chat.identities.find(websocket.cookies, client.scheme)
    return client, ours, found.person if found else None


async def accept(person: str | None, address: str) -> None:
    """End the handshake; what the socket sends counts for its person and address from now on."""
    frames: Any = websocket.scope.get("chat.frames")
    if frames is not None:
        frames.belongs_to(person, address)
    await websocket.accept()


def go_on(conversation: Callable[[Socket], Awaitable[None]]) -> None:
    """What takes hours holds nothing of the request that it began with."""
    websocket.scope["chat.converse"](conversation)  # type: ignore[typeddict-item]


def check_origin(chat: Context, client: ClientInfo) -> bool:
    """False for a page of ours, which can show why nothing arrives on it; ends the handshake for others."""
    if refuse_host(client, chat.settings.hosts, chat.repeats):
        chat.metrics.refusals.labels("host").inc()
        abort(421)
    if same_origin(websocket.headers, client.scheme, client.host, required=True):
        return True
    chat.metrics.refusals.labels("origin").inc()
    refuse_origin(websocket.headers, client, chat.repeats)
    if not behind_unknown_proxy(websocket.headers, client.host):
        abort(403)
    return False


def check_rate(chat: Context, person: str | None, address: str) -> None:
    """Opening a socket costs more than any frame sent over it. A browser that is refused tries again later.

    Strangers at an address have a rate of their own: members do not pay for them.
    """
    rate = limits.OPENINGS_OF_STRANGERS if person is None else limits.OPENINGS_OF_ADDRESS
    if chat.own_limits.take_both((limits.OPENINGS, person), (rate, address)):
        chat.metrics.refusals.labels("openings").inc()
        abort(429)


async def _member(chat: Context, code: str, person: str) -> Member | None:
    if chat.hub.health.store_down and (member := chat.presence.member(code, person)):
        return member  # a member of a moment ago may go on reading what is in memory
    return await chat.store.read(find_seat, code, person)


async def _converse(
    chat: Context, member: Member, address: str, look: Look, sounds: bool, socket: Socket
) -> None:
    """`sounds` says whether mentions are to be heard there."""
    connection = Connection(member, look, address, socket.write_frame)
    if sounds:
        chat.sounds.add(connection)
    chat.metrics.connections.inc()
    try:
        await _follow(chat, connection, socket)
        if connection.closing is not None:  # from here on nothing else is sent
            await _say_goodbye(chat, member.code, connection.closing, member.person, look, socket)
    except Exception:
        logs.log.exception("request-failed path=%s", "sockets.live")
    finally:
        chat.sounds.remove(connection)
        chat.metrics.connections.dec()


async def _follow(chat: Context, connection: Connection, socket: Socket) -> None:
    """Send and receive until there is a reason to stop."""
    chat.hub.connections.admit(connection, counts=False)
    receiver = Receiver(chat, connection, socket)
    try:
        await send(chat, connection, socket)
    finally:
        try:
            await receiver.end()
        finally:
            if connection.counts:
                chat.presence.depart(connection.member)
            chat.unread_marks.leave(connection)
            chat.drafts.hurry(connection.member.code, connection.member.number)
            chat.hub.release(connection)


async def _say_goodbye(
    chat: Context, code: str, close: Close, person: str | None, look: Look, socket: Socket
) -> None:
    """Show why, close, and wait a moment: a connection cut at once would make htmx come back for ever.

    A page is only kept away for good once it shows why: one that a browser is just leaving drops the
    fragment, and would wait for ever when it is restored. Without an answer it comes back and is sent the
    fragment again.
    """
    status = close.code
    if close.reason:
        chat.metrics.refusals.labels("farewell").inc()
        await socket.send(chat.render.alerts.farewell(code, close.reason, look, close.over))
        if status == POLICY and not await chat.goodbyes.confirmed(person, socket.inbox.take):
            status = LATER
    await socket.close(status)
    await _await_answer(socket)


async def _await_answer(socket: Socket) -> None:
    """Read on until the peer has answered our close frame, which ends this task; not for long.

    Closing with something unread resets the connection, and a proxy that is just passing on what its
    browser writes then drops our frame: the browser would never hear why.
    """
    try:
        async with asyncio.timeout(LINGER):
            while True:
                await socket.inbox.take()
    except TimeoutError:
        pass
