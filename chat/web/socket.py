"""The WebSocket: admit, converse, say goodbye."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Blueprint, abort, current_app, websocket

from chat import limits
from chat.context import Context
from chat.live.connection import LATER, POLICY, Connection, Farewell
from chat.model.codes import clean_code
from chat.model.errors import Refused
from chat.model.members import Member
from chat.origins import behind_unknown_proxy, same_origin
from chat.visitors import ClientInfo, parse_client
from chat.web import fields
from chat.web.admission import BEHIND_A_PROXY, refuse_host, refuse_origin
from chat.web.receiving import receive, socket_inbox
from chat.web.requests import current_look
from chat.web.sending import send

LINGER = 2.0  # s for the peer to answer a close, so that the last fragment arrives

sockets = Blueprint("sockets", __name__)


@sockets.websocket("/rooms/<code>/live")
async def live(code: str) -> None:
    """Admit a visitor, then converse until either side has enough."""
    chat: Context = current_app.extensions["chat"]
    client = parse_client(
        websocket.headers,
        websocket.remote_addr or "",
        websocket.scheme,
        websocket.headers.get("Host", ""),
        chat.settings.trusted_proxies,
    )
    ours = _check_origin(chat, client)
    try:
        code = clean_code(code[: fields.LIMITS["code"]])
    except Refused:
        code = ""  # nobody has a seat there
    found = chat.identities.find(websocket.cookies, client.scheme)
    person = None if found is None else found.person
    member = None if person is None else await _member(chat, code, person)
    _hold_openings(chat, member, client.address)
    frames: Any = websocket.scope.get("chat.frames")
    if frames is not None:
        frames.belongs_to(person, client.address)
    await websocket.accept()
    if not ours:
        await _say_goodbye(
            chat, code, Farewell(POLICY, f"Nothing arrives on this page. {BEHIND_A_PROXY}"), person
        )
    elif member is None:
        await _say_goodbye(chat, code, Farewell(POLICY, "You are not in this room.", over=True), person)
    else:
        await _converse(chat, member, client.address)


def _check_origin(chat: Context, client: ClientInfo) -> bool:
    """False for a page of ours that may be told why nothing arrives on it; ends the handshake for others."""
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
    if chat.hub.health.store_down and (member := chat.presence.member(code, person)):
        return member  # whoever was here a moment ago may go on reading what is in memory
    return await chat.store.find_seat(code, person)


async def _converse(chat: Context, member: Member, address: str) -> None:
    scope: Any = websocket.scope
    connection = Connection(member, current_look(), address, scope.get("chat.lane"))
    chat.metrics.connections.inc()
    try:
        await _follow(chat, connection)
        if connection.farewell is not None:  # from here on nothing else is sent
            await _say_goodbye(chat, member.code, connection.farewell, member.person)
    finally:
        chat.metrics.connections.dec()


async def _follow(chat: Context, connection: Connection) -> None:
    """Send and receive until there is a reason to stop."""
    chat.hub.connections.admit(connection, counts=False)
    try:
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(receive(chat, connection))
            await send(chat, connection)
            receiving.cancel()
    finally:
        if connection.counts:
            chat.presence.depart(connection.member)
        chat.hub.release(connection)


async def _say_goodbye(chat: Context, code: str, farewell: Farewell, person: str | None) -> None:
    """Show why, close, and wait a moment: a connection cut at once would make htmx come back for ever.

    A page is only kept away for good once it shows why: one that a browser is just leaving drops the
    fragment, and would wait for ever when it is restored. Without an answer it comes back and is told again.
    """
    close = farewell.code
    if farewell.reason:
        chat.metrics.refusals.labels("farewell").inc()
        await websocket.send(
            chat.render.alerts.farewell(code, farewell.reason, current_look(), farewell.over)
        )
        if close == POLICY and not await chat.goodbyes.confirmed(person, socket_inbox().take):
            close = LATER
    await websocket.close(close)
    await _await_answer()


async def _await_answer() -> None:
    """Read on until the peer has answered our close frame, which ends this task; not for long.

    Closing with something unread resets the connection, and a proxy that is just passing on what its
    browser writes then drops our frame: the browser would never hear why.
    """
    try:
        async with asyncio.timeout(LINGER):
            while True:
                await socket_inbox().take()
    except TimeoutError:
        pass
