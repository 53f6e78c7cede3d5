"""The WebSocket of home, over which its list of rooms is kept current. Nobody reads what it sends."""

from __future__ import annotations

from functools import partial

from quart import current_app

from chat.context import Context
from chat.live.connection import POLICY, Connection
from chat.model.members import Member
from chat.views.look import Look
from chat.web.requests import current_reader
from chat.web.sending import send
from chat.web.socket import accept, check_rate, go_on, identify, sockets
from chat.web.transport import Inbox, Socket


@sockets.websocket("/live")
async def live_home() -> None:
    chat: Context = current_app.extensions["chat"]
    client, ours, found = identify(chat)
    person = found if ours else None
    check_rate(chat, person, client.address)
    await accept(person, client.address)
    reader = current_reader()
    go_on(partial(_follow, chat, person, client.address, reader.look, reader.choices.sound == "on"))


async def _follow(
    chat: Context, person: str | None, address: str, look: Look, sounds: bool, socket: Socket
) -> None:
    """Send what is unread in the rooms of a person until there is a reason to stop."""
    if person is None:
        await socket.close(POLICY)
        return
    connection = Connection(Member("", 0, person, "", 1), look, address, socket.write_frame)
    chat.hub.connections.admit(connection, counts=False)
    if sounds:
        chat.sounds.add(connection)
    chat.metrics.connections.inc()
    chat.unread_titles.elsewhere.follow(connection)
    chat.unread_titles.elsewhere.come_back(connection)  # it does not say whether it was open before
    socket.inbox.on_arrival = partial(_discard, socket.inbox)
    _discard(socket.inbox)
    try:
        await send(chat, connection, socket)
        if connection.closing is not None:
            await socket.close(connection.closing.code)
    finally:
        chat.sounds.remove(connection)
        chat.unread_titles.elsewhere.leave(connection)
        chat.hub.release(connection)
        chat.metrics.connections.dec()


def _discard(inbox: Inbox) -> None:
    """What nobody reads is not kept either: it would fill what all sockets share."""
    while not inbox.empty():
        inbox.take_nowait()
    inbox.done()
