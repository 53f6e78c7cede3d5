"""The log of a room: how it is changed and read. Each backend has an append of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chat.model.changes import Change, Page, Window
from chat.model.members import Member
from chat.model.messages import Amendment, Edit, Message, Previous
from chat.model.meta import NO_META, Meta, with_meta
from chat.model.notices import Notice, dump_notice
from chat.model.rooms import Position
from chat.store import HISTORY, WINDOW, NotFound, Resync, drafts, queries, versions, word_index
from chat.store.queries import LARGEST
from chat.store.records import Head, columns, dump_meta, encode_text, message_of, reply_of
from chat.store.transaction import Transaction, store_text
from chat.store.windows import UNBOUNDED, first_part, newest, until, weight

PORTION, LARGEST_PORTION = 16, 128  # messages that are asked for at once where bytes are counted


async def head_of(tx: Transaction, code: str) -> Head:
    """Raises NotFound."""
    rows = await tx.fetch(queries.HEAD, code)
    if not rows:
        raise missing(code)
    return Head(*rows[0])


def missing(code: str) -> NotFound:
    return NotFound(f"There is no room {code}.")


async def rise(tx: Transaction, room: int) -> Head:
    (row,) = await tx.fetch(queries.RISE, room)
    return Head(*row)


def changed(tx: Transaction, code: str, message: Message, head: Head) -> Change:
    """The change that led to `head`, which the store is to tell of."""
    change = Change(code, message, head.position)
    tx.changes.append(change)
    return change


async def write_notice(
    tx: Transaction, code: str, notice_after: Callable[[Message | None, int], tuple[Notice, bool]]
) -> Change | None:
    """Tell the room in a new notice or, where that is its newest message, in the last one.

    None if the last one says so already.
    """
    head = await head_of(tx, code)
    rows = await tx.fetch(queries.NEWEST, head.room)
    last = message_of(rows[0]) if rows else None
    notice, replaces = notice_after(last, tx.now)
    if last and replaces and notice == last.notice:
        return None
    head = await rise(tx, head.room)
    if last and replaces:
        kept = {**last.meta["notice"], **dump_notice(notice)}  # with what a newer release added to it
        message = replace(last, rev=head.rev, meta=with_meta(last.meta, notice=kept))
        await tx.fetch(queries.SET_META, head.rev, dump_meta(message.meta), head.room, last.id)
    else:
        before = Previous(last.author, last.at) if last else None
        meta = with_meta(NO_META, notice=dump_notice(notice))
        message = Message(head.rev, head.rev, tx.now, None, "", 1, None, "notice", meta, before)
        await tx.fetch(tx.dialect.insert, *columns(head.room, message, None))
    return changed(tx, code, message, head)


async def add_notice(tx: Transaction, code: str, notice: Notice) -> Change | None:
    """Tell the room in a new notice."""
    return await write_notice(tx, code, lambda last, at: (notice, False))


async def amend(tx: Transaction, member: Member, old: Message, change: Amendment) -> Change:
    """Edit or delete a text of a member, which was read in this transaction.

    A deleted text is gone from the store at once, with those that it had before.
    """
    head = await rise(tx, (await head_of(tx, member.code)).room)
    body, meta = _amended(old, change, tx.now, head.rev)
    await _rewrite(tx, head.room, old, head.rev, body, meta)
    if body is None:
        await drafts.forget_message(tx, head.room, member.number, old)
    else:
        await drafts.forget_edits(tx, head.room, member.number, old.id)
    await word_index.replace(tx, head.room, old, body)
    quoted = old.quoted if reply_of(meta) else None
    return changed(tx, member.code, replace(old, rev=head.rev, body=body, meta=meta, quoted=quoted), head)


def _amended(old: Message, change: Amendment, now: int, rev: int) -> tuple[str | None, Meta]:
    """Body and meta from now on: nothing is kept with a deleted text."""
    if isinstance(change, Edit):
        return change.body, with_meta(old.meta, edited=now, text_rev=rev, **change.meta)
    return None, NO_META


async def _rewrite(tx: Transaction, room: int, old: Message, rev: int, body: str | None, meta: Meta) -> None:
    text = None
    if body is None:
        await _erase(tx, room, old)
    else:
        await versions.keep(tx, room, old)
        text = await store_text(tx, encode_text(body))
    await tx.fetch(tx.dialect.rewrite, rev, text, dump_meta(meta), reply_of(meta), room, old.id)


async def _erase(tx: Transaction, room: int, old: Message) -> None:
    await versions.erase(tx, room, old.id)
    if tx.dialect.erase:
        await tx.fetch(tx.dialect.erase, room, old.id)


async def change_message(tx: Transaction, code: str, message: Message, *, meta: Meta) -> Change:
    """Keep another meta with a message, and tell the room."""
    head = await rise(tx, (await head_of(tx, code)).room)
    await tx.fetch(queries.SET_META, head.rev, dump_meta(meta), head.room, message.id)
    return changed(tx, code, replace(message, rev=head.rev, meta=meta), head)


async def repeated(tx: Transaction, code: str, author: int, key: str) -> Change | None:
    """What this key did before, with the message as it is now: its former text may be deleted."""
    rows = await tx.fetch(queries.REPEATED, code, author, key)
    if not rows:
        return None
    room, epoch, id = rows[0]
    (entry,) = await tx.fetch(queries.MESSAGE, room, id)
    return Change(code, message_of(entry), Position(epoch, id), duplicate=True)


async def history(
    tx: Transaction, code: str, before: int | None = None, limit: int = HISTORY, most: int = UNBOUNDED
) -> Page:
    """The newest messages, or the newest older than `before`. Raises NotFound.

    As many as `limit`, and as `windows.weight` finds to be at most `most` bytes, but at least one.
    """
    return await history_of(tx, await head_of(tx, code), before, limit, most)


async def history_of(tx: Transaction, head: Head, before: int | None, limit: int, most: int) -> Page:
    """The same of a room whose head is known."""
    end = LARGEST if before is None else max(0, min(before, LARGEST))
    limit = max(0, min(limit, LARGEST - 1))
    rows = await tx.fetch(queries.OLDER, head.room, end, limit + 1)
    found = [message_of(row) for row in reversed(rows[:limit])]
    messages = list(newest(found, most))
    return Page(messages, head.position, more=len(rows) > len(messages))


async def changes(
    tx: Transaction, code: str, since: Position, window: int = WINDOW, most: int = UNBOUNDED
) -> Window:
    """What changed in revs (since, since + window], at its present state.

    `created` have ids in that range; `changed` are older messages last changed in it. The position
    returned is where to continue; a later window may repeat a change, never a creation. The range ends
    sooner if its messages are more than `most` bytes by `windows.weight`, but not before the first one.
    Raises Resync, NotFound.
    """
    head = await head_of(tx, code)
    if since.epoch != head.epoch or not 0 <= since.rev <= head.rev:
        raise Resync
    end = min(head.rev, since.rev + max(window, 0))
    created, known = await _in_portions(tx, queries.CREATED, head.room, since.rev, end, most)
    changed, known = await _in_portions(tx, queries.CHANGED, head.room, since.rev, known, most, since.rev)
    part = first_part(*until(changed, created, known), most)
    return Window(part.created, part.changed, Position(head.epoch, part.rev), head.rev)


async def _in_portions(
    tx: Transaction, sql: str, room: int, since: int, end: int, most: int, *more: int
) -> tuple[list[Message], int]:
    """The messages due in (since, end], and up to where those are all: perhaps it is enough before the end.

    How long they are is known only afterwards, so the portions grow while they turn out to be short.
    """
    found: list[Message] = []
    total, portion = 0, PORTION
    while True:
        rows = await tx.fetch(sql, room, since, end, *more, portion)
        messages = [message_of(row) for row in rows]
        found += messages
        total += sum(map(weight, messages))
        if len(rows) < portion:
            return found, end
        since = messages[-1].rev if more else messages[-1].id
        if total >= most:
            return found, since
        if total < most // 4:
            portion = min(2 * portion, LARGEST_PORTION)


async def heads(tx: Transaction, codes: Sequence[str]) -> dict[str, Position]:
    """The present position of each room that exists."""
    rows = await tx.fetch(tx.dialect.heads, list(codes))
    return {code: Position(epoch, rev) for code, epoch, rev in rows}
