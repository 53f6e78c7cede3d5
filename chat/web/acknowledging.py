"""How a page learns that its texts are stored, and under which key it writes."""

from __future__ import annotations

import asyncio
import secrets

from chat.context import Context
from chat.live.connection import Connection
from chat.live.framing import websocket_frame
from chat.model.receipts import Receipts

ACKNOWLEDGE = 0.15  # s after a text is stored until its control goes; see `acknowledge`
AGAIN = 1.0  # s until the count is sent again, in case the page's next control took longer than ACKNOWLEDGE


def acknowledge(chat: Context, connection: Connection, sent: Receipts) -> None:
    """Have the page drop the control of a text that is dealt with, a moment later.

    The page first puts a new control beside it, which takes some 20 ms. Were the old one gone before,
    nothing would have the focus: a phone would put its keyboard away.
    """
    sent.controls += 1
    if sent.controls == 1:
        asyncio.get_running_loop().call_later(ACKNOWLEDGE, _drop_controls, chat, connection, sent)


def _drop_controls(chat: Context, connection: Connection, sent: Receipts) -> None:
    if sent.counts:
        _tell_count(chat, connection, sent, sent.acked)
        asyncio.get_running_loop().call_later(AGAIN, _tell_count, chat, connection, sent, sent.acked)
    elif not _send_at_once(
        chat, connection, chat.render.composer.acknowledged(sent.controls, sent.acked, connection.look)
    ):
        sent.leaving = sent.controls + (sent.leaving if "acknowledged" in connection.slots else 0)
        connection.show(
            "acknowledged", chat.render.composer.acknowledged(sent.leaving, sent.acked, connection.look)
        )
    sent.controls = 0


def _tell_count(chat: Context, connection: Connection, sent: Receipts, acked: int) -> None:
    """Harmless if the page has taken it already; in vain while the page has no control but those sent."""
    if sent.counts and sent.counts[0] < acked == sent.acked:
        fragment = chat.render.composer.taken(sent.key, sent.tell(), acked, connection.look)
        if not _send_at_once(chat, connection, fragment):
            connection.show("acknowledged", fragment)


def _send_at_once(chat: Context, connection: Connection, fragment: str) -> bool:
    """Whether the socket was free for it, and nothing else waits."""
    sent = connection.write_now(websocket_frame(fragment))
    chat.metrics.delivered(sent, 0)
    return sent


def ask_for_life(chat: Context, connection: Connection, sent: Receipts) -> None:
    """A text came from a page that has no life yet.

    It gets one, but not at once: the control of this text may still be the page's last, which is not
    repeated.
    """
    asyncio.get_running_loop().call_later(ACKNOWLEDGE, begin_life, chat, connection, sent, True)


def begin_life(chat: Context, connection: Connection, sent: Receipts, pending: bool) -> None:
    """Deal a page the key of its life; what it has sent before then, it sends again.

    HTML out of a cache has none, so a key is never used by two pages, and a text is only stored under a
    key that its page knows.
    """
    connection.answer("life", chat.render.composer.life(deal_life(sent), connection.look))
    if pending:
        connection.answer("pending", chat.render.composer.send_pending(connection.look))


def deal_life(sent: Receipts) -> str:
    """The key of the life of a page that has none yet."""
    sent.life = sent.life or secrets.token_urlsafe(9)
    return sent.life
