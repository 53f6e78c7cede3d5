"""Texts that arrive over a WebSocket: stored in their order, answered once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

from chat import actions, limits, logs
from chat.context import Context
from chat.live import frames
from chat.live.connection import Connection
from chat.model.errors import Refused
from chat.model.messages import BODY_FIELD, BODY_TYPED, clean_key
from chat.model.receipts import Receipts, read_life
from chat.store import NotFound, OutcomeUnknown, Unavailable, quota
from chat.web import fields

ACKNOWLEDGE = 0.15  # s after a text is stored until its control goes; see _acknowledge
AGAIN = 1.0  # s until a page is told once more, in case its next control was slower than ACKNOWLEDGE


async def post(chat: Context, connection: Connection, sent: Receipts, frame: dict[str, Any]) -> None:
    bodies: frames.Texts | None = frame["body"]
    key, life = fields.token(frame, "key"), frame.get("life")
    if isinstance(life, str):
        key = ""  # a page has its life instead
    if key is None or bodies is None:
        await pace(chat, connection)
        raise Refused("The server did not understand that. Please reload the page.")
    again = fields.token(frame, "again")
    if isinstance(life, str):
        await _post_in_life(chat, connection, sent, life, frame.get("k"), bodies)
    elif again is not None:
        await _post_again(chat, connection, sent, key, fields.number(frame.get("acked")), again, bodies)
    else:
        start = await _start(chat, connection, sent, key, fields.number(frame.get("acked")))
        for index, body in enumerate(bodies, start):
            if not sent.repeats(index, body):
                await _write(chat, connection, sent, key, index, body)


async def _post_in_life(
    chat: Context, connection: Connection, sent: Receipts, life: str, kind: object, bodies: Iterable[str]
) -> None:
    """The texts of a page, under the key of its life; one that has none yet keeps them until it has."""
    key, start = read_life(life)
    if not key:
        if kind is None:
            await pace(chat, connection)
            # Not at once: the control of this text may still be the page's last, which is not repeated.
            asyncio.get_running_loop().call_later(ACKNOWLEDGE, begin_life, chat, connection, sent, True)
        return
    await _start(chat, connection, sent, key, start, counted=True)
    is_new = False
    for place, offset, body in sent.new_texts(start, bodies, entered=kind is None, report=kind == "late"):
        is_new = True
        if body:
            await _write(chat, connection, sent, f"{key}+{offset}" if offset else key, place, body)
        else:  # Enter in an empty control: what was typed before may have landed in the one before it
            await settle(chat, connection, sent)
            await pace(chat, connection)
            sent.answer(place, body)
    if not is_new:
        await pace(chat, connection)
    if start < sent.acked:
        _acknowledge(chat, connection, sent)


async def _start(
    chat: Context, connection: Connection, sent: Receipts, key: str, start: int, counted: bool = False
) -> int:
    if key != sent.key:
        await settle(chat, connection, sent)
    sent.start(key, start, counted)
    return start


async def _write(
    chat: Context, connection: Connection, sent: Receipts, key: str, index: int, body: str
) -> None:
    """Have a text stored, together with those before it unless that is much text."""
    if sent.writing and sum(len(body) for _, body, _ in sent.writing) + len(body) > frames.AS_TYPED:
        await settle(chat, connection, sent)
        await outbox_sent(connection)
    task = asyncio.create_task(_post_one(chat, connection, sent, key, index, body))
    sent.write(index, body, task)


def begin_life(chat: Context, connection: Connection, sent: Receipts, pending: bool) -> None:
    """Deal a page the key of its life; what it has sent before then, it sends again.

    HTML out of a cache has none, so a key is never used by two pages, and a text is only stored under a
    key that its page knows.
    """
    sent.life = sent.life or secrets.token_urlsafe(9)
    connection.show("life", chat.render.life(sent.life))
    if pending:
        connection.show("pending", chat.render.send_pending())


async def _post_one(
    chat: Context, connection: Connection, sent: Receipts, key: str, index: int, body: str
) -> None:
    """Store one text; a refused one comes back beside the composer and counts as dealt with."""
    since = asyncio.get_running_loop().time()
    try:
        async with sent.turn:  # the leave for a later text may come sooner
            too_fast = await pace(chat, connection, since)
        if too_fast:
            raise Refused("This was not sent: you are writing very fast.", "body")
        if await _pace_bytes(chat, connection, body):
            raise Refused("This was not sent: that is very much text in a minute.", "body")
        if sent.broken:
            raise Unavailable("A text before this one could not be stored.")
        with chat.metrics.append.time():
            await actions.post_message(chat.store, connection.member, key, index, body)
    except Refused as refused:
        _give_back(chat, connection, key, index, body, refused.text)
    except (NotFound, Unavailable, OutcomeUnknown):
        sent.broken = True
        raise
    except Exception:
        # Whatever our fault is, the text is its writer's: kept for a retry, it would fail for ever.
        logs.log.exception("post-failed room=%s", chat.codes.logged(connection.member.code))
        _give_back(chat, connection, key, index, body, "Something went wrong here, and this was not sent.")


def _give_back(chat: Context, connection: Connection, key: str, place: int, body: str, reason: str) -> None:
    chat.metrics.refusals.labels("message").inc()
    id = secrets.token_urlsafe(6)
    try:
        clean_key(key)
    except Refused:
        key, place = id, 0
    body = body.replace("\r\n", "\n")[:BODY_FIELD]  # no field of a page holds more
    body = body.encode(errors="replace").decode()  # half a character cannot be sent back
    # Every refused text has a slot of its own: none may take another's place.
    connection.show(
        f"refused {id}", chat.render.refused(connection.member.code, id, key, place, body, reason)
    )


async def _post_again(
    chat: Context,
    connection: Connection,
    sent: Receipts,
    key: str,
    place: int,
    again: str,
    bodies: Iterable[str],
) -> None:
    """A refused text, sent again from its own form: that form goes, and comes back if it is refused again."""
    await _post_one(chat, connection, sent, key, place, "\n".join(bodies)[: BODY_TYPED + 1])
    if again.replace("-", "").replace("_", "").isalnum() and again.isascii():
        connection.show(f"sent again {again}", chat.render.sent_again(again))


async def settle(chat: Context, connection: Connection, sent: Receipts) -> None:
    """Wait for the texts on their way to the disk, and answer them in their order."""
    writing, sent.writing = sent.writing, []
    tasks = [task for _, _, task in writing]
    try:
        for index, body, task in writing:
            await task
            if sent.answer(index, body):
                _acknowledge(chat, connection, sent)
        if connection.unstored:  # it is over
            connection.unstored, connection.trouble = False, chat.hub.trouble
            connection.show("trouble", chat.render.trouble(connection.trouble))
    finally:
        # After a failure nothing behind it is acknowledged: the page will say it all again, in order.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _acknowledge(chat: Context, connection: Connection, sent: Receipts) -> None:
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
    else:
        waiting = connection.progress[0] if isinstance(connection.progress, tuple) else 0
        connection.progress = (waiting + sent.controls, sent.acked)
        connection.wake()
    sent.controls = 0


def _tell_count(chat: Context, connection: Connection, sent: Receipts, acked: int) -> None:
    """Harmless if the page has taken it already; in vain while the page has no control but those sent."""
    if sent.counts and sent.counts[0] < acked == sent.acked:
        connection.progress = chat.render.taken(sent.key, sent.tell(), acked)
        connection.wake()


async def _pace_bytes(chat: Context, connection: Connection, body: str) -> bool:
    """Count the disk that a text takes, waiting a little if need be. True if it has to be refused."""
    size = quota.cost(body)
    wait = chat.own_limits.take_both(
        (limits.BYTES, connection.member.person),
        (limits.BYTES_OF_ADDRESS, connection.address),
        limits.PATIENCE,
        size,
    )
    if wait > limits.PATIENCE:
        return True
    if wait:
        await asyncio.sleep(wait)
    chat.quota.take(size, "body")
    return False


async def pace(chat: Context, connection: Connection, since: float | None = None) -> bool:
    """Wait for the person's rate, not longer than a while after `since`. True if it would be: refuse then."""
    now = asyncio.get_running_loop().time()
    patience = max(0.0, limits.PATIENCE - (now - (since or now)))
    wait = await chat.limits.take(limits.MESSAGES, connection.member.person, patience)
    if 0 < wait <= patience:
        await asyncio.sleep(wait)
    return wait > patience


async def outbox_sent(connection: Connection) -> None:
    """A peer that does not read is not answered any further."""
    while connection.outbox:
        await asyncio.sleep(0.05)
