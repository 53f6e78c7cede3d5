"""Pages of a log away from its end: older than a message, newer than one, from a moment on, around one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from chat.model.changes import Page
from chat.model.messages import Message
from chat.store import HISTORY, NoMessage, queries
from chat.store.log import head_of, history, history_of
from chat.store.queries import LARGEST
from chat.store.records import Head, is_storable, message_of
from chat.store.transaction import Transaction
from chat.store.windows import UNBOUNDED, oldest

ReadPage = Callable[[Transaction, str], Awaitable[Page]]  # of the room with a code


async def earlier(
    tx: Transaction, code: str, before: int, limit: int = HISTORY, most: int = UNBOUNDED
) -> Page:
    """As `history`, and whether there are any that are not older. Raises NotFound."""
    head = await head_of(tx, code)
    page = await history_of(tx, head, before, limit, most)
    return replace(page, later=bool(await _newer(tx, head, min(before, LARGEST) - 1, 1)))


async def later(tx: Transaction, code: str, after: int, limit: int = HISTORY, most: int = UNBOUNDED) -> Page:
    """The oldest messages newer than `after`: as many as for `history`. Raises NotFound."""
    return await _later(tx, await head_of(tx, code), max(0, min(after, LARGEST - 1)), limit, most)


async def since(tx: Transaction, code: str, start: int, limit: int = HISTORY, most: int = UNBOUNDED) -> Page:
    """A page that begins with what was said first at `start` (ms since 1970) or later, by the clock.

    `start` is a full quarter of an hour, as midnight is in every zone. Clocks are set now and then: what
    follows is in the order of ids. Raises NotFound.
    """
    head = await head_of(tx, code)
    rows = await tx.fetch(queries.FIRST_SINCE, head.room, start)
    return await _later(tx, head, rows[0][0] - 1 if rows else head.rev, limit, most)


async def _later(tx: Transaction, head: Head, after: int, limit: int, most: int) -> Page:
    found = await _newer(tx, head, after, limit + 1)
    messages = list(oldest(found[:limit], most))
    older = await tx.fetch(queries.OLDER, head.room, after + 1, 1)
    return Page(messages, head.position, more=bool(older), later=len(found) > len(messages))


async def or_newest(
    tx: Transaction, code: str, read: ReadPage, limit: int = HISTORY, most: int = UNBOUNDED
) -> Page:
    """What `read` finds or, if that is nothing, the newest messages. Raises NotFound."""
    page = await read(tx, code)
    return page if page.messages else await history(tx, code, limit=limit, most=most)


async def around(tx: Transaction, code: str, id: int, count: int) -> Page:
    """A message with as many before and after it. Raises NotFound."""
    if not is_storable(id) or id == LARGEST:
        raise NoMessage("There is no such number.")
    head = await head_of(tx, code)
    page = await history_of(tx, head, id + 1, count + 1, UNBOUNDED)
    if not page.messages or page.messages[-1].id != id:
        raise NoMessage(f"There is no message {id}.")
    after = await _newer(tx, head, id, count + 1)
    return replace(page, messages=page.messages + after[:count], later=len(after) > count)


async def _newer(tx: Transaction, head: Head, after: int, limit: int) -> list[Message]:
    rows = await tx.fetch(queries.CREATED, head.room, after, head.rev, limit)
    return [message_of(row) for row in rows]
