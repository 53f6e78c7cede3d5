"""One text added to a room by itself: where it is not as plain as those that are written many at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from chat.model.changes import Change
from chat.model.messages import Message
from chat.model.meta import NO_META, Meta
from chat.model.quotes import Quoted
from chat.store import NotFound, queries
from chat.store.log import changed, repeated
from chat.store.records import Head, before_of, columns, encode_text, is_storable, message_of, reply_of
from chat.store.transaction import Transaction, store_text

Extra = Callable[[Transaction], Coroutine[Any, Any, Meta]]


async def append(
    tx: Transaction, code: str, author: int, key: str, body: str, extra: Extra | None = None
) -> Change:
    """As `Store.append`; `extra` is asked only if the key is new, and before the text is written."""
    room, repeats, name, mark, *last = await _place(tx, code, author, key)
    if repeats and (done := await repeated(tx, code, author, key)):
        return done
    if name is None:
        raise NotFound(f"Nobody holds seat {author}.")
    meta = await extra(tx) if extra else NO_META
    head = Head(*(await tx.fetch(queries.RISE_BY_TEXT, room))[0])
    id, before = head.rev, before_of(*last)
    quoted = await _quoted(tx, room, meta)
    message = Message(id, id, tx.now, author, name, mark, body, "text", meta, before, quoted)
    text = await store_text(tx, encode_text(body))
    await tx.fetch(tx.dialect.insert, *columns(room, message, text))
    await tx.fetch(queries.REMEMBER, room, author, key, id, tx.now)
    return changed(tx, code, message, head)


async def _quoted(tx: Transaction, room: int, meta: Meta) -> Quoted | None:
    """What the text answers."""
    rows = await tx.fetch(queries.MESSAGE, room, id) if (id := reply_of(meta)) else ()
    return message_of(rows[0]).as_quoted if rows else None


async def _place(tx: Transaction, code: str, author: int, key: str) -> Any:
    """What the text follows, and what its key did before. Raises NotFound."""
    rows = await tx.fetch(queries.PLACE, code, author, key) if is_storable(author) else ()
    if not rows:
        raise NotFound(f"There is no room {code}, or no seat {author}.")
    return rows[0]
